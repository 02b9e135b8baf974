#include "text/normalized_text.h"

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"

namespace pawl::text {
namespace {

TEST(NormalizedText, BeginsAsItsOriginal) {
  const NormalizedText text("aé");
  EXPECT_EQ(text.text(), "aé");
  EXPECT_EQ(text.OriginalRange(0, 1), (ByteRange{0, 1}));
  // every byte of a character came from all of it
  EXPECT_EQ(text.OriginalRange(1, 2), (ByteRange{1, 3}));
  EXPECT_EQ(text.OriginalRange(2, 2), (ByteRange{2, 2}));
}

TEST(NormalizedText, ChangesKeepTheirPlace) {
  NormalizedText text("xaéb");
  // "x" goes, "A" for "a", "!" inserted, "B" for "é" and the "b" behind it
  text.Transform(std::vector<NormalizedText::Change>{{U'A', 0}, {U'!', 1}, {U'B', -1}}, 1);
  EXPECT_EQ(text.text(), "A!B");
  EXPECT_EQ(text.OriginalRange(0, 1), (ByteRange{1, 2}));
  EXPECT_EQ(text.OriginalRange(1, 2), (ByteRange{1, 2}));
  EXPECT_EQ(text.OriginalRange(2, 3), (ByteRange{2, 4}));
  EXPECT_EQ(text.OriginalRange(0, 3), (ByteRange{1, 4}));
}

TEST(NormalizedText, SlicesPointIntoTheWholeOriginal) {
  NormalizedText text(" Hello world");
  text.Replace(Regex::Literal(" "), "__");
  ASSERT_EQ(text.text(), "__Hello__world");
  NormalizedText slice = text.Slice(9, 14);
  slice.Prepend(">");
  EXPECT_EQ(slice.text(), ">world");
  EXPECT_EQ(slice.OriginalRange(0, 6), (ByteRange{7, 12}));
  EXPECT_EQ(slice.original_size(), 5u);
  EXPECT_EQ(slice.Slice(2, 3).OriginalRange(0, 1), (ByteRange{8, 9}));
}

TEST(NormalizedText, StripsBothEnds) {
  NormalizedText text(" \u3000 é x\n");
  text.StripLeft();
  EXPECT_EQ(text.text(), "é x\n");
  text.StripRight();
  EXPECT_EQ(text.text(), "é x");
  EXPECT_EQ(text.OriginalRange(0, 4), (ByteRange{5, 9}));
  NormalizedText blank(" \t ");
  blank.StripRight();
  EXPECT_TRUE(blank.empty());
}

TEST(NormalizedText, EmptyTextsTakeNothingOn) {
  NormalizedText text("");
  text.Prepend("x");
  text.Append("x");
  text.Replace(Regex::Literal(""), "x");
  EXPECT_TRUE(text.empty());
  text = NormalizedText("ab");
  text.Append("!");
  EXPECT_EQ(text.text(), "ab!");
  EXPECT_EQ(text.OriginalRange(2, 3), (ByteRange{1, 2}));
  text.Clear();
  EXPECT_TRUE(text.empty());
}

TEST(NormalizedText, GrowsOnlySoFar) {
  NormalizedText text("a");
  const Regex a = Regex::Literal("a");
  EXPECT_THROW(
      {
        for (int i = 0; i < 100; ++i) text.Replace(a, "aaaaaaaaaa");
      },
      Error);
  EXPECT_LE(text.text().size(), 1'001'000u);
}

TEST(NormalizedText, WithoutAlignmentTheTextIsTheSame) {
  NormalizedText text("A b", /*aligned=*/false);
  text.Lowercase();
  text.Replace(Regex::Literal(" "), "_");
  text.Prepend(">");
  text.Filter([](char32_t c) { return c != U'b'; });
  EXPECT_EQ(text.text(), ">a_");
  EXPECT_THROW(static_cast<void>(text.OriginalRange(0, 1)), Error);
}

}  // namespace
}  // namespace pawl::text
