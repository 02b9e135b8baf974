#include "kernels/advantage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/rng.h"
#include "gae_case.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

TEST(Gae, HandWorkedCase) {
  // gamma 0.5, lambda 0.5: delta_2 = 3 + 0.5*8 - 2 = 5, delta_1 = 2 + 0.5*2 - 1 = 2, ...
  GaeCase c(3, 1, 1);
  c.reward = {1, 2, 3};
  c.value = {4, 1, 2};
  c.last_value = {8};
  c.terminated = c.truncated = {0, 0, 0};
  GaeArgs args = c.Args();
  args.gamma = args.lambda = 0.5f;
  GaeCpu(args);
  EXPECT_EQ(c.advantage, (std::vector<float>{-2.5f + 0.25f * 3.25f, 2 + 0.25f * 5, 5}));
  EXPECT_EQ(c.returns, (std::vector<float>{-2.5f + 0.25f * 3.25f + 4, 3.25f + 1, 7}));
}

TEST(Gae, TruncationBootstrapsTerminationDoesNot) {
  GaeCase c(1, 3, 1);
  c.reward = {1, 1, 1};
  c.value = {0, 0, 0};
  c.final_value = {10, 10, 10};
  c.last_value = {100, 100, 100};
  c.terminated = {1, 0, 1};
  c.truncated = {0, 1, 1};  // both: the episode really ended
  GaeArgs args = c.Args();
  args.gamma = 0.5f;
  GaeCpu(args);
  EXPECT_EQ(c.advantage, (std::vector<float>{1, 6, 1}));
}

TEST(Gae, NothingCrossesTheEndOfAnEpisode) {
  GaeCase c(4, 5, 2);
  for (int i = 0; i < 5; ++i) c.terminated[5 + i] = 1;
  GaeCpu(c.Args());
  const auto before = c.advantage;
  for (int i = 10; i < 20; ++i) c.reward[i] += 100;
  GaeCpu(c.Args());
  EXPECT_TRUE(SameBits(before.data(), c.advantage.data(), 10));
}

class GaeTargets : public OnEveryTarget {};
TEST_P(GaeTargets, SameBitsAsTheScalarReferenceForEverySize) {
  for (int time : {0, 1, 2, 7, 64}) {
    for (int batch : {0, 1, 3, 8, 15, 16, 17, 33, 100}) {
      GaeCase fast(time, batch, 3), slow(time, batch, 3);
      GaeCpu(fast.Args());
      GaeReference(slow.Args());
      ASSERT_EQ(fast.advantage, slow.advantage) << time << " x " << batch;
      ASSERT_EQ(fast.returns, slow.returns) << time << " x " << batch;
    }
  }
}
// final_value holds nothing where no episode was cut: NaN there must not leak.
TEST_P(GaeTargets, FinalValueIsReadOnlyWhereTruncated) {
  GaeCase c(20, 19, 4);
  for (size_t i = 0; i < c.final_value.size(); ++i) {
    if (!c.truncated[i] || c.terminated[i]) c.final_value[i] = NAN;
  }
  GaeCpu(c.Args());
  for (float x : c.advantage) EXPECT_TRUE(std::isfinite(x));
}
PAWL_ON_EVERY_TARGET(GaeTargets);

}  // namespace
}  // namespace pawl::kernels
