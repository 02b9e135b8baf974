#include "text/utf8.h"

#include <gtest/gtest.h>

namespace pawl::text {
namespace {

std::string Replaced(std::string_view text, int64_t expected) {
  int64_t replaced = 0;
  std::string out = ReplaceInvalidUtf8(text, replaced);
  EXPECT_EQ(replaced, expected);
  return out;
}

TEST(Utf8, EveryCodePointRoundTrips) {
  for (char32_t point = 0; point <= 0x10FFFF; ++point) {
    if (point >= 0xD800 && point <= 0xDFFF) continue;  // surrogates are no characters
    const std::string text = ToUtf8(point);
    const CodePoint read = CodePointAt(text, 0);
    ASSERT_TRUE(read.valid && read.value == point && read.size == text.size())
        << static_cast<uint32_t>(point);
  }
}

// The examples of the Unicode standard, table 3-8 and section 3.9, as Python's errors="replace".
TEST(Utf8, InvalidBytesAreReplacedAsTheStandardSays) {
  const std::string r = ToUtf8(kReplacement);
  EXPECT_EQ(Replaced("plain \xC3\xA4", 0), "plain \xC3\xA4");
  EXPECT_EQ(Replaced("", 0), "");
  EXPECT_EQ(Replaced("\xC0\xAF", 2), r + r);                  // overlong
  EXPECT_EQ(Replaced("\xED\xA0\x80", 3), r + r + r);          // a surrogate
  EXPECT_EQ(Replaced("\xF4\x90\x80\x80", 4), r + r + r + r);  // above U+10FFFF
  EXPECT_EQ(Replaced("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", 6),
            "a" + r + r + r + "b" + r + "c" + r + r + "d");
  EXPECT_EQ(Replaced("end \xE2\x82", 1), "end " + r);  // cut short
}

TEST(Utf8, TheFirstBadPlaceIsTold) {
  int64_t replaced = 0;
  size_t first = 0;
  ReplaceInvalidUtf8(
      "ab\xFF"
      "c\xFF",
      replaced, &first);
  EXPECT_EQ(replaced, 2);
  EXPECT_EQ(first, 2u);
}

}  // namespace
}  // namespace pawl::text
