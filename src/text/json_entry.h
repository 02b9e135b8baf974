// One object of a JSON document with its place there, read field by field. What is missing or of
// another type is a UserError that names the file and the place.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"

namespace pawl::text {

class JsonEntry {
 public:
  // `place`: the file, then the keys on the way: "tokenizer.json: model". Throws where `value` is
  // no object. Both must outlive this.
  JsonEntry(const nlohmann::json& value, std::string place);

  const std::string& place() const { return place_; }
  bool Has(const char* key) const;  // there, and not null
  std::string String(const char* key) const;
  std::optional<std::string> OptionalString(const char* key) const;
  bool Bool(const char* key, std::optional<bool> otherwise = std::nullopt) const;
  int64_t Integer(const char* key) const;
  JsonEntry Object(const char* key) const;
  std::vector<JsonEntry> Objects(const char* key) const;  // an array of objects
  const nlohmann::json& Array(const char* key) const;
  // A string of one code point.
  std::string Character(const char* key) const;
  // Throws for a key that is none of these: what is not understood is not overlooked.
  void Only(std::initializer_list<const char*> keys) const;
  [[noreturn]] void Refuse(const std::string& what, const std::string& expected) const;

 private:
  const nlohmann::json& Field(const char* key, const char* kind,
                              bool (*is)(const nlohmann::json&)) const;
  const nlohmann::json* value_;
  std::string place_;
};

// Parses a text, which names itself `source` in messages. Throws UserError where it is not JSON.
nlohmann::json ParseJson(std::string_view text, const std::string& source);

}  // namespace pawl::text
