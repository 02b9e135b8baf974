// A line of a data file as a JSON object, read strictly: what two readers could take differently
// (duplicate keys) or what could exhaust memory (depth, numbers of keys and values) is refused.
// Pure function.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace pawl::text {

using Json = nlohmann::ordered_json;  // keys keep their order: chat templates print tools

// What is wrong with a record, in the parts of a message.
struct Problem {
  std::string what, expected, hint;
};

// Parses one JSON value. False: `problem` says why not. `text` must be UTF-8.
bool ParseJson(std::string_view text, Json& out, Problem& problem);

// "text", "a list", "nothing (null)", ...: what a value is, for messages.
std::string KindOf(const Json& value);

}  // namespace pawl::text
