#include "core/config_table.h"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <tuple>

// toml++ 3.3 asserts what it then reports as a parse error ("[ = 1"): a debug build would abort on
// bad input, and an optimised clang build would take the assertion for true. Without assertions it
// reports in every build.
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "core/file.h"

namespace pawl::core {
namespace internal {
namespace {
using Kind = Value::Kind;

// Message of a parser, of any length and over several lines, as one short line.
std::string OneShortLine(std::string_view text) {
  std::string line;
  for (const char c : text.substr(0, 300)) {
    const bool blank = static_cast<unsigned char>(c) <= ' ';
    if (!blank) line += c;
    if (blank && !line.empty() && line.back() != ' ') line += ' ';
  }
  return text.size() > 300 ? line + "..." : line;
}

// Where a node was written: `fixed` (an override) or "source:line".
struct Origin {
  const std::string& source;
  bool with_line;
  std::string Of(const toml::node& node) const {
    return with_line ? fmt::format("{}:{}", source, node.source().begin.line) : source;
  }
};

std::shared_ptr<const Table::Impl> ConvertTable(const toml::table& table, const Origin& origin);

template <class T>
std::string Printed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Value Convert(const toml::node& node, const Origin& origin) {
  Value value{.where = origin.Of(node)};
  if (const auto* boolean = node.as_boolean()) {
    value.boolean = boolean->get();
  } else if (const auto* integer = node.as_integer()) {
    value.kind = Kind::kInteger;
    value.integer = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    value.kind = Kind::kNumber;
    value.number = number->get();
  } else if (const auto* text = node.as_string()) {
    value.kind = Kind::kText;
    value.text = text->get();
  } else if (const auto* list = node.as_array()) {
    value.kind = Kind::kList;
    for (const auto& element : *list) value.list.push_back(Convert(element, origin));
  } else if (const auto* table = node.as_table()) {
    value.kind = Kind::kTable;
    value.table = ConvertTable(*table, origin);
  } else {
    value.kind = Kind::kDate;
    if (const auto* date = node.as_date()) value.text = Printed(date->get());
    if (const auto* time = node.as_time()) value.text = Printed(time->get());
    if (const auto* date_time = node.as_date_time()) value.text = Printed(date_time->get());
  }
  return value;
}

std::shared_ptr<const Table::Impl> ConvertTable(const toml::table& table, const Origin& origin) {
  // toml++ sorts by name; people read their file from the top
  std::vector<std::pair<const toml::key*, const toml::node*>> nodes;
  for (const auto& [key, node] : table) nodes.emplace_back(&key, &node);
  std::stable_sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) {
    const auto& p = a.first->source().begin;
    const auto& q = b.first->source().begin;
    return std::tie(p.line, p.column) < std::tie(q.line, q.column);
  });
  auto impl = std::make_shared<Table::Impl>();
  for (const auto& [key, node] : nodes)
    impl->entries.push_back({std::string(key->str()), Convert(*node, origin)});
  return impl;
}

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool IsUtf8(std::string_view text) {
  try {
    return !toml::parse("v = " + TextToToml(text)).empty();
  } catch (const toml::parse_error&) {
    return false;
  }
}

// The value of an override: TOML where it is TOML, else the text itself.
Value ParseOverrideValue(std::string_view text, const std::string& where) {
  const Value as_text{.kind = Kind::kText, .text = std::string(text), .where = where};
  if (text.empty()) return as_text;
  // quotes and brackets announce TOML: a slip inside them is better said than taken as text
  const bool announces_toml =
      std::string_view("\"'[{").find(text.front()) != std::string_view::npos;
  try {
    const toml::table parsed = toml::parse("v = " + std::string(text));
    if (parsed.size() != 1) {
      throw UserError(
          {.what = "more than one value", .where = where, .expected = "--set a.b.c=value"});
    }
    const Value value = Convert(*parsed.get("v"), {.source = where, .with_line = false});
    return value.kind == Kind::kDate ? as_text : value;  // a run may be named 2031-05-01
  } catch (const toml::parse_error& error) {
    if (!announces_toml && IsUtf8(text)) return as_text;
    throw UserError({.what = "not a TOML value: " + OneShortLine(error.description()),
                     .where = where,
                     .hint = "quote for the shell too: --set 'key=\"text\"'"});
  }
}

// A copy of `table` with the value at `path` set; `done` is the part of the path already walked,
// for messages.
std::shared_ptr<const Table::Impl> WithValue(const Table::Impl& table,
                                             std::span<const std::string> path,
                                             const std::string& done, Value value) {
  auto copy = std::make_shared<Table::Impl>(table);
  auto found = std::find_if(copy->entries.begin(), copy->entries.end(),
                            [&](const auto& entry) { return entry.key == path[0]; });
  if (path.size() > 1) {
    const std::string here = done + path[0];
    Value inner{
        .kind = Kind::kTable, .table = std::make_shared<Table::Impl>(), .where = value.where};
    if (found != copy->entries.end()) {
      if (found->value.kind != Kind::kTable) {
        throw UserError({.what = fmt::format("'{}' is {}", here, Found(found->value)),
                         .where = value.where,
                         .expected = "a table"});
      }
      inner = found->value;
    }
    inner.table = WithValue(*inner.table, path.subspan(1), here + ".", std::move(value));
    value = std::move(inner);
  }
  if (found != copy->entries.end()) {
    found->value = std::move(value);
  } else {
    copy->entries.push_back({path[0], std::move(value)});
  }
  return copy;
}

void AppendToml(const Table::Impl& table, const std::string& prefix, std::string& out) {
  for (const auto& [key, value] : table.entries) {
    if (value.kind != Kind::kTable) out += KeyToToml(key) + " = " + ToInlineToml(value) + "\n";
  }
  for (const auto& [key, value] : table.entries) {
    if (value.kind != Kind::kTable) continue;
    const std::string path = prefix + KeyToToml(key);
    out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", path);
    AppendToml(*value.table, path + ".", out);
  }
}
}  // namespace

}  // namespace internal

const internal::Value* Table::Impl::Find(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

Table::Table() : impl_(std::make_shared<Impl>()) {}

Table Table::ParseFile(const std::string& path) {
  std::string text;
  try {
    // a pipe or device could keep us waiting for ever
    if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path))
      throw Error(fmt::format("'{}' is no regular file", path));
    text = ReadTextFile(path);
  } catch (const Error& error) {
    throw UserError({.what = error.what(), .expected = "a TOML file"});
  }
  return ParseString(text, path);
}

Table Table::ParseString(std::string_view text, const std::string& source_name) {
  try {
    const toml::table parsed = toml::parse(text);
    return Table(internal::ConvertTable(parsed, {.source = source_name, .with_line = true}));
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    throw UserError({.what = "not TOML: " + internal::OneShortLine(error.description()),
                     .where = fmt::format("{}:{}:{}", source_name, begin.line, begin.column)});
  }
}

Table Table::WithOverride(std::string_view assignment) const {
  const std::string where = "--set " + internal::OneShortLine(assignment);
  const UserErrorParts malformed{
      .what = "no 'key=value'", .where = where, .expected = "--set a.b.c=value"};
  const auto equals = assignment.find('=');
  if (equals == std::string_view::npos) throw UserError(malformed);
  std::vector<std::string> path;
  std::string_view rest = assignment.substr(0, equals);
  for (size_t dot = 0; dot != std::string_view::npos; rest.remove_prefix(dot + 1)) {
    dot = rest.find('.');
    const std::string_view part = internal::Trim(rest.substr(0, dot));
    if (internal::KeyToToml(part) != part) throw UserError(malformed);
    path.emplace_back(part);
    if (dot == std::string_view::npos) break;
  }
  auto value = internal::ParseOverrideValue(internal::Trim(assignment.substr(equals + 1)), where);
  return Table(internal::WithValue(*impl_, path, "", std::move(value)));
}

bool Table::empty() const { return impl_->entries.empty(); }

std::vector<std::string> Table::Keys() const {
  std::vector<std::string> keys;
  for (const auto& entry : impl_->entries) keys.push_back(entry.key);
  return keys;
}

std::optional<std::string> Table::FindString(std::string_view key) const {
  const internal::Value* value = impl_->Find(key);
  if (value == nullptr || value->kind != internal::Value::Kind::kText) return std::nullopt;
  return value->text;
}

Table Table::WithString(std::string_view key, std::string_view text) const {
  return WithOverride(internal::KeyToToml(key) + "=" + internal::TextToToml(text));
}

Table Table::Sub(std::string_view key) const {
  const internal::Value* value = impl_->Find(key);
  if (value == nullptr) return Table();
  if (value->kind != internal::Value::Kind::kTable) {
    throw UserError({.what = fmt::format("{} is {}", key, internal::Found(*value)),
                     .where = value->where,
                     .expected = "a table"});
  }
  return Table(value->table);
}

std::string Table::ToToml() const {
  std::string out;
  internal::AppendToml(*impl_, "", out);
  return out;
}

}  // namespace pawl::core
