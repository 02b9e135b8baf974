#include "train/interval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace pawl::train {
namespace {

TEST(WilsonInterval, AgreesWithPublishedValues) {
  // Newcombe 1998, table I: 81 of 263
  const Interval i = WilsonInterval(81, 263);
  EXPECT_NEAR(i.low, 0.2553, 5e-5);
  EXPECT_NEAR(i.high, 0.3662, 5e-5);
}

TEST(WilsonInterval, EndsAreExactAndOfNoTrialsItIsEverything) {
  EXPECT_EQ(WilsonInterval(200, 200).high, 1);
  EXPECT_EQ(WilsonInterval(0, 100).low, 0);
  EXPECT_NEAR(WilsonInterval(200, 200).low, 0.98115, 1e-5);
  EXPECT_EQ(WilsonInterval(0, 0).low, 0);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

TEST(BootstrapMeanInterval, CoversTheNormalInterval) {
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) values.push_back(i % 20);
  const Interval i = BootstrapMeanInterval(values);
  const double half = 1.96 * std::sqrt((20 * 20 - 1) / 12.0 / 400);
  EXPECT_NEAR(i.low, 9.5 - half, 0.1);
  EXPECT_NEAR(i.high, 9.5 + half, 0.1);
}

TEST(BootstrapMeanInterval, IsTheSameEveryTimeAndASingleValueGivesItself) {
  const std::vector<double> values = {1, 5, 2};
  EXPECT_EQ(BootstrapMeanInterval(values).low, BootstrapMeanInterval(values).low);
  EXPECT_EQ(BootstrapMeanInterval(std::vector<double>{7}).high, 7);
}

}  // namespace
}  // namespace pawl::train
