#include "core/error.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pawl {
namespace {

TEST(Error, UserErrorIsOneLineWithItsPartsAndExitCode2) {
  const Error error = UserError({.what = "unknown key 'gama'",
                                 .where = "a.toml:3",
                                 .expected = "a known key",
                                 .hint = "did you mean 'gamma'?"});
  EXPECT_STREQ(error.what(),
               "unknown key 'gama' at a.toml:3: expected a known key (did you mean 'gamma'?)");
  EXPECT_EQ(error.exit_code(), 2);
}

TEST(Error, EmptyPartsAreLeftOut) {
  EXPECT_STREQ(RunError({.what = "disk full"}).what(), "disk full");
  EXPECT_EQ(RunError({.what = "disk full"}).exit_code(), 1);
}

TEST(Check, ThrowsWithExpressionBothValuesMessageAndPlace) {
  const int rows = 3;
  try {
    PAWL_CHECK_EQ(rows, 4, "batch {}", 7);
    FAIL() << "did not throw";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("rows == 4 (3 vs 4): batch 7 ["), std::string::npos) << text;
    EXPECT_NE(text.find("error_test.cc:"), std::string::npos) << text;
  }
  EXPECT_NO_THROW(PAWL_CHECK_EQ(rows, 3));
  EXPECT_NO_THROW(PAWL_CHECK(rows > 0));
  EXPECT_THROW(PAWL_CHECK(rows > 3, "with {}", "a message"), Error);
}

TEST(EditDistance, IsTheLevenshteinDistance) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("gama", "gamma"), 1);
}

TEST(NearestName, FindsATypoAndRefusesAStranger) {
  const std::vector<std::string> known = {"gamma", "learning_rate", "epochs"};
  EXPECT_EQ(NearestName("gama", known), "gamma");
  EXPECT_EQ(NearestName("learn_rate", known), "learning_rate");
  EXPECT_EQ(NearestName("clip_range", known), "");
}

}  // namespace
}  // namespace pawl
