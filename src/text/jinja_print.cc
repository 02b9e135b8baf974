// Values as text: str, repr and json.dumps.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "text/jinja_operators.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text::jinja {
namespace {

void AppendItems(Runtime& runtime, std::string& out, std::span<const Value> items, int depth) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ", ";
    AppendRepr(runtime, out, items[i], depth + 1);
  }
}

void AppendEntries(Runtime& runtime, std::string& out, std::span<const Entry> entries, int depth) {
  out += '{';
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) out += ", ";
    AppendRepr(runtime, out, entries[i].key, depth + 1);
    out += ": ";
    AppendRepr(runtime, out, entries[i].value, depth + 1);
  }
  out += '}';
}

void AppendView(Runtime& runtime, std::string& out, const Value& view, int depth) {
  static constexpr const char* kNames[] = {"dict_keys([", "dict_values([", "dict_items(["};
  out += kNames[static_cast<size_t>(view.view())];
  AppendItems(runtime, out, ItemsOf(runtime, view), depth);
  out += "])";
}
}  // namespace

void AppendRepr(Runtime& runtime, std::string& out, const Value& value, int depth) {
  runtime.Step();
  runtime.CheckDepth(depth);
  runtime.CheckOutput(out.size());
  switch (value.kind()) {
    case Kind::kUndefined:
      out += "Undefined";
      break;
    case Kind::kNone:
      out += "None";
      break;
    case Kind::kBool:
      out += value.integer() != 0 ? "True" : "False";
      break;
    case Kind::kInt:
      fmt::format_to(std::back_inserter(out), "{}", value.integer());
      break;
    case Kind::kFloat:
      out += python::Repr(value.real());
      break;
    case Kind::kString:
      runtime.StepBytes(value.size());
      out += value.is_markup() ? "Markup(" + python::Repr(value.text()) + ")"
                               : python::Repr(value.text());
      break;
    case Kind::kList:
      out += '[';
      AppendItems(runtime, out, value.items(), depth);
      out += ']';
      break;
    case Kind::kTuple:
      out += '(';
      AppendItems(runtime, out, value.items(), depth);
      out += value.size() == 1 ? ",)" : ")";
      break;
    case Kind::kDict:
      AppendEntries(runtime, out, value.entries(), depth);
      break;
    case Kind::kView:
      AppendView(runtime, out, value, depth);
      break;
    case Kind::kRange:
      fmt::format_to(std::back_inserter(out), "range({}, {}", value.range().start,
                     value.range().stop);
      if (value.range().step != 1) {
        fmt::format_to(std::back_inserter(out), ", {}", value.range().step);
      }
      out += ')';
      break;
    case Kind::kNamespace:
      out += "<Namespace ";
      AppendEntries(runtime, out, value.name_space().entries, depth);
      out += '>';
      break;
    case Kind::kMacro:
      fmt::format_to(std::back_inserter(out), "<Macro '{}'>", value.macro().name);
      break;
    case Kind::kLoop:
      fmt::format_to(std::back_inserter(out), "<LoopContext {}/{}>", value.loop().index0 + 1,
                     value.loop().items.size());
      break;
    case Kind::kIterator:
      out += "<generator>";  // Python prints an address
      break;
    case Kind::kFunction:
      out += "<function>";
      break;
    case Kind::kMethod:
      out += "<method>";
      break;
  }
}

void AppendText(Runtime& runtime, std::string& out, const Value& value) {
  if (value.Is(Kind::kString)) {
    out += value.text();
    runtime.CheckOutput(out.size());
  } else if (!value.Is(Kind::kUndefined)) {
    AppendRepr(runtime, out, value);
  } else if (runtime.refuses_undefined()) {
    runtime.FailUndefined(value);
  }
}

std::string_view TextOf(Runtime& runtime, const Value& value) {
  if (value.Is(Kind::kString)) return value.text();
  std::string out;
  AppendText(runtime, out, value);
  return runtime.Text(out).text();
}

std::string EscapedHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

namespace {

void AppendJsonString(std::string& out, std::string_view text, bool ensure_ascii) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const uint8_t byte = static_cast<uint8_t>(text[at]);
    static constexpr std::string_view kFrom = "\"\\\n\r\t\f\b", kTo = "\"\\nrtfb";
    if (const size_t known = kFrom.find(text[at]); known != kFrom.npos) {
      out += '\\';
      out += kTo[known];
      ++at;
    } else if (byte < 0x20 || (byte == 0x7F && ensure_ascii)) {
      out += fmt::format("\\u{:04x}", byte);
      ++at;
    } else if (byte < 0x80 || !ensure_ascii) {
      out += text[at++];
    } else {
      const CodePoint c = CodePointAt(text, at);
      at += c.size;
      uint32_t value = c.value;
      if (value >= 0x10000) {
        value -= 0x10000;
        out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (value >> 10), 0xDC00 + (value & 0x3FF));
      } else {
        out += fmt::format("\\u{:04x}", value);
      }
    }
  }
  out += '"';
}

std::string JsonFloat(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return python::Repr(value);
}

std::string JsonKey(Runtime& runtime, const Value& key) {
  switch (key.kind()) {
    case Kind::kString:
      return std::string(key.text());
    case Kind::kFloat:
      return JsonFloat(key.real());
    case Kind::kBool:
      return key.integer() != 0 ? "true" : "false";
    case Kind::kNone:
      return "null";
    case Kind::kInt:
      return std::to_string(key.integer());
    default:
      runtime.Fail(fmt::format("tojson: {} as a key", TypeName(key.kind())));
  }
}

void BreakLine(std::string& out, const JsonStyle& style, int depth) {
  if (!style.has_indent) return;
  out += '\n';
  for (int i = 0; i < depth; ++i) out += style.indent;
}

// `append(i)` writes item i of `count`.
template <class Append>
void AppendJsonItems(std::string& out, const JsonStyle& style, int depth, size_t count,
                     const Append& append) {
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out += style.item_separator;
    BreakLine(out, style, depth + 1);
    append(i);
  }
  if (count > 0) BreakLine(out, style, depth);
}
}  // namespace

void AppendJson(Runtime& runtime, std::string& out, const Value& value, const JsonStyle& style,
                int depth) {
  runtime.Step();
  runtime.CheckDepth(depth);
  runtime.CheckOutput(out.size());
  switch (value.kind()) {
    case Kind::kNone:
      out += "null";
      return;
    case Kind::kBool:
      out += value.integer() != 0 ? "true" : "false";
      return;
    case Kind::kInt:
      fmt::format_to(std::back_inserter(out), "{}", value.integer());
      return;
    case Kind::kFloat:
      out += JsonFloat(value.real());
      return;
    case Kind::kString:
      runtime.StepBytes(value.size());
      return AppendJsonString(out, value.text(), style.ensure_ascii);
    case Kind::kList:
    case Kind::kTuple:
      out += '[';
      AppendJsonItems(out, style, depth, value.size(), [&](size_t i) {
        AppendJson(runtime, out, value.items()[i], style, depth + 1);
      });
      out += ']';
      return;
    case Kind::kDict: {
      const auto entries = value.entries();
      std::vector<size_t> order(entries.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      if (style.sort_keys) {
        const std::span<Value> keys = runtime.New<Value>(entries.size());
        for (size_t i = 0; i < keys.size(); ++i) keys[i] = entries[i].key;
        order = SortedOrder(runtime, keys, false);
      }
      out += '{';
      AppendJsonItems(out, style, depth, entries.size(), [&](size_t i) {
        const Entry& entry = entries[order[i]];
        AppendJsonString(out, JsonKey(runtime, entry.key), style.ensure_ascii);
        out += style.key_separator;
        AppendJson(runtime, out, entry.value, style, depth + 1);
      });
      out += '}';
      return;
    }
    default:
      runtime.Fail(fmt::format("tojson of {}: it is no JSON", TypeName(value.kind())));
  }
}

}  // namespace pawl::text::jinja
