#include "track/number_text.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "core/rng.h"

namespace pawl::track {
namespace {

std::string Json(double value) {
  std::string text;
  AppendJsonNumber(text, value);
  return text;
}

TEST(NumberText, JsonNumbersReadBackToTheSameBits) {
  core::Philox rng(/*seed=*/1, core::Role::kTest, 0, 0);
  for (int i = 0; i < 20000; ++i) {
    const double value = std::bit_cast<double>(uint64_t{rng.NextU32()} << 32 | rng.NextU32());
    if (!std::isfinite(value)) continue;
    const double back = std::strtod(Json(value).c_str(), nullptr);
    ASSERT_EQ(std::bit_cast<uint64_t>(back), std::bit_cast<uint64_t>(value)) << Json(value);
  }
}

TEST(NumberText, JsonNumbersAreShortAndCountersArePlain) {
  EXPECT_EQ(Json(0.1), "0.1");
  EXPECT_EQ(Json(1000000), "1000000");
  EXPECT_EQ(Json(-3), "-3");
  EXPECT_EQ(Json(0), "0");
  EXPECT_EQ(Json(-0.0), "-0.0");
  EXPECT_EQ(Json(3e-4), "3e-04");
}

TEST(NumberText, UndefinedIsNull) {
  EXPECT_EQ(Json(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(Json(-std::numeric_limits<double>::infinity()), "null");
}

TEST(NumberText, ShortNumbersKeepTheirDigits) {
  EXPECT_EQ(ShortNumber(1234.5), "1234");
  EXPECT_EQ(ShortNumber(12.3456), "12.35");
  EXPECT_EQ(ShortNumber(0.0123456), "0.01235");
  EXPECT_EQ(ShortNumber(-0.5), "-0.5");
  EXPECT_EQ(ShortNumber(2), "2");
  EXPECT_EQ(ShortNumber(3e-6), "3e-06");
  EXPECT_EQ(ShortNumber(NAN), "-");
}

TEST(NumberText, CountsHaveSuffixes) {
  EXPECT_EQ(CountText(950), "950");
  EXPECT_EQ(CountText(12500), "12.5k");
  EXPECT_EQ(CountText(999600), "1M");
  EXPECT_EQ(CountText(1.25e6), "1.25M");
  EXPECT_EQ(CountText(-2000), "-2k");
  EXPECT_EQ(CountText(3e9), "3B");
}

TEST(NumberText, DurationsCarryOver) {
  EXPECT_EQ(DurationText(0.84), "0.8 s");
  EXPECT_EQ(DurationText(59.4), "59 s");
  EXPECT_EQ(DurationText(59.6), "1 min 00 s");
  EXPECT_EQ(DurationText(200), "3 min 20 s");
  EXPECT_EQ(DurationText(3720), "1 h 02 min");
}

TEST(NumberText, PercentAndSize) {
  EXPECT_EQ(PercentText(0.875), "87.5 %");
  EXPECT_EQ(PercentText(1), "100 %");
  EXPECT_EQ(SizeText(640), "640 B");
  EXPECT_EQ(SizeText(4'100'000), "4.1 MB");
}

}  // namespace
}  // namespace pawl::track
