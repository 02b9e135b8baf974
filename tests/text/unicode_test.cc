#include "text/unicode.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace pawl::text {
namespace {

TEST(Unicode, KnowsGeneralCategories) {
  EXPECT_EQ(CategoryOf(U'A'), Category::kLu);
  EXPECT_EQ(CategoryOf(U'z'), Category::kLl);
  EXPECT_EQ(CategoryOf(0x01C5), Category::kLt);
  EXPECT_EQ(CategoryOf(0x4E2D), Category::kLo);
  EXPECT_EQ(CategoryOf(0x0301), Category::kMn);
  EXPECT_EQ(CategoryOf(U'7'), Category::kNd);
  EXPECT_EQ(CategoryOf(0x2167), Category::kNl);
  EXPECT_EQ(CategoryOf(0x00BD), Category::kNo);
  EXPECT_EQ(CategoryOf(U'_'), Category::kPc);
  EXPECT_EQ(CategoryOf(U'$'), Category::kSc);
  EXPECT_EQ(CategoryOf(0x1F600), Category::kSo);
  EXPECT_EQ(CategoryOf(0x00A0), Category::kZs);
  EXPECT_EQ(CategoryOf(0x0000), Category::kCc);
  EXPECT_EQ(CategoryOf(0xD800), Category::kCs);
  EXPECT_EQ(CategoryOf(0xE000), Category::kCo);
  EXPECT_EQ(CategoryOf(0x10FFFF), Category::kCn);
  EXPECT_EQ(CategoryOf(0x110000), Category::kCn);
}

TEST(Unicode, KnowsLettersOfUnicode15And16) {
  EXPECT_EQ(CategoryOf(0x1DF25), Category::kLl);  // 15.0
  EXPECT_EQ(CategoryOf(0x323AF), Category::kLo);  // 15.0
  EXPECT_EQ(CategoryOf(0x10D50), Category::kLu);  // 16.0, Garay
  EXPECT_EQ(CategoryOf(0xA7CB), Category::kLu);   // 16.0
}

// Values of the package: every category's number of code points.
TEST(Unicode, CategoriesHaveTheNumberOfCodePointsOfUnicode16) {
  std::array<int64_t, kNumCategories> counts{};
  for (char32_t c = 0; c <= kMaxCodePoint; ++c) ++counts[static_cast<size_t>(CategoryOf(c))];
  const std::array<int64_t, kNumCategories> expected = {
      1858, 2258, 31,  404,  136477,             // L
      2020, 468,  13,  760,  236,    915,        // M N
      10,   27,   79,  77,   12,     10,   640,  // P
      950,  63,   125, 7376,                     // S
      17,   1,    1,   65,   170,    2048, 137468, 819533};
  EXPECT_EQ(counts, expected);
}

TEST(Unicode, WhiteSpaceIsUnicodes) {
  for (const char32_t c : {U'\t', U'\n', U'\v', U'\f', U'\r', U' ', char32_t{0x85}, char32_t{0xA0},
                           char32_t{0x2003}, char32_t{0x2028}, char32_t{0x3000}}) {
    EXPECT_TRUE(IsSpace(c)) << std::hex << static_cast<uint32_t>(c);
    EXPECT_TRUE(IsRegexSpace(c));
  }
  for (const char32_t c :
       {U'a', char32_t{0x1C}, char32_t{0x180E}, char32_t{0x200B}, char32_t{0xFEFF}}) {
    EXPECT_FALSE(IsSpace(c)) << std::hex << static_cast<uint32_t>(c);
  }
}

TEST(Unicode, NamesOfCategoriesAreReadLoosely) {
  EXPECT_EQ(CategoriesNamed("Lu"), CategoriesNamed("uppercase_letter"));
  EXPECT_EQ(CategoriesNamed("L"), CategorySet{0x1F});
  EXPECT_EQ(CategoriesNamed(" l-u "), CategorySet{1});
  EXPECT_EQ(CategoriesNamed("Latin"), CategorySet{0});
  EXPECT_EQ(CategoriesNamed(""), CategorySet{0});
  EXPECT_TRUE(InCategories(U'x', CategoriesNamed("L")));
  EXPECT_FALSE(InCategories(U'1', CategoriesNamed("L")));
}

TEST(Unicode, WordsDigitsNumbersPunctuationAndMarks) {
  EXPECT_TRUE(IsRegexWord(U'_') && IsRegexWord(0xE9) && IsRegexWord(0xB2) && IsRegexWord(0x24B6));
  EXPECT_FALSE(IsRegexWord(U'-') || IsRegexWord(0x2019));
  EXPECT_TRUE(IsRegexDigit(0x0661) && !IsRegexDigit(0xBD) && IsNumeric(0xBD) && !IsNumeric(U'a'));
  // ASCII's symbols are punctuation to the package; letters of Unicode 16 are none
  EXPECT_TRUE(IsPunctuation(U'$') && IsPunctuation(U'~') && IsPunctuation(0x3002));
  EXPECT_FALSE(IsPunctuation(0x20AC) || IsPunctuation(U'a'));
  // a mark of Unicode 9, one of Unicode 11 that the package does not know
  EXPECT_TRUE(IsMark(0x0301));
  EXPECT_FALSE(IsMark(0x07FD) || IsMark(U'a'));
}

TEST(Unicode, LowerCase) {
  const auto lower = [](char32_t c) { return ToLower(c).code_points[0]; };
  EXPECT_EQ(lower(U'A'), U'a');
  EXPECT_EQ(lower(U'['), U'[');
  EXPECT_EQ(lower(0xC9), char32_t{0xE9});
  EXPECT_EQ(lower(0x3A3), char32_t{0x3C3});  // no final form
  EXPECT_EQ(lower(0x1E9E), char32_t{0xDF});
  EXPECT_EQ(lower(0x1E921), char32_t{0x1E943});
  EXPECT_EQ(ToLower(0x130).count, 2);
  EXPECT_EQ(ToLower(0x130).code_points[1], char32_t{0x307});
  EXPECT_EQ(ToLower(0x131).count, 1);
}

}  // namespace
}  // namespace pawl::text
