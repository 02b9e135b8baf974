#include "track/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace pawl::track {
namespace {
using ::testing::ElementsAre;

std::vector<std::string> Labels(const Axis& axis) {
  std::vector<std::string> labels;
  for (const Tick& tick : axis.ticks) labels.push_back(tick.label);
  return labels;
}

TEST(Axis, TicksStandAtRoundNumbers) {
  EXPECT_THAT(Labels(LinearAxis(0, 1, 5, true)),
              ElementsAre("0.0", "0.2", "0.4", "0.6", "0.8", "1.0"));
  EXPECT_THAT(Labels(LinearAxis(0, 1, 5, true, true)),
              ElementsAre("0 %", "20 %", "40 %", "60 %", "80 %", "100 %"));
  EXPECT_THAT(Labels(LinearAxis(0, 149504, 6, false)),
              ElementsAre("0", "20k", "40k", "60k", "80k", "100k", "120k", "140k"));
  EXPECT_THAT(Labels(LinearAxis(-42, 8, 5, true)),
              ElementsAre("-50", "-40", "-30", "-20", "-10", "0", "10"));
}

TEST(Axis, RoundingWidensToWholeTicksAndOtherwiseTheRangeStays) {
  const Axis round = LinearAxis(0.3, 9.7, 5, true), exact = LinearAxis(0.3, 9.7, 5, false);
  EXPECT_EQ(round.low, 0);
  EXPECT_EQ(round.high, 10);
  EXPECT_EQ(exact.low, 0.3);
  EXPECT_EQ(exact.high, 9.7);
  EXPECT_EQ(exact.ticks.front().value, 2);
}

TEST(Axis, NumberOfTicksIsNearTheWishForEveryRange) {
  for (double high = 1e-7; high < 1e9; high *= 1.37) {
    const Axis axis = LinearAxis(0, high, 5, true);
    EXPECT_GE(axis.ticks.size(), 4u) << high;
    EXPECT_LE(axis.ticks.size(), 9u) << high;
    EXPECT_LE(axis.low, 0);
    EXPECT_GE(axis.high, high * (1 - 1e-9));
    for (size_t i = 1; i < axis.ticks.size(); ++i)
      EXPECT_NE(axis.ticks[i].label, axis.ticks[i - 1].label) << high;
  }
}

TEST(Axis, AnEmptyRangeIsWidened) {
  for (const double value : {0.0, 50.0, -3e-4}) {
    const Axis axis = LinearAxis(value, value, 5, true);
    EXPECT_LT(axis.low, value);
    EXPECT_GT(axis.high, value);
    EXPECT_FALSE(axis.ticks.empty());
  }
}

TEST(Axis, LogarithmicTicksArePowersOfTen) {
  const Axis axis = LogAxis(0.3, 2000);
  EXPECT_THAT(Labels(axis), ElementsAre("1", "10", "100", "1000"));
  EXPECT_NEAR(axis.Place(0.3), 0, 1e-12);
  EXPECT_NEAR(axis.Place(2000), 1, 1e-12);
  EXPECT_NEAR(axis.Place(std::sqrt(0.3 * 2000)), 0.5, 1e-12);
  EXPECT_EQ(axis.Place(-1), 0);  // below zero: at the edge
}

}  // namespace
}  // namespace pawl::track
