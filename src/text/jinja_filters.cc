#include "text/jinja_filters.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "text/jinja_methods.h"
#include "text/jinja_operators.h"
#include "text/jinja_sequence_filters.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text::jinja {
namespace {

int64_t IntArg(Runtime& runtime, std::string_view filter, const Value& value) {
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (!value.is_integral()) {
    runtime.Fail(fmt::format("{} of {}: it takes an integer", filter, TypeName(value.kind())));
  }
  return value.integer();
}

template <std::string (*kConvert)(std::string_view)>
Value Convert(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "filter", args, {}, 0, nullptr, nullptr);
  const std::string_view text = TextOf(runtime, value);
  runtime.StepBytes(text.size());
  return runtime.Text(kConvert(text), value.is_markup());
}

// Words begin after white space and any of -({[<.
std::string TitleWords(std::string_view text) {
  std::string out, word;
  const auto flush = [&] {
    if (word.empty()) return;
    const size_t first = python::ByteOffset(word, 1);
    out += python::Upper(std::string_view(word).substr(0, first));
    out += python::Lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const size_t size = python::ByteOffset(text.substr(at), 1);
    const std::string_view character = text.substr(at, size);
    at += size;
    static constexpr std::string_view kStarts = "-({[<";
    if (python::Strip(character).empty() ||
        (size == 1 && kStarts.find(character) != kStarts.npos)) {
      flush();
      out += character;
    } else {
      word += character;
    }
  }
  flush();
  return out;
}

Value Trim(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "trim", args, {"chars"});
  const std::string_view text = TextOf(runtime, value);
  runtime.StepBytes(text.size());
  if (!bound.given[0] || bound[0].Is(Kind::kNone)) {
    return Value::String(python::Strip(text), value.is_markup());
  }
  if (!bound[0].Is(Kind::kString)) runtime.Fail("trim of what is no string");
  const std::string_view chars = bound[0].text();
  runtime.Step(static_cast<int64_t>(text.size()) * static_cast<int64_t>(chars.size()) / 64);
  return Value::String(python::RightStrip(python::LeftStrip(text, chars), chars),
                       value.is_markup());
}

Value String(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "string", args, {}, 0, nullptr, nullptr);
  return value.Is(Kind::kString) ? value : Value::String(TextOf(runtime, value));
}

Value Safe(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "safe", args, {}, 0, nullptr, nullptr);
  return Value::String(TextOf(runtime, value), true);
}

Value Escape(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "escape", args, {}, 0, nullptr, nullptr);
  if (value.is_markup()) return value;
  return runtime.Text(EscapedHtml(TextOf(runtime, value)), true);
}
Value ForceEscape(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "forceescape", args, {}, 0, nullptr, nullptr);
  return runtime.Text(EscapedHtml(TextOf(runtime, value)), true);
}

Value Default(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "default", args, {"default_value", "boolean"});
  const bool replaces = value.Is(Kind::kUndefined) || (Truthy(bound[1]) && !Truthy(value));
  return !replaces ? value : bound.given[0] ? bound[0] : Value::String("");
}

Value Replace(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "replace", args, {"old", "new", "count"}, 2);
  const bool counted = bound.given[2] && !bound[2].Is(Kind::kNone);
  const Value texts[] = {Value::String(TextOf(runtime, bound[0])),
                         Value::String(TextOf(runtime, bound[1])),
                         Value::Int(counted ? IntArg(runtime, "replace", bound[2]) : -1)};
  static const int kReplace = MethodNamed("replace");
  return CallMethod(runtime, kReplace, Value::String(TextOf(runtime, value)), {texts, {}});
}

Value Center(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "center", args, {"width"});
  const Value width[] = {bound.given[0] ? bound[0] : Value::Int(80)};
  static const int kCenter = MethodNamed("center");
  return CallMethod(runtime, kCenter, Value::String(TextOf(runtime, value), value.is_markup()),
                    {width, {}});
}

Value Format(Runtime& runtime, const Value& value, const Args& args) {
  if (!args.named.empty() && !args.positional.empty()) {
    runtime.Fail("format with positional and named values");
  }
  Value values = Value::Tuple(args.positional);
  if (!args.named.empty()) {
    const std::span<Entry> entries = runtime.New<Entry>(args.named.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      entries[i] = {Value::String(args.named[i].name), args.named[i].value};
    }
    values = Value::Dict(entries);
  }
  return runtime.Text(PercentFormat(runtime, TextOf(runtime, value), values));
}

Value Indent(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "indent", args, {"width", "first", "blank"});
  if (!value.Is(Kind::kString)) {
    if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
    runtime.Fail(fmt::format("indent of {}: it takes a string", TypeName(value.kind())));
  }
  std::string indent(4, ' ');
  if (bound.given[0] && bound[0].Is(Kind::kString)) {
    indent = bound[0].text();
  } else if (bound.given[0]) {
    const int64_t width = std::max<int64_t>(IntArg(runtime, "indent", bound[0]), 0);
    runtime.CheckOutput(static_cast<size_t>(width));
    indent.assign(static_cast<size_t>(width), ' ');
  }
  runtime.StepBytes(value.size());
  // a text is taken with a line break at its end, which is not in the result
  const std::string text = std::string(value.text()) + "\n";
  const auto lines = python::SplitLines(text, false);
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    const bool indented = i == 0 ? Truthy(bound[1]) : Truthy(bound[2]) || !lines[i].empty();
    if (indented) out += indent;
    out += lines[i];
    runtime.CheckOutput(out.size());
  }
  return runtime.Text(out, value.is_markup());
}

Value Truncate(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "truncate", args, {"length", "killwords", "end", "leeway"});
  const int64_t length = bound.given[0] ? IntArg(runtime, "truncate", bound[0]) : 255;
  const int64_t leeway =
      bound.given[3] && !bound[3].Is(Kind::kNone) ? IntArg(runtime, "truncate", bound[3]) : 5;
  const std::string_view end = bound.given[2] ? TextOf(runtime, bound[2]) : "...";
  const int64_t kept = length - static_cast<int64_t>(python::Length(end));
  if (kept < 0 || leeway < 0) runtime.Fail("truncate to less than its end");
  if (!value.Is(Kind::kString)) runtime.Fail("truncate of what is no string");
  runtime.StepBytes(value.size());
  std::string_view text = value.text();
  if (static_cast<int64_t>(python::Length(text)) <= length + leeway) return value;
  text = text.substr(0, python::ByteOffset(text, static_cast<size_t>(kept)));
  if (!Truthy(bound[1])) text = text.substr(0, text.rfind(' '));
  return runtime.Concat(text, end);
}

Value WordCount(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "wordcount", args, {}, 0, nullptr, nullptr);
  const std::string_view text = TextOf(runtime, value);
  runtime.StepBytes(text.size());
  int64_t count = 0;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const size_t size = python::ByteOffset(text.substr(at), 1);
    const char32_t c = CodePointAt(text, at).value;
    const bool is_word = c == '_' || python::IsIn(python::Class::kAlpha, c) ||
                         python::IsIn(python::Class::kNumeric, c);
    count += is_word && !in_word ? 1 : 0;
    in_word = is_word;
    at += size;
  }
  return Value::Int(count);
}

// ---- numbers ------------------------------------------------------------------------------------

// A number cut to an integer; nothing where Python's int() raises ValueError.
std::optional<Value> Truncated(Runtime& runtime, double real) {
  if (std::isnan(real)) return std::nullopt;
  if (!(std::fabs(real) < 9.2e18)) runtime.Fail("a float that has no place in 64 bits");
  return Value::Int(static_cast<int64_t>(real));
}

Value Int(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "int", args, {"default", "base"});
  const Value fallback = bound.given[0] ? bound[0] : Value::Int(0);
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (value.is_integral()) return Value::Int(value.integer());
  std::optional<double> real;
  if (value.Is(Kind::kFloat)) real = value.real();
  if (value.Is(Kind::kString)) {
    const int64_t base = bound.given[1] ? IntArg(runtime, "int", bound[1]) : 10;
    if (const auto whole = python::ParseInt(value.text(), base)) return Value::Int(*whole);
    real = python::ParseFloat(value.text());
    // int() of an infinite text is the default, unlike that of an infinite float
    if (real && std::isinf(*real)) real.reset();
  }
  if (!real) return fallback;
  return Truncated(runtime, *real).value_or(fallback);
}

Value Float(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "float", args, {"default"});
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (value.is_number()) return Value::Float(value.real());
  if (value.Is(Kind::kString)) {
    if (const auto real = python::ParseFloat(value.text())) return Value::Float(*real);
  }
  return bound.given[0] ? bound[0] : Value::Float(0);
}

Value Abs(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "abs", args, {}, 0, nullptr, nullptr);
  if (value.Is(Kind::kFloat)) return Value::Float(std::fabs(value.real()));
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  const bool negative = value.is_integral() && value.integer() < 0;
  return Negate(runtime, value, !negative);
}

// round() of an integer to tens, hundreds, ...: halves to even.
Value RoundedInt(Runtime& runtime, int64_t value, int64_t precision) {
  if (precision >= 0) return Value::Int(value);
  if (precision < -18) return Value::Int(0);
  int64_t unit = 1;
  for (int64_t i = precision; i < 0; ++i) unit *= 10;
  const Value rest = Arithmetic(runtime, Op::kModulo, Value::Int(value), Value::Int(unit));
  const int64_t down = value - rest.integer();
  const bool up =
      rest.integer() * 2 > unit || (rest.integer() * 2 == unit && (down / unit) % 2 != 0);
  return up ? Arithmetic(runtime, Op::kAdd, Value::Int(down), Value::Int(unit)) : Value::Int(down);
}

double RoundedFloat(double value, int64_t precision) {
  if (!std::isfinite(value) || precision > 320) return value;
  if (precision < -310) return std::copysign(0.0, value);
  if (precision >= 0) {
    // printf rounds the exact value, halves to even, as Python does
    return std::strtod(fmt::format("{:.{}f}", value, precision).c_str(), nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-precision));
  return std::nearbyint(value / unit) * unit;
}

Value Round(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "round", args, {"precision", "method"});
  const int64_t precision = bound.given[0] ? IntArg(runtime, "round", bound[0]) : 0;
  const std::string_view method = bound.given[1] ? TextOf(runtime, bound[1]) : "common";
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (!value.is_number()) runtime.Fail(fmt::format("round of {}", TypeName(value.kind())));
  if (method == "common") {
    return value.is_integral() ? RoundedInt(runtime, value.integer(), precision)
                               : Value::Float(RoundedFloat(value.real(), precision));
  }
  if (method != "ceil" && method != "floor") {
    runtime.Fail("round with a method other than common, ceil and floor");
  }
  const double unit = std::pow(10.0, static_cast<double>(precision)), scaled = value.real() * unit;
  if (!std::isfinite(scaled)) runtime.Fail("round of a number that is not finite");
  return Value::Float((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

Value ToJson(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound =
      Bind(runtime, "tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = Truthy(bound[0]);
  style.sort_keys = Truthy(bound[3]);
  if (bound.given[1] && !bound[1].Is(Kind::kNone)) {
    style.has_indent = true;
    style.item_separator = ",";
    if (bound[1].Is(Kind::kString)) {
      style.indent = bound[1].text();
    } else {
      const int64_t width = std::max<int64_t>(IntArg(runtime, "tojson", bound[1]), 0);
      if (width > 1000) runtime.Fail("tojson with an indent of more than 1000");
      style.indent.assign(static_cast<size_t>(width), ' ');
    }
  }
  if (bound.given[2] && !bound[2].Is(Kind::kNone)) {
    const auto parts = ItemsOf(runtime, bound[2]);
    if (parts.size() != 2 || !parts[0].Is(Kind::kString) || !parts[1].Is(Kind::kString)) {
      runtime.Fail("tojson with separators that are not two strings");
    }
    style.item_separator = parts[0].text();
    style.key_separator = parts[1].text();
  }
  std::string out;
  AppendJson(runtime, out, value, style);
  return runtime.Text(out);
}

// In the order of the names.
constexpr Filter kFilters[] = {
    {"abs", Abs},
    {"attr", AttributeFilter},
    {"batch", Batch},
    {"capitalize", Convert<python::Capitalize>},
    {"center", Center},
    {"count", LengthFilter},
    {"d", Default},
    {"default", Default},
    {"dictsort", DictSort},
    {"e", Escape},
    {"escape", Escape},
    {"filesizeformat"},
    {"first", First},
    {"float", Float},
    {"forceescape", ForceEscape},
    {"format", Format},
    {"groupby", GroupBy},
    {"indent", Indent},
    {"int", Int},
    {"items", ItemsFilter},
    {"join", Join},
    {"last", Last},
    {"length", LengthFilter},
    {"list", ListFilter},
    {"lower", Convert<python::Lower>},
    {"map", Map},
    {"max", Extreme<true>},
    {"min", Extreme<false>},
    {"pprint"},
    {"random"},
    {"reject", Select<false, false>},
    {"rejectattr", Select<false, true>},
    {"replace", Replace},
    {"reverse", Reverse},
    {"round", Round},
    {"safe", Safe},
    {"select", Select<true, false>},
    {"selectattr", Select<true, true>},
    {"slice", SliceFilter},
    {"sort", Sort},
    {"string", String},
    {"striptags"},
    {"sum", Sum},
    {"title", Convert<TitleWords>},
    {"tojson", ToJson},
    {"trim", Trim},
    {"truncate", Truncate},
    {"unique", Unique},
    {"upper", Convert<python::Upper>},
    {"urlencode"},
    {"urlize"},
    {"wordcount", WordCount},
    {"wordwrap"},
    {"xmlattr"},
};
static_assert(std::is_sorted(std::begin(kFilters), std::end(kFilters),
                             [](const Filter& a, const Filter& b) { return a.name < b.name; }));
}  // namespace

const Filter* FindFilter(std::string_view name) {
  const auto* at = std::lower_bound(std::begin(kFilters), std::end(kFilters), name,
                                    [](const Filter& f, std::string_view n) { return f.name < n; });
  return at != std::end(kFilters) && at->name == name ? at : nullptr;
}

}  // namespace pawl::text::jinja
