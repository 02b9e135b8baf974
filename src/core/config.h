// Config: TOML in, plain structs out. Each module keeps one struct of defaults beside its code with
// one Visit function that lists name, field, range and help; loading, --set, printing, --help and
// docs are visitors of it. One thread, at start.
//
//   struct PpoConfig {
//     double gamma = 0.99;
//     Schedule schedule = Schedule::kConstant;          // an enum with EnumNames (below)
//     NormalizeConfig normalize;                        // a nested struct with Visit: a TOML table
//     template <class V> void Visit(V& v) {
//       v.Field("gamma", gamma, {.help = "discount factor", .min = 0, .max = 1});
//       v.Field("schedule", schedule, {.help = "how the learning rate changes"});
//       v.Section("normalize", normalize, "observation and reward normalisation");
//       v.Raw("args", args, "keywords");  // a core::Table, checked later by whoever owns it
//     }
//   };
//
// Field types: bool, int, int64_t, uint64_t (up to 2^63 - 1, TOML's largest integer), double,
// std::string, enums, std::vector of int64_t/double/std::string. A Visit function must list the
// same names in the same order whatever the values are.
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace pawl::core {

struct FieldInfo {
  const char* help = "";
  // numbers: inclusive bounds; vectors: of each element
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  const char* unit = "";  // "s", "rad", "env steps", ...
  // doubles: inf and -inf are values too (within min and max); NaN never is
  bool allow_infinite = false;
};

// Specialise for each enum of a config: template <> struct EnumNames<Activation> {
//   static constexpr std::pair<const char*, Activation> kTable[] = {{"tanh", Activation::kTanh}};
// };
template <class T>
struct EnumNames;

// A parsed TOML table with the source position of every value. Cheap to copy (shared, immutable).
class Table {
 public:
  Table();  // empty
  // Throws UserError with file:line:column when the file is missing or not TOML.
  static Table ParseFile(const std::string& path);
  static Table ParseString(std::string_view text, const std::string& source_name);
  // "a.b.c=value" (the value in TOML syntax; a bare word is taken as a string): a copy with that
  // key set.
  Table WithOverride(std::string_view assignment) const;
  bool empty() const;
  std::vector<std::string> Keys() const;
  // The sub-table under `key`; empty when absent.
  Table Sub(std::string_view key) const;
  // The text under `key`; nothing when absent or no text.
  std::optional<std::string> FindString(std::string_view key) const;
  // A copy with that text under `key`.
  Table WithString(std::string_view key, std::string_view text) const;
  std::string ToToml() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }
  explicit Table(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

// One key of a config, as the visitors see it (printing, help, docs, differences).
struct FieldDoc {
  std::string key;  // dotted: "ppo.gamma"
  std::string
      type;  // "number", "text", "true|false", "tanh|relu", "list of integers", "table", ...
  std::string value;  // current value in TOML syntax
  FieldInfo info;
  bool is_section = false;  // then only key and info.help are set
};

namespace internal {
// The non-template half of the visitors (config.cc). `prefix` is the dotted path of the section.
class Loader {
 public:
  Loader(const Table& table, std::string prefix);
  ~Loader();
  void Field(const char* name, bool& value, const FieldInfo& info);
  void Field(const char* name, int& value, const FieldInfo& info);
  void Field(const char* name, int64_t& value, const FieldInfo& info);
  void Field(const char* name, uint64_t& value, const FieldInfo& info);
  void Field(const char* name, double& value, const FieldInfo& info);
  void Field(const char* name, std::string& value, const FieldInfo& info);
  void Field(const char* name, std::vector<int64_t>& value, const FieldInfo& info);
  void Field(const char* name, std::vector<double>& value, const FieldInfo& info);
  void Field(const char* name, std::vector<std::string>& value, const FieldInfo& info);
  template <class T>
  requires std::is_enum_v<T>
  void Field(const char* name, T& value, const FieldInfo& info) {
    std::vector<std::string> names;
    for (const auto& [text, unused] : EnumNames<T>::kTable) names.push_back(text);
    int chosen = EnumField(name, names);
    if (chosen >= 0) value = EnumNames<T>::kTable[chosen].second;
  }
  void Raw(const char* name, Table& value, const char* help);
  template <class T>
  void Section(const char* name, T& value, const char* help) {
    Loader child = Child(name);
    value.Visit(child);
    child.Finish();
  }
  // Throws for the first key that no Field asked for, with file:line and the nearest known name.
  void Finish();

 private:
  int EnumField(const char* name, const std::vector<std::string>& names);
  Loader Child(const char* name);
  struct State;
  std::unique_ptr<State> state_;
};

class Describer {
 public:
  explicit Describer(std::vector<FieldDoc>& out, std::string prefix = "")
      : out_(out), prefix_(std::move(prefix)) {}
  void Field(const char* name, bool& value, const FieldInfo& info);
  void Field(const char* name, int& value, const FieldInfo& info);
  void Field(const char* name, int64_t& value, const FieldInfo& info);
  void Field(const char* name, uint64_t& value, const FieldInfo& info);
  void Field(const char* name, double& value, const FieldInfo& info);
  void Field(const char* name, std::string& value, const FieldInfo& info);
  void Field(const char* name, std::vector<int64_t>& value, const FieldInfo& info);
  void Field(const char* name, std::vector<double>& value, const FieldInfo& info);
  void Field(const char* name, std::vector<std::string>& value, const FieldInfo& info);
  template <class T>
  requires std::is_enum_v<T>
  void Field(const char* name, T& value, const FieldInfo& info) {
    std::string type, current;
    for (const auto& [text, entry] : EnumNames<T>::kTable) {
      if (!type.empty()) type += "|";
      type += text;
      if (entry == value) current = fmt::format("\"{}\"", text);
    }
    Add(name, type, current, info);
  }
  void Raw(const char* name, Table& value, const char* help);
  template <class T>
  void Section(const char* name, T& value, const char* help) {
    out_.push_back({.key = prefix_ + name, .info = {.help = help}, .is_section = true});
    Describer child(out_, prefix_ + name + ".");
    value.Visit(child);
  }

 private:
  void Add(const char* name, std::string type, std::string value, const FieldInfo& info);
  std::vector<FieldDoc>& out_;
  std::string prefix_;
};
}  // namespace internal

// Fills `config` from `table`; missing keys keep their defaults. Throws UserError for an unknown
// key (file:line, nearest name), a wrong type or a value out of range. `prefix` is where the table
// stands in the file, for messages ("env.args").
template <class T>
void LoadConfig(const Table& table, T& config, const std::string& prefix = "") {
  internal::Loader loader(table, prefix);
  config.Visit(loader);
  loader.Finish();
}

// Every key of a config with its type, current value and help, in Visit order.
template <class T>
std::vector<FieldDoc> DescribeConfig(T config, const std::string& prefix = "") {
  std::vector<FieldDoc> out;
  internal::Describer describer(out, prefix.empty() ? "" : prefix + ".");
  config.Visit(describer);
  return out;
}

// The resolved config as TOML text that LoadConfig reads back to the same values (doubles
// round-trip).
std::string ToToml(const std::vector<FieldDoc>& fields);
// The same with each key's help, type and range as a comment (`pawl config`), and as a Markdown
// table (docs/config.md).
std::string ToTomlWithHelp(const std::vector<FieldDoc>& fields);
std::string ToMarkdown(const std::vector<FieldDoc>& fields);
// One "key: old -> new" line for each key whose value differs; sections and equal keys are left
// out.
std::vector<std::string> ConfigDifferences(const std::vector<FieldDoc>& before,
                                           const std::vector<FieldDoc>& after);

}  // namespace pawl::core
