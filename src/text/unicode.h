// Character classes and case as the `tokenizers` package knows them: general categories and \s \d
// \w of its regular expressions, white space and lower case of its normalisers. The tables
// (unicode_tables.inc) are made from the package by tests/goldens/make_unicode.py. Pure functions;
// a value that is no code point is Cn and in no class.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pawl::text {

constexpr char32_t kMaxCodePoint = 0x10FFFF;

// The general categories of Unicode, in the order of the bits of a CategorySet.
enum class Category : uint8_t {
  kLu,
  kLl,
  kLt,
  kLm,
  kLo,  // letters
  kMn,
  kMc,
  kMe,  // marks
  kNd,
  kNl,
  kNo,  // numbers
  kPc,
  kPd,
  kPs,
  kPe,
  kPi,
  kPf,
  kPo,  // punctuation
  kSm,
  kSc,
  kSk,
  kSo,  // symbols
  kZs,
  kZl,
  kZp,  // separators
  kCc,
  kCf,
  kCs,
  kCo,
  kCn,  // others
};
constexpr int kNumCategories = 30;
using CategorySet = uint32_t;  // bit i: the category of value i
constexpr CategorySet kAllCategories = (CategorySet{1} << kNumCategories) - 1;
// Those of \w: letters, marks, Nd and Pc. A few other code points are words too.
constexpr CategorySet kWordCategories = 0x9FF;

// Of the package's regular expressions (\p{..}).
Category CategoryOf(char32_t code_point);
inline bool InCategories(char32_t code_point, CategorySet set) {
  return (set >> static_cast<int>(CategoryOf(code_point)) & 1) != 0;
}
// "L" (all letters), "Lu", "Letter", ...; spelled as a regular expression may: case, '_', '-' and
// blanks do not count. 0 where there is no such category.
CategorySet CategoriesNamed(std::string_view name);

bool IsRegexSpace(char32_t code_point);  // \s
bool IsRegexDigit(char32_t code_point);  // \d
bool IsRegexWord(char32_t code_point);   // \w
// White space of everything but regular expressions: Strip, WhitespaceSplit, BERT (Rust's
// char::is_whitespace).
bool IsSpace(char32_t code_point);
// Letters or digits of any script, of the package's Rust side (char::is_numeric: Nd, Nl and No).
bool IsNumeric(char32_t code_point);
// Punctuation of the package's Punctuation and BERT pre-tokenizers: ASCII's 32 or a category P*.
bool IsPunctuation(char32_t code_point);
// A combining mark (Mn, Mc or Me), as the StripAccents normaliser takes it.
bool IsMark(char32_t code_point);

// The lower case of a code point: `count` code points, usually one.
struct LowerCase {
  char32_t code_points[3] = {};
  int count = 1;
};
LowerCase ToLower(char32_t code_point);

}  // namespace pawl::text
