// What stands behind core::Table: the values of a TOML file with where each was written. Read by
// the visitors of config.cc and printed by config_print.cc; nothing outside src/core includes this.
// Immutable once parsed.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"

namespace pawl::core {
namespace internal {

struct Value {
  enum class Kind : uint8_t { kBool, kInteger, kNumber, kText, kDate, kList, kTable };
  Kind kind = Kind::kBool;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::string text;  // kText: the text; kDate: as TOML writes it
  std::vector<Value> list;
  std::shared_ptr<const Table::Impl> table;
  std::string where;  // "run.toml:12" or "--set ppo.gamma=x"
};

// "true", "3", "0.5", "\"a\"", "[1, 2]", "{ a = 1 }": TOML syntax on one line.
std::string ToInlineToml(const Value& value);
std::string ToInlineToml(const Table::Impl& table);
// A number in TOML syntax that reads back to the same bits and never looks like an integer ("1.0",
// "1e-05", "inf").
std::string NumberToToml(double value);
// A text in TOML syntax: a basic string with its escapes.
std::string TextToToml(std::string_view text);
// A key as TOML wants it: bare where it can be, else quoted.
std::string KeyToToml(std::string_view key);
// "text \"abc\"", "the integer 3", "a table": what was found, shortened, for messages.
std::string Found(const Value& value);

}  // namespace internal

struct Table::Impl {
  struct Entry {
    std::string key;
    internal::Value value;
  };
  std::vector<Entry> entries;  // in the order of the file
  const internal::Value* Find(std::string_view key) const;
};

}  // namespace pawl::core
