#include "core/spin_pair.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "core/error.h"

namespace pawl::core {
namespace {

class SpinPairBoth : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Enabled, SpinPairBoth, ::testing::Bool());

TEST_P(SpinPairBoth, BothHalvesRunAndSeeEachOthersLastRound) {
  SpinPair pair(GetParam());
  EXPECT_EQ(pair.enabled(), GetParam());
  // round r reads what the other half wrote in round r - 1: wrong unless Run is a full barrier
  int64_t value[2] = {1, 1};
  int64_t next[2] = {};
  constexpr int kRounds = 2'000;
  for (int round = 0; round < kRounds; ++round) {
    pair.Run([&](int who) { next[who] = (value[0] * 3 + value[1] * 5 + who) % 1'000'003; });
    pair.Run([&](int who) { value[who] = next[who]; });
  }
  int64_t a = 1, b = 1;
  for (int round = 0; round < kRounds; ++round) {
    const int64_t mixed = a * 3 + b * 5;
    a = mixed % 1'000'003;
    b = (mixed + 1) % 1'000'003;
  }
  EXPECT_EQ(value[0], a);
  EXPECT_EQ(value[1], b);
}

TEST_P(SpinPairBoth, TheFirstHalfsExceptionGoesFirst) {
  SpinPair pair(GetParam());
  const auto caught = [&](bool first, bool second) -> std::string {
    try {
      pair.Run([&](int who) {
        if (who == 0 ? first : second) throw Error("half " + std::to_string(who));
      });
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_EQ(caught(true, true), "half 0");
  EXPECT_EQ(caught(true, false), "half 0");
  EXPECT_EQ(caught(false, true), "half 1");
  EXPECT_EQ(caught(false, false), "none");  // nothing is left over
}

TEST_P(SpinPairBoth, WakesUpAfterASleep) {
  SpinPair pair(GetParam());
  for (const double idle_seconds : {0.0001, 0.005}) {  // yielding; asleep
    const double until = MonotonicSeconds() + idle_seconds;
    while (MonotonicSeconds() < until) std::this_thread::yield();
    int done[2] = {};
    pair.Run([&](int who) { done[who] = 1; });
    EXPECT_EQ(done[0] + done[1], 2);
  }
}

TEST(SpinPair, HalvesRunOnTwoThreadsOnlyWhenEnabled) {
  for (const bool enabled : {false, true}) {
    SpinPair pair(enabled);
    std::thread::id ids[2];
    pair.Run([&](int who) { ids[who] = std::this_thread::get_id(); });
    EXPECT_EQ(ids[0], std::this_thread::get_id());
    EXPECT_EQ(ids[0] != ids[1], enabled);
  }
}

TEST(SpinPair, AnUnusedPairEnds) { SpinPair pair(true); }

}  // namespace
}  // namespace pawl::core
