#include "text/python_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "text/utf8.h"

namespace pawl::text::python {
namespace {

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// Where the code point before `end` (> 0) begins.
size_t PreviousStart(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && end - at < 4 && IsContinuation(text[at])) --at;
  // bytes that are no UTF-8 stand alone
  return at + CodePointAt(text, at).size == end ? at : end - 1;
}

bool Contains(std::string_view chars, char32_t wanted) {
  for (size_t i = 0; i < chars.size();) {
    const CodePoint c = CodePointAt(chars, i);
    if (c.value == wanted) return true;
    i += c.size;
  }
  return false;
}

template <class Test>
std::string_view LeftStripIf(std::string_view text, const Test& test) {
  size_t begin = 0;
  while (begin < text.size()) {
    const CodePoint c = CodePointAt(text, begin);
    if (!test(c.value)) break;
    begin += c.size;
  }
  return text.substr(begin);
}

template <class Test>
std::string_view RightStripIf(std::string_view text, const Test& test) {
  size_t end = text.size();
  while (end > 0) {
    const size_t begin = PreviousStart(text, end);
    if (!test(CodePointAt(text, begin).value)) break;
    end = begin;
  }
  return text.substr(0, end);
}

// Line ends of str.splitlines; 0 where none begins here.
size_t LineEnd(std::string_view text, size_t at) {
  const CodePoint c = CodePointAt(text, at);
  if (c.value == '\r') return at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1;
  const bool ends = (c.value >= 0x0A && c.value <= 0x0C) || (c.value >= 0x1C && c.value <= 0x1E) ||
                    c.value == 0x85 || c.value == 0x2028 || c.value == 0x2029;
  return ends ? c.size : 0;
}
}  // namespace

size_t Length(std::string_view text) {
  size_t bytes_within = 0;
  for (const char c : text) bytes_within += IsContinuation(c) ? 1 : 0;
  return text.size() - bytes_within;
}

size_t ByteOffset(std::string_view text, size_t index) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (IsContinuation(text[at])) continue;
    if (index == 0) return at;
    --index;
  }
  return at;
}

std::string_view LeftStrip(std::string_view text) { return LeftStripIf(text, IsSpace); }
std::string_view RightStrip(std::string_view text) { return RightStripIf(text, IsSpace); }
std::string_view Strip(std::string_view text) { return RightStrip(LeftStrip(text)); }
std::string_view LeftStrip(std::string_view text, std::string_view chars) {
  return LeftStripIf(text, [&](char32_t c) { return Contains(chars, c); });
}
std::string_view RightStrip(std::string_view text, std::string_view chars) {
  return RightStripIf(text, [&](char32_t c) { return Contains(chars, c); });
}

std::vector<std::string_view> Split(std::string_view text, int64_t max, bool from_right) {
  std::vector<std::string_view> parts;
  text = from_right ? RightStrip(text) : LeftStrip(text);
  while (!text.empty()) {
    if (max >= 0 && static_cast<int64_t>(parts.size()) == max) {
      parts.push_back(text);
      break;
    }
    if (from_right) {
      const auto rest = RightStripIf(text, [](char32_t c) { return !IsSpace(c); });
      parts.push_back(text.substr(rest.size()));
      text = RightStrip(rest);
    } else {
      const auto rest = LeftStripIf(text, [](char32_t c) { return !IsSpace(c); });
      parts.push_back(text.substr(0, text.size() - rest.size()));
      text = LeftStrip(rest);
    }
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> Split(std::string_view text, std::string_view separator, int64_t max,
                                    bool from_right) {
  std::vector<size_t> cuts;
  for (size_t at = 0; (at = Find(text, separator, at)) != text.npos; at += separator.size()) {
    if (!from_right && max >= 0 && static_cast<int64_t>(cuts.size()) == max) break;
    cuts.push_back(at);
  }
  if (from_right && max >= 0) {
    // overlapping separators are taken from the right
    cuts.clear();
    for (size_t end = text.size(); static_cast<int64_t>(cuts.size()) < max;) {
      const size_t at = text.substr(0, end).rfind(separator);
      if (at == text.npos) break;
      cuts.push_back(at);
      end = at;
    }
    std::reverse(cuts.begin(), cuts.end());
  }
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (const size_t cut : cuts) {
    parts.push_back(text.substr(begin, cut - begin));
    begin = cut + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = LineEnd(text, at);
    if (end == 0) {
      at += CodePointAt(text, at).size;
      continue;
    }
    lines.push_back(text.substr(begin, at - begin + (keep_ends ? end : 0)));
    at += end;
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

size_t Find(std::string_view text, std::string_view what, size_t from) {
  if (from > text.size()) return text.npos;
  if (what.empty()) return from;
  const void* at = memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return at == nullptr ? text.npos
                       : static_cast<size_t>(static_cast<const char*>(at) - text.data());
}

std::string Replace(std::string_view text, std::string_view old, std::string_view replacement,
                    int64_t count) {
  std::string out;
  size_t begin = 0;
  if (old.empty()) {
    // before every character and at the end
    while (begin < text.size() && count != 0) {
      out += replacement;
      const size_t size = CodePointAt(text, begin).size;
      out += text.substr(begin, size);
      begin += size;
      if (count > 0) --count;
    }
    if (begin == text.size() && count != 0) out += replacement;
    return out.append(text.substr(begin));
  }
  while (count != 0) {
    const size_t at = Find(text, old, begin);
    if (at == text.npos) break;
    out.append(text, begin, at - begin).append(replacement);
    begin = at + old.size();
    if (count > 0) --count;
  }
  return out.append(text.substr(begin));
}

std::string Repr(std::string_view text) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = CodePointAt(text, at);
    const std::string_view bytes = text.substr(at, c.size);
    at += c.size;
    if (c.value == static_cast<uint8_t>(quote) || c.value == '\\') {
      out += '\\';
      out += bytes;
    } else if (c.value == '\n' || c.value == '\r' || c.value == '\t') {
      out += c.value == '\n' ? "\\n" : c.value == '\r' ? "\\r" : "\\t";
    } else if (IsIn(Class::kPrintable, c.value)) {
      out += bytes;
    } else if (c.value < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c.value));
    } else if (c.value < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c.value));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c.value));
    }
  }
  return out + quote;
}

std::string Repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[32];
  const double size = std::fabs(value);
  const bool plain = value == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(buffer, end.ptr);
  if (plain && text.find('.') == text.npos) text += ".0";
  return text;
}

std::string Unescape(std::string_view text, std::string& error) {
  std::string out;
  const auto hex = [&](size_t at, size_t digits, char32_t& value) {
    if (at + digits > text.size()) return false;
    uint32_t number = 0;
    const auto end = std::from_chars(text.data() + at, text.data() + at + digits, number, 16);
    value = number;
    return end.ec == std::errc() && end.ptr == text.data() + at + digits && number <= 0x10FFFF;
  };
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '\\' || at + 1 >= text.size()) {
      out += text[at++];
      continue;
    }
    const char c = text[at + 1];
    static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    const size_t known = kFrom.find(c);
    if (c == '\n') {
      at += 2;
    } else if (known != kFrom.npos) {
      out += kTo[known];
      at += 2;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      char32_t value = 0;
      if (!hex(at + 2, digits, value) || (value >= 0xD800 && value <= 0xDFFF)) {
        error = fmt::format("the escape {} of no character in a string",
                            Repr(text.substr(at, 2 + digits)));
        return out;
      }
      AppendUtf8(out, value);
      at += 2 + digits;
    } else if (c >= '0' && c <= '7') {
      char32_t value = 0;
      size_t end = at + 1;
      while (end < text.size() && end < at + 4 && text[end] >= '0' && text[end] <= '7') {
        value = value * 8 + static_cast<char32_t>(text[end++] - '0');
      }
      AppendUtf8(out, value);
      at = end;
    } else if (c == 'N') {
      error = "the escape \\N in a string, which is not supported";
      return out;
    } else {
      out += '\\';
      ++at;
    }
  }
  return out;
}

std::optional<int64_t> ParseInt(std::string_view text, int64_t base) {
  std::string digits(Strip(text));
  bool negative = false;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    negative = digits[0] == '-';
    digits.erase(0, 1);
  }
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  const char letter =
      digits.size() > 1 && digits[0] == '0' ? static_cast<char>(digits[1] | 0x20) : '\0';
  const int64_t prefixed = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  if (prefixed != 0 && (base == 0 || base == prefixed)) {
    digits.erase(0, 2);
    if (!digits.empty() && digits[0] == '_') digits.erase(0, 1);
    base = prefixed;
  }
  if (base == 0) {
    base = 10;
    if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of("0_") != digits.npos) {
      return std::nullopt;
    }
  }
  if (digits.empty() || digits.front() == '_' || digits.back() == '_' ||
      digits.find("__") != digits.npos || digits[0] == '-') {
    return std::nullopt;
  }
  std::erase(digits, '_');
  if (negative) digits.insert(0, 1, '-');
  int64_t value = 0;
  const auto end =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, static_cast<int>(base));
  if (end.ec != std::errc() || end.ptr != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseFloat(std::string_view text) {
  std::string digits(Strip(text));
  for (char& c : digits) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  const size_t sign = !digits.empty() && (digits[0] == '-' || digits[0] == '+') ? 1 : 0;
  const std::string_view word = std::string_view(digits).substr(sign);
  const double factor = sign == 1 && digits[0] == '-' ? -1 : 1;
  if (word == "inf" || word == "infinity") return factor * std::numeric_limits<double>::infinity();
  if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  for (size_t i = 0; i < digits.size(); ++i) {
    const auto is_digit = [&](size_t at) {
      return at < digits.size() && digits[at] >= '0' && digits[at] <= '9';
    };
    if (digits[i] == '_' && (i == 0 || !is_digit(i - 1) || !is_digit(i + 1))) return std::nullopt;
  }
  std::erase(digits, '_');
  if (digits.empty() || digits.find_first_not_of("0123456789+-.e") != digits.npos)
    return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  return end == digits.c_str() + digits.size() ? std::optional(value) : std::nullopt;
}

}  // namespace pawl::text::python
