#include "envs/action_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace pawl::envs {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ActionSpec Bounded() { return {.size = 2, .low = {-2, 1}, .high = {4, 1.5}}; }

// action [2] as the environment gets it.
std::vector<double> Mapped(const ActionMap& map, std::vector<float> action) {
  std::vector<double> out(action.size());
  map.ToEnv(action.data(), out.data());
  return out;
}

TEST(ActionMap, SquashedActionsAreRescaledToTheBounds) {
  const ActionMap map(Bounded(), /*squashed=*/true);
  EXPECT_EQ(Mapped(map, {0, 0}), (std::vector<double>{1, 1.25}));  // the middle
  EXPECT_EQ(Mapped(map, {20, 20}), (std::vector<double>{4, 1.5}));
  EXPECT_EQ(Mapped(map, {-20, -20}), (std::vector<double>{-2, 1}));
  const auto out = Mapped(map, {0.5f, -1.0f});
  EXPECT_DOUBLE_EQ(out[0], 1 + 3 * std::tanh(0.5));
  EXPECT_DOUBLE_EQ(out[1], 1.25 - 0.25 * std::tanh(1.0));
}

TEST(ActionMap, OthersAreClippedAndNotRescaled) {
  const ActionMap map(Bounded(), /*squashed=*/false);
  EXPECT_EQ(Mapped(map, {0.5f, 1.25f}), (std::vector<double>{0.5, 1.25}));
  EXPECT_EQ(Mapped(map, {20, 20}), (std::vector<double>{4, 1.5}));
  EXPECT_EQ(Mapped(map, {-20, -20}), (std::vector<double>{-2, 1}));
  const ActionMap unbounded({.size = 1, .low = {-kInfinity}, .high = {kInfinity}}, false);
  EXPECT_EQ(Mapped(unbounded, {-1e6f}), (std::vector<double>{-1e6}));
}

TEST(ActionMap, ACategoricalActionIsItsIndex) {
  for (const bool squashed : {false, true}) {
    const ActionMap map({.size = 1, .num_choices = 5}, squashed);
    EXPECT_EQ(Mapped(map, {3}), (std::vector<double>{3}));
  }
}

TEST(ActionMap, MissingBoundsAndSquashingToInfiniteOnesAreRefused) {
  ActionSpec spec{.size = 2, .low = {-1}, .high = {1, 1}, .names = {}};
  EXPECT_THAT([&] { ActionMap(spec, false); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("2 numbers, 1 low and 2 high")));
  spec.low = {-1, -kInfinity};
  const float action[2] = {2, -1e6F};
  double out[2];
  ActionMap(spec, false).ToEnv(action, out);
  EXPECT_EQ(out[1], -1e6F);
  try {
    const ActionMap map(spec, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), testing::HasSubstr("policy.squash"));
    EXPECT_THAT(error.what(), testing::HasSubstr("action 1"));
  }
  spec.num_choices = 3;
  spec.low = spec.high = {};
  EXPECT_NO_THROW(ActionMap(spec, true)) << "discrete: there is nothing to bound";
}

}  // namespace
}  // namespace pawl::envs
