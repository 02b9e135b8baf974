#include "text/normalizer.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/error.h"
#include "text/normal_forms.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;
using internal::NormalForm;

constexpr int kMaxDepth = 20;  // of sequences in sequences

constexpr std::array<std::pair<std::string_view, NormalForm>, 4> kForms = {
    {{"NFC", NormalForm::kNfc},
     {"NFD", NormalForm::kNfd},
     {"NFKC", NormalForm::kNfkc},
     {"NFKD", NormalForm::kNfkd}}};

class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(NormalForm form) : form_(form) {}
  void Apply(NormalizedText& text) const override {
    std::vector<NormalizedText::Change> changes;
    if (internal::ToNormalForm(text.text(), form_, changes)) text.Transform(changes, 0);
  }
  OrderedJson ToJson() const override {
    return {{"type", std::string(kForms[static_cast<size_t>(form_)].first)}};
  }

 private:
  NormalForm form_;
};

class Lowercase : public Normalizer {
 public:
  void Apply(NormalizedText& text) const override { text.Lowercase(); }
  OrderedJson ToJson() const override { return {{"type", "Lowercase"}}; }
};

class StripAccents : public Normalizer {
 public:
  void Apply(NormalizedText& text) const override {
    text.Filter([](char32_t c) { return !IsMark(c); });
  }
  OrderedJson ToJson() const override { return {{"type", "StripAccents"}}; }
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void Apply(NormalizedText& text) const override {
    if (left_) text.StripLeft();
    if (right_) text.StripRight();
  }
  OrderedJson ToJson() const override {
    return {{"type", "Strip"}, {"strip_left", left_}, {"strip_right", right_}};
  }

 private:
  bool left_, right_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string content) : content_(std::move(content)) {}
  void Apply(NormalizedText& text) const override { text.Prepend(content_); }
  OrderedJson ToJson() const override { return {{"type", "Prepend"}, {"prepend", content_}}; }

 private:
  std::string content_;
};

class Replace : public Normalizer {
 public:
  Replace(Regex pattern, bool is_regex, std::string content)
      : pattern_(std::move(pattern)), is_regex_(is_regex), content_(std::move(content)) {}
  void Apply(NormalizedText& text) const override { text.Replace(pattern_, content_); }
  OrderedJson ToJson() const override {
    const OrderedJson pattern = {{is_regex_ ? "Regex" : "String", pattern_.pattern()}};
    return {{"type", "Replace"}, {"pattern", pattern}, {"content", content_}};
  }

 private:
  Regex pattern_;
  bool is_regex_;
  std::string content_;
};

// SentencePiece's default rules for machine translation: control characters go, and what else
// separates words becomes a blank.
class Nmt : public Normalizer {
 public:
  void Apply(NormalizedText& text) const override {
    text.Filter([](char32_t c) { return !IsDropped(c); });
    text.Map([](char32_t c) { return IsBlank(c) ? U' ' : c; });
  }
  OrderedJson ToJson() const override { return {{"type", "Nmt"}}; }

 private:
  static bool IsDropped(char32_t c) {
    return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
           c == 0x8F || c == 0x9F;
  }
  static bool IsBlank(char32_t c) {
    return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
           (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
           c == 0xFEFF || c == 0xFFFD;
  }
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<const Normalizer>> parts)
      : parts_(std::move(parts)) {}
  void Apply(NormalizedText& text) const override {
    for (const auto& part : parts_) part->Apply(text);
  }
  OrderedJson ToJson() const override {
    OrderedJson parts = OrderedJson::array();
    for (const auto& part : parts_) parts.push_back(part->ToJson());
    return {{"type", "Sequence"}, {"normalizers", parts}};
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> parts_;
};

class Reader {
 public:
  explicit Reader(const std::string& source) : source_(source) {}

  std::unique_ptr<const Normalizer> Read(const Json& entry, const std::string& path, int depth) {
    if (depth > kMaxDepth) Refuse(path, "sequences nested too deep", "");
    if (!entry.is_object()) Refuse(path, "an entry that is no object", "{\"type\": ...}");
    const std::string type = String(entry, "type", path);
    for (const auto& [name, form] : kForms) {
      if (type == name) return std::make_unique<UnicodeForm>(form);
    }
    if (type == "Lowercase") return std::make_unique<Lowercase>();
    if (type == "StripAccents") return std::make_unique<StripAccents>();
    if (type == "Nmt") return std::make_unique<Nmt>();
    if (type == "Strip") {
      return std::make_unique<Strip>(Bool(entry, "strip_left", path),
                                     Bool(entry, "strip_right", path));
    }
    if (type == "Prepend") return std::make_unique<Prepend>(String(entry, "prepend", path));
    if (type == "Replace") return ReadReplace(entry, path);
    if (type == "Sequence") return ReadSequence(entry, path, depth);
    Refuse(path, fmt::format("a normalizer of type '{}'", type),
           "NFC, NFD, NFKC, NFKD, Lowercase, Nmt, Prepend, Replace, Sequence, Strip or "
           "StripAccents");
  }

 private:
  std::unique_ptr<const Normalizer> ReadReplace(const Json& entry, const std::string& path) {
    std::string content = String(entry, "content", path);
    const Json& pattern = Member(entry, "pattern", path);
    const std::string where = path + ".pattern";
    if (!pattern.is_object() || pattern.size() != 1) {
      Refuse(where, "a pattern of no known form", R"({"String": ...} or {"Regex": ...})");
    }
    const bool is_regex = pattern.begin().key() == "Regex";
    const std::string text = String(pattern, is_regex ? "Regex" : "String", where);
    return std::make_unique<Replace>(
        is_regex ? Regex::Compile(text, source_ + ": " + where) : Regex::Literal(text), is_regex,
        std::move(content));
  }

  std::unique_ptr<const Normalizer> ReadSequence(const Json& entry, const std::string& path,
                                                 int depth) {
    const Json& list = Member(entry, "normalizers", path);
    if (!list.is_array()) Refuse(path + ".normalizers", "something that is no list", "a list");
    std::vector<std::unique_ptr<const Normalizer>> parts;
    for (size_t i = 0; i < list.size(); ++i) {
      parts.push_back(Read(list[i], fmt::format("{}.normalizers[{}]", path, i), depth + 1));
    }
    return std::make_unique<Sequence>(std::move(parts));
  }

  const Json& Member(const Json& entry, const char* key, const std::string& path) const {
    const auto found = entry.find(key);
    if (found == entry.end()) Refuse(path, fmt::format("no '{}'", key), "");
    return *found;
  }

  std::string String(const Json& entry, const char* key, const std::string& path) const {
    const Json& value = Member(entry, key, path);
    if (!value.is_string()) {
      Refuse(path + "." + key, fmt::format("a {}", value.type_name()), "a string");
    }
    return value.get<std::string>();
  }

  bool Bool(const Json& entry, const char* key, const std::string& path) const {
    const Json& value = Member(entry, key, path);
    if (!value.is_boolean()) {
      Refuse(path + "." + key, fmt::format("a {}", value.type_name()), "true or false");
    }
    return value.get<bool>();
  }

  [[noreturn]] void Refuse(const std::string& path, const std::string& what,
                           const std::string& expected) const {
    throw UserError({.what = fmt::format("{}: {}", path, what),
                     .where = source_,
                     .expected = expected,
                     .hint = ""});
  }

  const std::string& source_;
};
}  // namespace

std::unique_ptr<const Normalizer> ReadNormalizer(const Json& entry, const std::string& source) {
  if (entry.is_null()) return nullptr;
  return Reader(source).Read(entry, "normalizer", 0);
}

}  // namespace pawl::text
