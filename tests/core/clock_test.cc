#include "core/clock.h"

#include <gtest/gtest.h>

#include <limits>

namespace pawl::core {
namespace {

TEST(Clock, DeadlinesNeverOverflow) {
  EXPECT_GT(After(1e300), After(3600));
  EXPECT_GT(After(std::numeric_limits<double>::infinity()), After(3600));
  EXPECT_LT(After(-1e300), Clock::now());
  EXPECT_LT(After(-1), Clock::now());
}

}  // namespace
}  // namespace pawl::core
