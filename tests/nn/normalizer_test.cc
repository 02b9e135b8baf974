#include "nn/normalizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"

namespace pawl::nn {
namespace {

std::vector<double> Draw(core::Philox& rng, int count) {
  std::vector<double> x(count);
  for (double& v : x) v = 3 + 2 * rng.Normal();
  return x;
}

TEST(Normalizer, MergedMomentsAreTheBatchMeanAndPopulationVariance) {
  core::Philox rng(1, core::Role::kTest, 0, 0);
  const int envs = 3, obs = 2, steps = 50;
  Normalizer normalizer({.observation = true}, obs, envs);
  std::vector<double> packed(envs * (1 + 2 * obs)), sum(obs), squares(obs);
  for (int t = 0; t < steps; ++t) {
    for (int e = 0; e < envs; ++e) {
      const auto x = Draw(rng, obs);
      AddToMoments(x, {packed.data() + e * (1 + 2 * obs), 1 + 2 * obs});
      for (int i = 0; i < obs; ++i) {
        sum[i] += x[i];
        squares[i] += x[i] * x[i];
      }
    }
  }
  normalizer.MergeObservations(packed);
  const auto snapshot = normalizer.Snapshot();
  const double n = envs * steps + 1e-4;
  for (int i = 0; i < obs; ++i) {
    const double mean = sum[i] / n;
    EXPECT_NEAR(snapshot.mean[i], mean, 1e-12);
    // the prior: 1e-4 observations of mean 0 and variance 1
    EXPECT_NEAR(snapshot.variance[i], (squares[i] + 1e-4) / n - mean * mean, 1e-10);
  }
}

TEST(Normalizer, ObservationsAreClippedAndCentred) {
  NormalizerSnapshot s{
      .observation = true, .clip_observation = 2, .mean = {1, 1}, .variance = {4, 4}};
  s.Prepare();
  const double raw[] = {3, 100, -100, -2.5};
  float out[4];
  s.Observation(raw, 2, out);
  EXPECT_NEAR(out[0], 1, 1e-7);
  EXPECT_EQ(out[1], 2);
  EXPECT_EQ(out[2], -2);
  EXPECT_NEAR(out[3], -1.75, 1e-7);
}

TEST(Normalizer, RewardsAreClippedOnBothSides) {
  const NormalizerSnapshot s{.reward = true, .clip_reward = 2, .return_variance = 4};
  EXPECT_EQ(s.Reward(100), 2);
  EXPECT_EQ(s.Reward(-100), -2);
  EXPECT_NEAR(s.Reward(-3), -1.5, 1e-7);
}

TEST(Normalizer, RewardsAreScaledByTheReturnsDeviationWithoutAMean) {
  Normalizer normalizer({.reward = true, .gamma = 0.5}, 1, 1);
  // returns 1, 1.5, then a new episode: 2
  const double reward[] = {1, 1, 2};
  const uint8_t terminated[] = {0, 1, 0}, truncated[] = {0, 0, 0};
  normalizer.AccumulateReturns(reward, terminated, truncated);
  const double n = 3 + 1e-4, mean = 4.5 / n, variance = (1 + 2.25 + 4 + 1e-4) / n - mean * mean;
  EXPECT_NEAR(normalizer.Snapshot().Reward(1), 1 / std::sqrt(variance), 1e-5);
}

TEST(Normalizer, ResetChoosesWhetherATruncationRestartsTheReturn) {
  const double reward[] = {1, 1};
  const uint8_t terminated[] = {0, 0}, truncated[] = {1, 0};
  Normalizer done({.reward = true, .gamma = 1}, 1, 1);
  Normalizer terminal({.reward = true, .gamma = 1, .reset = NormalizeReset::kTerminated}, 1, 1);
  done.AccumulateReturns(reward, terminated, truncated);
  terminal.AccumulateReturns(reward, terminated, truncated);
  EXPECT_NEAR(done.Snapshot().return_variance, 0, 1e-3);         // 1, 1
  EXPECT_NEAR(terminal.Snapshot().return_variance, 0.25, 1e-3);  // 1, 2
}

// Gymnasium's NormalizeReward: R <- gamma (1 - terminated) R + r, and no reset elsewhere.
TEST(Normalizer, TerminatedResetIsGymnasiums) {
  const double reward[] = {1, 2, 3, 1};
  const uint8_t terminated[] = {0, 1, 0, 0}, truncated[] = {0, 0, 1, 0};
  Normalizer normalizer({.reward = true, .gamma = 0.5, .reset = NormalizeReset::kTerminated}, 1, 1);
  normalizer.AccumulateReturns(reward, terminated, truncated);
  // 1, 2, 4, 3 and the prior of 1e-4 observations of mean 0 and variance 1
  const double n = 4 + 1e-4, mean = 10 / n;
  EXPECT_NEAR(normalizer.Snapshot().return_variance, (30 + 1e-4) / n - mean * mean, 1e-12);
}

TEST(Normalizer, SaveAndLoadContinueBitForBit) {
  core::Philox rng(2, core::Role::kTest, 0, 0);
  Normalizer a({.observation = true, .reward = true}, 2, 2);
  const auto feed = [&](Normalizer& n, uint64_t seed) {
    core::Philox stream(seed, core::Role::kTest, 1, 0);
    std::vector<double> packed(2 * 5);
    for (int e = 0; e < 2; ++e) AddToMoments(Draw(stream, 2), {packed.data() + e * 5, 5});
    n.MergeObservations(packed);
    const auto reward = Draw(stream, 2);
    const uint8_t none[] = {0, 0};
    n.AccumulateReturns(reward, none, none);
  };
  feed(a, 1);
  core::ArrayMap saved;
  a.Save(saved);
  Normalizer b({.observation = true, .reward = true}, 2, 2);
  b.Load(saved);
  feed(a, 2);
  feed(b, 2);
  EXPECT_EQ(a.Snapshot().mean, b.Snapshot().mean);
  EXPECT_EQ(a.Snapshot().return_variance, b.Snapshot().return_variance);
}

}  // namespace
}  // namespace pawl::nn
