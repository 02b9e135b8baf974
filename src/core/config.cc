#include "core/config.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/config_table.h"

namespace pawl::core::internal {
namespace {
using Kind = Value::Kind;

std::string BoundToText(double bound, bool integer) {
  return integer && std::abs(bound) < 1e18 ? std::to_string(static_cast<int64_t>(bound))
                                           : fmt::format("{}", bound);
}

// " between 0 and 1", " >= 0", " <= 1" or "".
std::string RangeToText(const FieldInfo& info, bool integer) {
  const bool has_min = std::isfinite(info.min);
  const bool has_max = std::isfinite(info.max);
  if (has_min && has_max) {
    return fmt::format(" between {} and {}", BoundToText(info.min, integer),
                       BoundToText(info.max, integer));
  }
  if (has_min) return " >= " + BoundToText(info.min, integer);
  if (has_max) return " <= " + BoundToText(info.max, integer);
  return "";
}

// "ppo.gamma is the number 1.5 at run.toml:3: expected a number between 0 and 1"
Error BadValue(const std::string& key, const Value& found, const std::string& expected,
               const std::string& hint = "") {
  return UserError({.what = fmt::format("{} is {}", key, Found(found)),
                    .where = found.where,
                    .expected = expected,
                    .hint = hint});
}

std::string ExpectedInteger(const FieldInfo& info) {
  return "an integer" + RangeToText(info, true);
}

int64_t ReadInteger(const std::string& key, const Value& found, const FieldInfo& info, int64_t low,
                    int64_t high) {
  if (found.kind != Kind::kInteger) {
    // 1e6 is a float in TOML
    const bool whole = found.kind == Kind::kNumber && std::abs(found.number) < 1e15 &&
                       found.number == std::floor(found.number);
    throw BadValue(key, found, ExpectedInteger(info),
                   whole ? fmt::format("write {}", static_cast<int64_t>(found.number)) : "");
  }
  const auto as_double = static_cast<double>(found.integer);
  if (as_double < info.min || as_double > info.max)
    throw BadValue(key, found, ExpectedInteger(info));
  if (found.integer < low || found.integer > high) {
    throw BadValue(key, found, fmt::format("an integer between {} and {}", low, high));
  }
  return found.integer;
}

double ReadNumber(const std::string& key, const Value& found, const FieldInfo& info) {
  const std::string expected =
      (info.allow_infinite ? "a number" : "a finite number") + RangeToText(info, false);
  double number = found.number;
  if (found.kind == Kind::kInteger) {
    number = static_cast<double>(found.integer);
  } else if (found.kind != Kind::kNumber) {
    throw BadValue(key, found, "a number" + RangeToText(info, false));
  }
  if (std::isnan(number) || (std::isinf(number) && !info.allow_infinite))
    throw BadValue(key, found, expected);
  if (number < info.min || number > info.max)
    throw BadValue(key, found, "a number" + RangeToText(info, false));
  return number;
}

std::string ReadText(const std::string& key, const Value& found) {
  if (found.kind != Kind::kText) {
    throw BadValue(key, found, "a text",
                   fmt::format("write \"{}\"", ToInlineToml(found).substr(0, 60)));
  }
  return found.text;
}

// Reads each element with `read(key[i], element)`.
template <class T, class Read>
std::vector<T> ReadList(const std::string& key, const Value& found, const char* expected,
                        Read read) {
  if (found.kind != Kind::kList) throw BadValue(key, found, expected);
  std::vector<T> out;
  for (size_t i = 0; i < found.list.size(); ++i)
    out.push_back(read(fmt::format("{}[{}]", key, i), found.list[i]));
  return out;
}

constexpr int64_t kInt64Min = std::numeric_limits<int64_t>::min();
constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();
}  // namespace

struct Loader::State {
  Table table;
  std::string prefix;              // "" or "ppo."
  std::vector<std::string> known;  // names that were asked for

  std::string Key(std::string_view name) const { return prefix + std::string(name); }
  // The value written for `name`, or nullptr when the default stays.
  const Value* Take(const char* name) {
    known.emplace_back(name);
    return table.impl().Find(name);
  }
};

Loader::Loader(const Table& table, std::string prefix)
    : state_(new State{table, prefix.empty() ? "" : std::move(prefix) + ".", {}}) {}
Loader::~Loader() = default;

void Loader::Field(const char* name, bool& value, const FieldInfo& info) {
  const Value* found = state_->Take(name);
  if (found == nullptr) return;
  if (found->kind != Kind::kBool) throw BadValue(state_->Key(name), *found, "true or false");
  value = found->boolean;
}

void Loader::Field(const char* name, int& value, const FieldInfo& info) {
  using Limits = std::numeric_limits<int>;
  if (const Value* found = state_->Take(name)) {
    value = static_cast<int>(
        ReadInteger(state_->Key(name), *found, info, Limits::min(), Limits::max()));
  }
}

void Loader::Field(const char* name, int64_t& value, const FieldInfo& info) {
  if (const Value* found = state_->Take(name)) {
    value = ReadInteger(state_->Key(name), *found, info, kInt64Min, kInt64Max);
  }
}

void Loader::Field(const char* name, uint64_t& value, const FieldInfo& info) {
  if (const Value* found = state_->Take(name)) {
    value = static_cast<uint64_t>(ReadInteger(state_->Key(name), *found, info, 0, kInt64Max));
  }
}

void Loader::Field(const char* name, double& value, const FieldInfo& info) {
  if (const Value* found = state_->Take(name)) value = ReadNumber(state_->Key(name), *found, info);
}

void Loader::Field(const char* name, std::string& value, const FieldInfo& info) {
  if (const Value* found = state_->Take(name)) value = ReadText(state_->Key(name), *found);
}

void Loader::Field(const char* name, std::vector<int64_t>& value, const FieldInfo& info) {
  const Value* found = state_->Take(name);
  if (found == nullptr) return;
  value = ReadList<int64_t>(state_->Key(name), *found, "a list of integers",
                            [&](const auto& key, const Value& element) {
                              return ReadInteger(key, element, info, kInt64Min, kInt64Max);
                            });
}

void Loader::Field(const char* name, std::vector<double>& value, const FieldInfo& info) {
  const Value* found = state_->Take(name);
  if (found == nullptr) return;
  value = ReadList<double>(
      state_->Key(name), *found, "a list of numbers",
      [&](const auto& key, const Value& element) { return ReadNumber(key, element, info); });
}

void Loader::Field(const char* name, std::vector<std::string>& value, const FieldInfo& info) {
  const Value* found = state_->Take(name);
  if (found == nullptr) return;
  value = ReadList<std::string>(
      state_->Key(name), *found, "a list of texts",
      [](const auto& key, const Value& element) { return ReadText(key, element); });
}

int Loader::EnumField(const char* name, const std::vector<std::string>& names) {
  const Value* found = state_->Take(name);
  if (found == nullptr) return -1;
  const std::string expected = fmt::format("one of {}", fmt::join(names, ", "));
  if (found->kind != Kind::kText) throw BadValue(state_->Key(name), *found, expected);
  const auto match = std::find(names.begin(), names.end(), found->text);
  if (match == names.end()) {
    const std::string nearest = NearestName(found->text, names);
    throw BadValue(state_->Key(name), *found, expected,
                   nearest.empty() ? "" : fmt::format("did you mean \"{}\"?", nearest));
  }
  return static_cast<int>(match - names.begin());
}

void Loader::Raw(const char* name, Table& value, const char* help) {
  const Value* found = state_->Take(name);
  if (found == nullptr) return;
  if (found->kind != Kind::kTable) throw BadValue(state_->Key(name), *found, "a table");
  value = Table(found->table);
}

Loader Loader::Child(const char* name) {
  Table section;
  Raw(name, section, "");
  return Loader(section, state_->Key(name));
}

void Loader::Finish() {
  for (const auto& [key, value] : state_->table.impl().entries) {
    if (std::find(state_->known.begin(), state_->known.end(), key) != state_->known.end()) continue;
    const std::string nearest = NearestName(key, state_->known);
    std::string hint = fmt::format("did you mean '{}'?", state_->Key(nearest));
    if (nearest.empty()) {
      const size_t shown = std::min<size_t>(state_->known.size(), 16);
      hint = fmt::format("known here: {}{}",
                         fmt::join(state_->known.begin(), state_->known.begin() + shown, ", "),
                         shown < state_->known.size() ? ", ..." : "");
      if (shown == 0) hint = "no key is known here";
    }
    throw UserError({.what = fmt::format("unknown key '{}'", state_->Key(key)),
                     .where = value.where,
                     .hint = hint});
  }
}

}  // namespace pawl::core::internal
