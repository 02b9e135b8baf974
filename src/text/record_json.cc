#include "text/record_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace pawl::text {
namespace {
constexpr size_t kMaxDepth = 100;
constexpr size_t kMaxKeys = 1000;  // of one object: looking for duplicates is quadratic in them
constexpr size_t kMaxValues = 1'000'000;
constexpr size_t kMaxQuote = 60;

std::string Quoted(const std::string& text) {
  return fmt::format("'{}{}'", text.substr(0, kMaxQuote), text.size() > kMaxQuote ? "..." : "");
}

// Builds the value from the parser's events; the first thing it refuses ends the parse.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(Json& out, Problem& problem) : out_(out), problem_(problem) {}

  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(number_integer_t value) override { return Add(value); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value); }
  bool number_float(number_float_t value, const string_t&) override { return Add(value); }
  bool string(string_t& value) override { return Add(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return Open(Json::object()); }
  bool start_array(size_t) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    const auto& object = open_.back()->get_ref<const Json::object_t&>();
    if (object.size() == kMaxKeys)
      return Refuse(fmt::format("an object of more than {} keys", kMaxKeys), "fewer keys");
    if (std::ranges::any_of(object, [&](const auto& entry) { return entry.first == name; }))
      return Refuse(fmt::format("the key {} twice in one object", Quoted(name)), "each key once");
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const Json::exception& error) override {
    // "...: syntax error while parsing value - invalid literal; last read: '...'"
    std::string reason = error.what();
    reason = reason.substr(0, reason.find("; last read"));
    if (const size_t dash = reason.rfind(" - "); dash != std::string::npos) {
      reason.erase(0, dash + 3);
    } else if (const size_t colon = reason.rfind(": "); colon != std::string::npos) {
      reason.erase(0, colon + 2);
    }
    return Refuse(fmt::format("no JSON: {} at byte {}", reason.substr(0, 2 * kMaxQuote), position),
                  "one JSON object a line");
  }

 private:
  bool Refuse(std::string what, std::string expected) {
    problem_ = {.what = std::move(what), .expected = std::move(expected), .hint = ""};
    return false;
  }
  // Where a value stands once it is in its object or list; null where there are too many.
  Json* Put(Json&& value) {
    if (++values_ > kMaxValues) {
      Refuse(fmt::format("a record of more than {} values", kMaxValues), "fewer");
      return nullptr;
    }
    if (open_.empty()) return &(out_ = std::move(value));
    if (open_.back()->is_array()) {
      auto& list = open_.back()->get_ref<Json::array_t&>();
      return &list.emplace_back(std::move(value));
    }
    auto& object = open_.back()->get_ref<Json::object_t&>();
    // no look-up: key() has seen that it is new
    static_cast<Json::object_t::Container&>(object).emplace_back(std::move(key_), std::move(value));
    return &object.back().second;
  }
  template <class T>
  bool Add(T&& value) {
    return Put(Json(std::forward<T>(value))) != nullptr;
  }
  // A parent's address holds while its child is open: nothing is added to it meanwhile.
  bool Open(Json&& empty) {
    if (open_.size() == kMaxDepth)
      return Refuse(fmt::format("values nested deeper than {}", kMaxDepth), "flatter records");
    Json* const place = Put(std::move(empty));
    if (place != nullptr) open_.push_back(place);
    return place != nullptr;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  Json& out_;
  Problem& problem_;
  std::vector<Json*> open_;
  std::string key_;
  size_t values_ = 0;
};
}  // namespace

bool ParseJson(std::string_view text, Json& out, Problem& problem) {
  out = nullptr;
  Builder builder(out, problem);
  return Json::sax_parse(text, &builder);
}

std::string KindOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "nothing (null)";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "text";
    case Json::value_t::boolean:
      return "true or false";
    default:
      return "a number";
  }
}

}  // namespace pawl::text
