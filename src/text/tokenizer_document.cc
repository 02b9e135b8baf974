#include "text/tokenizer_document.h"

#include "core/error.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;
constexpr size_t kMaxDepth = 100;

// Receives the document value by value.
class Reader : public Json::json_sax_t {
 public:
  Reader(TokenizerDocument& document, const std::string& source)
      : document_(document), source_(source) {}

  bool null() override { return Value(nullptr); }
  bool boolean(bool value) override { return Value(value); }
  bool number_integer(number_integer_t value) override { return Value(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kVocab) return Value(value);
    const auto id = value > INT64_MAX ? INT64_MAX : static_cast<int64_t>(value);
    document_.vocab.emplace_back(std::move(key_), id);
    return true;
  }
  bool number_float(number_float_t value, const string_t&) override { return Value(value); }
  bool binary(binary_t&) override { return false; }
  bool string(string_t& value) override {
    if (place_ == Place::kMerges) return Merge(value);
    if (place_ == Place::kPair) {
      if (pair_.size() == 2) Refuse("a merge of more than two tokens", "pairs of tokens");
      pair_.push_back(std::move(value));
      return true;
    }
    return Value(std::move(value));
  }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::kNone && open_.size() == 2 && in_model_ && key_ == "vocab") {
      Once(document_.has_vocab, "model.vocab");
      place_ = Place::kVocab;
      return true;
    }
    return Open(Json::object());
  }
  bool end_object() override {
    if (place_ == Place::kVocab) {
      place_ = Place::kNone;
      return true;
    }
    return Close();
  }
  bool start_array(size_t) override {
    if (place_ == Place::kMerges) {
      place_ = Place::kPair;
      pair_.clear();
      return true;
    }
    if (place_ == Place::kNone && open_.size() == 2 && in_model_ && key_ == "merges") {
      Once(document_.has_merges, "model.merges");
      place_ = Place::kMerges;
      return true;
    }
    return Open(Json::array());
  }
  bool end_array() override {
    if (place_ == Place::kPair) {
      if (pair_.size() != 2) Refuse("a merge of fewer than two tokens", "pairs of tokens");
      document_.merges.Add(pair_[0], pair_[1]);
      place_ = Place::kMerges;
      return true;
    }
    if (place_ == Place::kMerges) {
      place_ = Place::kNone;
      return true;
    }
    return Close();
  }
  bool parse_error(size_t at, const std::string&, const Json::exception& error) override {
    throw UserError({.what = "this is not JSON",
                     .where = fmt::format("{}, byte {}", source_, at),
                     .expected = "a tokenizer.json",
                     .hint = error.what()});
  }

 private:
  enum class Place : uint8_t { kNone, kVocab, kMerges, kPair };

  [[noreturn]] void Refuse(const std::string& what, const std::string& expected) const {
    throw UserError(
        {.what = what,
         .where = source_ + (place_ == Place::kVocab ? ": model.vocab" : ": model.merges"),
         .expected = expected});
  }
  void Once(bool& seen, const char* what) {
    if (seen) {
      throw UserError({.what = fmt::format("{} stands there twice", what), .where = source_});
    }
    seen = true;
  }
  // A merge as one string, "left right".
  bool Merge(const std::string& line) {
    if (line.starts_with("#version")) return true;
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
      Refuse(fmt::format("the merge {} is '{}'", document_.merges.size(), line),
             "two tokens with one space between them");
    }
    const std::string_view view = line;
    document_.merges.Add(view.substr(0, space), view.substr(space + 1));
    return true;
  }
  void RefuseInLists() const {
    if (place_ == Place::kVocab) Refuse(fmt::format("the token '{}' has no id", key_), "ids");
    if (place_ != Place::kNone) Refuse("a merge that is no string", "pairs of tokens");
  }
  Json* Add(Json value) {
    RefuseInLists();
    if (open_.empty()) {
      document_.rest = std::move(value);
      return &document_.rest;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[std::move(key_)] = std::move(value));
  }
  bool Value(Json value) {
    Add(std::move(value));
    return true;
  }
  bool Open(Json container) {
    if (open_.size() >= kMaxDepth) {
      throw UserError({.what = fmt::format("JSON of more than {} levels", kMaxDepth),
                       .where = source_,
                       .expected = "a tokenizer.json"});
    }
    if (open_.size() == 1) in_model_ = key_ == "model";
    open_.push_back(Add(std::move(container)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  TokenizerDocument& document_;
  const std::string& source_;
  std::vector<Json*> open_;  // the containers around the value that comes next
  std::string key_;
  bool in_model_ = false;
  Place place_ = Place::kNone;
  std::vector<std::string> pair_;
};
}  // namespace

TokenizerDocument ReadTokenizerDocument(std::string_view text, const std::string& source) {
  TokenizerDocument document;
  Reader reader(document, source);
  Json::sax_parse(text, &reader);
  return document;
}

}  // namespace pawl::text
