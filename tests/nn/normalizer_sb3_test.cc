// normalize.update = "per_step" against the VecNormalize of Stable-Baselines3, step by step.
// tests/goldens/make_sb3_ppo.py made the file.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/normalizer.h"
#include "tests/goldens/goldens.h"

namespace pawl::nn {
namespace {

class NormalizerSb3 : public testing::Test {
 protected:
  // Entry `at` of an array of many entries of `count` numbers.
  template <class T>
  std::span<const T> Entry(const char* name, size_t at, size_t count) const {
    return golden_.Get<T>(name).subspan(at * count, count);
  }
  // Every environment's one new observation, merged in environment order.
  void Merge(Normalizer& normalizer, std::span<const double> observation) const {
    const size_t width = 1 + 2 * obs_;
    std::vector<double> packed(batch_ * width);
    for (size_t b = 0; b < batch_; ++b) {
      AddToMoments(observation.subspan(b * obs_, obs_), {packed.data() + b * width, width});
    }
    normalizer.MergeObservations(packed);
  }
  void ExpectObservations(const NormalizerSnapshot& snapshot, std::span<const double> raw,
                          std::span<const float> theirs) const {
    std::vector<float> ours(raw.size());
    snapshot.Observation(raw.data(), static_cast<int>(raw.size() / obs_), ours.data());
    // one rounding to float32 of numbers that agree to 1e-12
    for (size_t i = 0; i < ours.size(); ++i) {
      ASSERT_NEAR(ours[i], theirs[i], 1e-6 * (1 + std::fabs(theirs[i])));
    }
  }
  void ExpectStatistics(const NormalizerSnapshot& snapshot, size_t at) const {
    const auto mean = Entry<double>("obs_mean", at, obs_);
    const auto variance = Entry<double>("obs_var", at, obs_);
    for (size_t i = 0; i < obs_; ++i) {
      ASSERT_NEAR(snapshot.mean[i], mean[i], 1e-12 * (1 + std::fabs(mean[i])));
      ASSERT_NEAR(snapshot.variance[i], variance[i], 1e-10 * (1 + variance[i]));
    }
    const double of_returns = Entry<double>("ret_var", at, 1)[0];
    ASSERT_NEAR(snapshot.return_variance, of_returns, 1e-10 * (1 + of_returns));
  }

  const core::ArrayMap golden_ =
      core::ReadSafetensors(GoldensFolder() / "sb3/per_step_norm.safetensors");
  const size_t steps_ = golden_.At("rewards").shape[0], batch_ = golden_.At("rewards").shape[1];
  const size_t obs_ = golden_.At("obs_raw").shape[2];
};

TEST_F(NormalizerSb3, EveryStepGivesItsStatisticsObservationsAndRewards) {
  Normalizer normalizer({.observation = true, .reward = true, .update = NormalizeUpdate::kPerStep},
                        static_cast<int>(obs_), static_cast<int>(batch_));
  const size_t width = batch_ * obs_;
  const std::vector<uint8_t> no(batch_);
  size_t ended = 0;
  const auto index = golden_.Get<int32_t>("terminal_index");
  for (size_t at = 0; at <= steps_; ++at) {
    SCOPED_TRACE(testing::Message() << "entry " << at);
    // entry 0 is the reset
    const auto observation = Entry<double>("obs_raw", at, width);
    Merge(normalizer, observation);
    std::vector<double> reward;
    if (at > 0) {
      for (const float r : Entry<float>("rewards_raw", at - 1, batch_)) reward.push_back(r);
      normalizer.AccumulateReturns(reward, Entry<uint8_t>("dones", at - 1, batch_), no);
    }
    const NormalizerSnapshot snapshot = normalizer.Snapshot();
    ExpectStatistics(snapshot, at);
    ExpectObservations(snapshot, observation, Entry<float>("obs", at, width));
    for (size_t b = 0; b < reward.size(); ++b) {
      const float theirs = Entry<float>("rewards", at - 1, batch_)[b];
      ASSERT_NEAR(snapshot.Reward(reward[b]), theirs, 1e-6 * (1 + std::fabs(theirs)));
    }
    for (; ended < index.size() / 2 && index[2 * ended] == static_cast<int>(at) - 1; ++ended) {
      ExpectObservations(snapshot, Entry<double>("terminal_obs_raw", ended, obs_),
                         Entry<float>("terminal_obs", ended, obs_));
    }
  }
  EXPECT_EQ(ended, index.size() / 2);
  EXPECT_GE(ended, 20u);
}

}  // namespace
}  // namespace pawl::nn
