// Python's formatting of text: '%s' % x and '{}'.format(x).
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "text/jinja_methods.h"
#include "text/jinja_operators.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text::jinja {
namespace {

struct Conversion {
  bool left = false, zero = false, plus = false, blank = false, alternate = false;
  int64_t width = 0, precision = -1;
  char type = 's';
};
constexpr int64_t kMaxWidth = 1'000'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Digits at `at` as a number; moves on. -1 beyond the largest width.
int64_t Number(std::string_view text, size_t& at) {
  int64_t value = 0;
  for (; at < text.size() && IsDigit(text[at]); ++at) {
    if (value >= 0) value = value * 10 + (text[at] - '0');
    if (value > kMaxWidth) value = -1;
  }
  return value;
}

// Sign and digits of a number, padded.
std::string Padded(const Conversion& c, std::string sign, std::string body) {
  const int64_t have = static_cast<int64_t>(sign.size() + python::Length(body));
  const size_t fill = static_cast<size_t>(std::max<int64_t>(c.width - have, 0));
  if (c.left) return sign + body + std::string(fill, ' ');
  if (c.zero) return sign + std::string(fill, '0') + body;
  return std::string(fill, ' ') + sign + body;
}

std::string Sign(const Conversion& c, bool negative) {
  return negative ? "-" : c.plus ? "+" : c.blank ? " " : "";
}

std::string FormatInteger(Runtime& runtime, Conversion c, const Value& value) {
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  const bool decimal = c.type == 'd' || c.type == 'i' || c.type == 'u';
  if (!value.is_number() || (!decimal && value.Is(Kind::kFloat))) {
    runtime.Fail(fmt::format("'%{}' of {}: it takes a number", c.type, TypeName(value.kind())));
  }
  const double real = value.real();
  if (value.Is(Kind::kFloat) && !(std::fabs(real) < 9e18)) {
    runtime.Fail("'%d' of a float that is no 64-bit integer");
  }
  const int64_t number = value.is_integral() ? value.integer() : static_cast<int64_t>(real);
  const uint64_t size =
      number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  std::string digits = c.type == 'x'   ? fmt::format("{:x}", size)
                       : c.type == 'X' ? fmt::format("{:X}", size)
                       : c.type == 'o' ? fmt::format("{:o}", size)
                                       : fmt::format("{}", size);
  if (c.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(c.precision) - digits.size(), '0');
  }
  std::string sign = Sign(c, number < 0);
  if (c.alternate && !decimal) sign += fmt::format("0{}", c.type);
  return Padded(c, sign, digits);
}

std::string FormatFloat(Runtime& runtime, Conversion c, const Value& value) {
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (!value.is_number()) {
    runtime.Fail(fmt::format("'%{}' of {}: it takes a number", c.type, TypeName(value.kind())));
  }
  if (c.precision > 1000) runtime.Fail("a format of more than 1000 digits");
  const double real = value.real();
  const std::string format = fmt::format("%{}.*{}", c.alternate ? "#" : "", c.type);
  char buffer[2048];
  const int size =
      std::snprintf(buffer, sizeof(buffer), format.c_str(),
                    static_cast<int>(c.precision < 0 ? 6 : c.precision), std::fabs(real));
  if (!std::isfinite(real)) c.zero = false;
  return Padded(c, Sign(c, std::signbit(real) && !std::isnan(real)),
                std::string(buffer, static_cast<size_t>(std::clamp(size, 0, 2047))));
}

std::string FormatText(Runtime& runtime, Conversion c, const Value& value) {
  std::string text;
  if (c.type == 's') {
    AppendText(runtime, text, value);
  } else {
    AppendRepr(runtime, text, value);
  }
  if (c.precision >= 0) text.resize(python::ByteOffset(text, static_cast<size_t>(c.precision)));
  c.zero = false;
  return Padded(c, "", text);
}

std::string FormatCharacter(Runtime& runtime, Conversion c, const Value& value) {
  c.zero = false;
  if (value.Is(Kind::kString) && python::Length(value.text()) == 1) {
    return Padded(c, "", std::string(value.text()));
  }
  const bool is_character = value.is_integral() && value.integer() >= 0 &&
                            value.integer() < 0x110000 &&
                            (value.integer() < 0xD800 || value.integer() > 0xDFFF);
  if (!is_character) runtime.Fail("'%c' of what is no character");
  return Padded(c, "", ToUtf8(static_cast<char32_t>(value.integer())));
}

Conversion ReadConversion(Runtime& runtime, std::string_view format, size_t& at) {
  Conversion c;
  for (; at < format.size(); ++at) {
    if (format[at] == '-') {
      c.left = true;
    } else if (format[at] == '0') {
      c.zero = true;
    } else if (format[at] == '+') {
      c.plus = true;
    } else if (format[at] == ' ') {
      c.blank = true;
    } else if (format[at] == '#') {
      c.alternate = true;
    } else {
      break;
    }
  }
  c.width = Number(format, at);
  if (at < format.size() && format[at] == '.') {
    ++at;
    c.precision = Number(format, at);
    if (c.precision < 0) c.width = -1;
  }
  if (c.width < 0) runtime.Fail("a format that is too wide");
  while (at < format.size() && (format[at] == 'l' || format[at] == 'h' || format[at] == 'L')) ++at;
  if (at >= format.size()) runtime.Fail("a format that ends within '%'");
  c.type = format[at++];
  return c;
}

std::string Converted(Runtime& runtime, const Conversion& c, const Value& value) {
  static constexpr std::string_view kIntegers = "diuxXo", kFloats = "eEfFgG", kTexts = "sra";
  if (kIntegers.find(c.type) != kIntegers.npos) return FormatInteger(runtime, c, value);
  if (kFloats.find(c.type) != kFloats.npos) return FormatFloat(runtime, c, value);
  if (kTexts.find(c.type) != kTexts.npos) return FormatText(runtime, c, value);
  if (c.type == 'c') return FormatCharacter(runtime, c, value);
  runtime.Fail("a '%' format of no known type");
}
}  // namespace

std::string PercentFormat(Runtime& runtime, std::string_view format, const Value& value) {
  const bool is_tuple = value.Is(Kind::kTuple);
  size_t next = 0;
  const auto next_value = [&]() -> Value {
    if (is_tuple ? next >= value.size() : next > 0) {
      runtime.Fail("a '%' format with too few values");
    }
    return is_tuple ? value.items()[next++] : (++next, value);
  };
  std::string out;
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    runtime.Step();
    runtime.CheckOutput(out.size());
    ++at;
    std::optional<Value> named;
    if (at < format.size() && format[at] == '(') {
      const size_t end = format.find(')', at);
      if (end == format.npos || !value.Is(Kind::kDict)) {
        runtime.Fail("a '%(name)' format without a mapping");
      }
      const Value* found = FindKey(value.entries(), format.substr(at + 1, end - at - 1));
      if (found == nullptr) runtime.Fail("a '%(name)' format of a key that is not there");
      named = *found;
      at = end + 1;
    }
    const Conversion c = ReadConversion(runtime, format, at);
    if (c.type == '%') {
      out += '%';
      continue;
    }
    out += Converted(runtime, c, named ? *named : next_value());
  }
  // what can be subscripted may be left unused
  const bool all_used =
      is_tuple ? next == value.size() : next > 0 || value.Is(Kind::kDict) || value.Is(Kind::kList);
  if (!all_used) runtime.Fail("a '%' format with too many values");
  return out;
}

namespace {

// The value of a field of '{}'.format: "0", "name", "name.attribute[key]".
Value Field(Runtime& runtime, std::string_view field, const Args& args, size_t& next) {
  const size_t end = std::min(field.find_first_of(".["), field.size());
  const std::string_view first = field.substr(0, end);
  Value value;
  if (first.empty() || IsDigit(first[0])) {
    size_t digits = 0;
    const int64_t number = first.empty() ? static_cast<int64_t>(next++) : Number(first, digits);
    if (digits != first.size() || number < 0 ||
        static_cast<size_t>(number) >= args.positional.size()) {
      runtime.Fail("a format with too few values");
    }
    value = args.positional[static_cast<size_t>(number)];
  } else {
    const auto found = std::find_if(args.named.begin(), args.named.end(),
                                    [&](const Named& named) { return named.name == first; });
    if (found == args.named.end()) runtime.Fail("a format of a name that is not given");
    value = found->value;
  }
  for (std::string_view rest = field.substr(end); !rest.empty();) {
    runtime.Step();
    const bool is_item = rest[0] == '[';
    const size_t stop =
        is_item ? rest.find(']') : std::min(rest.find_first_of(".[", 1), rest.size());
    if (stop == rest.npos || stop < 2) runtime.Fail("a format with an unfinished field");
    const std::string_view name = rest.substr(1, stop - 1);
    const auto number = python::ParseInt(name, 10);
    value = !is_item ? Attribute(runtime, value, name, MethodNamed(name))
            : number ? Item(runtime, value, Value::Int(*number))
                     : Item(runtime, value, Value::String(name));
    rest = rest.substr(stop + (is_item ? 1 : 0));
  }
  return value;
}
}  // namespace

std::string BraceFormat(Runtime& runtime, std::string_view format, const Args& args) {
  std::string out;
  size_t next = 0;
  for (size_t at = 0; at < format.size();) {
    const char c = format[at];
    const bool doubled = at + 1 < format.size() && format[at + 1] == c;
    if ((c != '{' && c != '}') || doubled) {
      out += c;
      at += c == '{' || c == '}' ? 2 : 1;
      continue;
    }
    const size_t end = format.find('}', at);
    if (c == '}' || end == format.npos) runtime.Fail("a format with a single brace");
    std::string_view field = format.substr(at + 1, end - at - 1);
    runtime.Step();
    runtime.CheckOutput(out.size());
    const size_t colon = field.find(':');
    if (colon != field.npos && colon + 1 < field.size()) {
      runtime.Fail("a format with a specification ('{:..}'), which is not supported");
    }
    field = field.substr(0, colon);
    const size_t mark = field.find('!');
    const bool repr = mark != field.npos && field.substr(mark) == "!r";
    if (mark != field.npos && !repr && field.substr(mark) != "!s") {
      runtime.Fail("a format with an unknown conversion");
    }
    const Value value = Field(runtime, field.substr(0, mark), args, next);
    if (repr) {
      AppendRepr(runtime, out, value);
    } else {
      AppendText(runtime, out, value);
    }
    at = end + 1;
  }
  return out;
}

}  // namespace pawl::text::jinja
