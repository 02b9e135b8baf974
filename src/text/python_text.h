// Text as Python's str sees it: counted in code points, with its white space, case and repr. What
// templates ask of strings. UTF-8 in and out; bytes that are no UTF-8 count as one character each
// and are passed on. Pure functions; results that are views lie in the argument.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::text::python {

enum class Class : uint8_t { kSpace, kDigit, kAlpha, kNumeric, kPrintable, kUpper, kLower };
bool IsIn(Class which, char32_t code_point);
inline bool IsSpace(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
  return IsIn(Class::kSpace, c);
}

size_t Length(std::string_view text);  // code points
// The byte where code point `index` begins; text.size() where there are not so many.
size_t ByteOffset(std::string_view text, size_t index);

std::string_view LeftStrip(std::string_view text);
std::string_view RightStrip(std::string_view text);
std::string_view Strip(std::string_view text);
// Code points of `chars` instead of white space.
std::string_view LeftStrip(std::string_view text, std::string_view chars);
std::string_view RightStrip(std::string_view text, std::string_view chars);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string Capitalize(std::string_view text);
std::string Title(std::string_view text);
std::string SwapCase(std::string_view text);
// str.isdigit, isalpha, isalnum (kAlpha or kNumeric), isspace, ...: of every character, and of at
// least one. kUpper and kLower: at least one cased letter and none of the other case.
bool IsAll(Class which, std::string_view text);

// Runs of white space between; `max` splits at most where it is not negative.
std::vector<std::string_view> Split(std::string_view text, int64_t max, bool from_right);
// `separator` is not empty.
std::vector<std::string_view> Split(std::string_view text, std::string_view separator, int64_t max,
                                    bool from_right);
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);
// At most `count` times where it is not negative. `old` may be empty, as in Python.
std::string Replace(std::string_view text, std::string_view old, std::string_view replacement,
                    int64_t count);
// Linear in the lengths; npos where there is none.
size_t Find(std::string_view text, std::string_view what, size_t from = 0);

std::string Repr(std::string_view text);  // with quotes
std::string Repr(double value);           // shortest, as Python prints floats
// Python's escapes of a string literal; `error` says what is wrong.
std::string Unescape(std::string_view text, std::string& error);
// int(text, base) and float(text); nothing where Python raises ValueError, and for integers beyond
// 64 bits.
std::optional<int64_t> ParseInt(std::string_view text, int64_t base);
std::optional<double> ParseFloat(std::string_view text);

}  // namespace pawl::text::python
