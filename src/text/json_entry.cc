#include "text/json_entry.h"

#include "text/utf8.h"

namespace pawl::text {
using Json = nlohmann::json;

JsonEntry::JsonEntry(const Json& value, std::string place)
    : value_(&value), place_(std::move(place)) {
  if (!value.is_object()) Refuse("this is no JSON object", "an object");
}

void JsonEntry::Refuse(const std::string& what, const std::string& expected) const {
  throw UserError({.what = what, .where = place_, .expected = expected});
}

bool JsonEntry::Has(const char* key) const {
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

const Json& JsonEntry::Field(const char* key, const char* kind, bool (*is)(const Json&)) const {
  const auto found = value_->find(key);
  if (found == value_->end()) {
    Refuse(fmt::format("'{}' is missing", key), fmt::format("{} under '{}'", kind, key));
  }
  if (!is(*found)) {
    Refuse(fmt::format("'{}' is {}", key, found->type_name()),
           fmt::format("{} under '{}'", kind, key));
  }
  return *found;
}

std::string JsonEntry::String(const char* key) const {
  return Field(key, "a string", [](const Json& v) { return v.is_string(); }).get<std::string>();
}

std::optional<std::string> JsonEntry::OptionalString(const char* key) const {
  if (!Has(key)) return std::nullopt;
  return String(key);
}

bool JsonEntry::Bool(const char* key, std::optional<bool> otherwise) const {
  if (!Has(key) && otherwise) return *otherwise;
  return Field(key, "true or false", [](const Json& v) { return v.is_boolean(); }).get<bool>();
}

int64_t JsonEntry::Integer(const char* key) const {
  const Json& value = Field(key, "an integer", [](const Json& v) { return v.is_number_integer(); });
  if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) return INT64_MAX;
  return value.get<int64_t>();
}

JsonEntry JsonEntry::Object(const char* key) const {
  return {Field(key, "an object", [](const Json& v) { return v.is_object(); }), place_ + "." + key};
}

const Json& JsonEntry::Array(const char* key) const {
  return Field(key, "an array", [](const Json& v) { return v.is_array(); });
}

std::vector<JsonEntry> JsonEntry::Objects(const char* key) const {
  std::vector<JsonEntry> entries;
  size_t index = 0;
  for (const Json& value : Array(key))
    entries.emplace_back(value, fmt::format("{}.{}[{}]", place_, key, index++));
  return entries;
}

std::string JsonEntry::Character(const char* key) const {
  std::string text = String(key);
  if (text.empty() || CodePointAt(text, 0).size != text.size()) {
    Refuse(fmt::format("'{}' is \"{}\"", key, text), "one character");
  }
  return text;
}

void JsonEntry::Only(std::initializer_list<const char*> keys) const {
  for (const auto& [key, unused] : value_->items()) {
    bool known = false;
    for (const char* name : keys) known = known || key == name;
    if (!known) Refuse(fmt::format("'{}' is not supported", key), "the keys of this entry");
  }
}

Json ParseJson(std::string_view text, const std::string& source) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    throw UserError({.what = "this is not JSON", .where = source, .hint = error.what()});
  }
}

}  // namespace pawl::text
