// How values and configs are shown: in TOML syntax, with help, as Markdown, as a list of
// differences.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>

#include "core/config.h"
#include "core/config_table.h"

namespace pawl::core {
namespace internal {
namespace {
template <class T, class Show>
std::string ListToToml(const std::vector<T>& values, Show show) {
  std::string out;
  for (const T& value : values) out += (out.empty() ? "" : ", ") + show(value);
  return "[" + out + "]";
}
std::string IntegerToToml(int64_t value) { return std::to_string(value); }
}  // namespace

std::string NumberToToml(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  std::string text(buffer, end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string TextToToml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default: {
        const auto code = static_cast<unsigned char>(c);
        out += code < 0x20 || code == 0x7F ? fmt::format("\\u{:04X}", code) : std::string(1, c);
      }
    }
  }
  return out + "\"";
}

std::string KeyToToml(std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return c < 128 && (std::isalnum(c) != 0 || c == '_' || c == '-');
  });
  return bare ? std::string(key) : TextToToml(key);
}

std::string ToInlineToml(const Table::Impl& table) {
  std::string out;
  for (const auto& [key, value] : table.entries) {
    out += (out.empty() ? " " : ", ") + KeyToToml(key) + " = " + ToInlineToml(value);
  }
  return out.empty() ? "{}" : "{" + out + " }";
}

std::string ToInlineToml(const Value& value) {
  using Kind = Value::Kind;
  switch (value.kind) {
    case Kind::kBool:
      return value.boolean ? "true" : "false";
    case Kind::kInteger:
      return std::to_string(value.integer);
    case Kind::kNumber:
      return NumberToToml(value.number);
    case Kind::kText:
      return TextToToml(value.text);
    case Kind::kDate:
      return value.text;
    case Kind::kTable:
      return ToInlineToml(*value.table);
    case Kind::kList:
      break;
  }
  std::string out;
  for (const auto& element : value.list) out += (out.empty() ? "" : ", ") + ToInlineToml(element);
  return "[" + out + "]";
}

std::string Found(const Value& value) {
  static constexpr const char* kKinds[] = {"",          "the integer ", "the number ", "the text ",
                                           "the date ", "the list ",    "the table "};
  std::string shown = ToInlineToml(value);
  if (shown.size() > 60) {
    size_t cut = 57;
    while ((shown[cut] & 0xC0) == 0x80) --cut;  // never inside a UTF-8 character
    shown = shown.substr(0, cut) + "...";
  }
  return kKinds[static_cast<int>(value.kind)] + shown;
}

void Describer::Add(const char* name, std::string type, std::string value, const FieldInfo& info) {
  out_.push_back(
      {.key = prefix_ + name, .type = std::move(type), .value = std::move(value), .info = info});
}
void Describer::Field(const char* name, bool& value, const FieldInfo& info) {
  Add(name, "true|false", value ? "true" : "false", info);
}
void Describer::Field(const char* name, int& value, const FieldInfo& info) {
  Add(name, "integer", std::to_string(value), info);
}
void Describer::Field(const char* name, int64_t& value, const FieldInfo& info) {
  Add(name, "integer", std::to_string(value), info);
}
void Describer::Field(const char* name, uint64_t& value, const FieldInfo& info) {
  Add(name, "integer", std::to_string(value), info);
}
void Describer::Field(const char* name, double& value, const FieldInfo& info) {
  Add(name, "number", NumberToToml(value), info);
}
void Describer::Field(const char* name, std::string& value, const FieldInfo& info) {
  Add(name, "text", TextToToml(value), info);
}
void Describer::Field(const char* name, std::vector<int64_t>& value, const FieldInfo& info) {
  Add(name, "list of integers", ListToToml(value, IntegerToToml), info);
}
void Describer::Field(const char* name, std::vector<double>& value, const FieldInfo& info) {
  Add(name, "list of numbers", ListToToml(value, NumberToToml), info);
}
void Describer::Field(const char* name, std::vector<std::string>& value, const FieldInfo& info) {
  Add(name, "list of texts", ListToToml(value, TextToToml), info);
}
void Describer::Raw(const char* name, Table& value, const char* help) {
  Add(name, "table", ToInlineToml(value.impl()), {.help = help});
}
}  // namespace internal

namespace {
// "number, 0 to 1, s": type, range and unit of a field.
std::string TypeAndRange(const FieldDoc& field) {
  const bool integer = field.type.find("integer") != std::string::npos;
  const auto bound = [&](double value) {
    return integer ? fmt::format("{:.0f}", value) : fmt::format("{}", value);
  };
  const bool has_min = std::isfinite(field.info.min);
  const bool has_max = std::isfinite(field.info.max);
  std::string text = field.type;
  if (has_min && has_max) {
    text += fmt::format(", {} to {}", bound(field.info.min), bound(field.info.max));
  } else if (has_min) {
    text += ", >= " + bound(field.info.min);
  } else if (has_max) {
    text += ", <= " + bound(field.info.max);
  }
  if (*field.info.unit != '\0') text += std::string(", ") + field.info.unit;
  return text;
}

struct Section {
  std::string name;  // "" for the keys outside any section
  std::string help;
  std::vector<const FieldDoc*> fields;
};

std::string ParentOf(const std::string& key) {
  const auto dot = key.rfind('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

// In TOML a key written after a [header] belongs to it: fields are grouped by section, sections in
// order of appearance.
std::vector<Section> GroupBySection(const std::vector<FieldDoc>& fields) {
  std::vector<Section> sections{{}};
  std::map<std::string, size_t> index{{"", 0}};
  for (const FieldDoc& field : fields) {
    const std::string name = field.is_section ? field.key : ParentOf(field.key);
    const auto [entry, is_new] = index.try_emplace(name, sections.size());
    if (is_new) sections.push_back({.name = name});
    Section& section = sections[entry->second];
    if (field.is_section) {
      section.help = field.info.help;
    } else {
      section.fields.push_back(&field);
    }
  }
  return sections;
}

std::string Print(const std::vector<FieldDoc>& fields, bool with_help) {
  std::string out;
  for (const Section& section : GroupBySection(fields)) {
    if (section.fields.empty()) continue;
    if (!section.name.empty()) {
      if (!out.empty()) out += "\n";
      if (with_help && !section.help.empty()) out += "# " + section.help + "\n";
      out += "[" + section.name + "]\n";
    }
    for (const FieldDoc* field : section.fields) {
      if (with_help) out += fmt::format("# {} ({})\n", field->info.help, TypeAndRange(*field));
      const size_t name_begin = section.name.empty() ? 0 : section.name.size() + 1;
      out += internal::KeyToToml(std::string_view(field->key).substr(name_begin)) + " = " +
             field->value + "\n";
    }
  }
  return out;
}

// '|' would end the cell.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? "\\|" : std::string(1, c);
  return out;
}
}  // namespace

std::string ToToml(const std::vector<FieldDoc>& fields) { return Print(fields, false); }
std::string ToTomlWithHelp(const std::vector<FieldDoc>& fields) { return Print(fields, true); }

std::string ToMarkdown(const std::vector<FieldDoc>& fields) {
  std::string out;
  for (const Section& section : GroupBySection(fields)) {
    if (section.fields.empty() && section.help.empty()) continue;
    if (!section.name.empty())
      out += fmt::format("{}## `{}`\n\n", out.empty() ? "" : "\n", section.name);
    if (!section.help.empty()) out += section.help + "\n\n";
    if (section.fields.empty()) continue;
    out += "| key | type | default | meaning |\n|---|---|---|---|\n";
    for (const FieldDoc* field : section.fields) {
      out += fmt::format("| `{}` | {} | `{}` | {} |\n", field->key, Cell(TypeAndRange(*field)),
                         Cell(field->value), Cell(field->info.help));
    }
  }
  return out;
}

std::vector<std::string> ConfigDifferences(const std::vector<FieldDoc>& before,
                                           const std::vector<FieldDoc>& after) {
  static const std::string kAbsent = "(absent)";
  std::map<std::string, std::string> old_values;
  for (const FieldDoc& field : before) {
    if (!field.is_section) old_values[field.key] = field.value;
  }
  std::vector<std::string> lines;
  const auto compare = [&](const std::string& key, const std::string& old_value,
                           const std::string& new_value) {
    if (old_value != new_value)
      lines.push_back(fmt::format("{}: {} -> {}", key, old_value, new_value));
  };
  for (const FieldDoc& field : after) {
    if (field.is_section) continue;
    const auto found = old_values.find(field.key);
    compare(field.key, found == old_values.end() ? kAbsent : found->second, field.value);
    if (found != old_values.end()) old_values.erase(found);
  }
  for (const auto& [key, value] : old_values) compare(key, value, kAbsent);
  return lines;
}

}  // namespace pawl::core
