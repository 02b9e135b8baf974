#include "kernels/action_dist.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/rng.h"
#include "reference.h"
#include "targets.h"

namespace pawl::kernels {
namespace {
constexpr PolicyHead kHeads[] = {PolicyHead::kGaussian, PolicyHead::kSquashedGaussian,
                                 PolicyHead::kCategorical};

// Random heads, noise and the actions drawn from them.
struct Draw {
  Draw(PolicyHead kind, int act, int rows, uint64_t seed) : kind(kind), act(act), rows(rows) {
    core::Philox rng(seed, core::Role::kTest, 0, 0);
    for (int a = 0; a < act; ++a) log_std.push_back(static_cast<float>(0.5 * rng.Normal()));
    for (int i = 0; i < rows * act; ++i) {
      head.push_back(static_cast<float>(2 * rng.Normal()));
      const bool categorical = kind == PolicyHead::kCategorical;
      noise.push_back(static_cast<float>(categorical ? rng.Uniform(1e-6, 1 - 1e-6) : rng.Normal()));
    }
    action.resize(kind == PolicyHead::kCategorical ? rows : rows * act);
    log_prob.resize(rows);
    SampleActions(kind, act, head.data(), log_std.data(), noise.data(), rows, action.data(),
                  log_prob.data());
  }
  int stored() const { return kind == PolicyHead::kCategorical ? 1 : act; }
  PolicyHead kind;
  int act, rows;
  std::vector<float> log_std, head, noise, action, log_prob;
};

class ActionDistribution : public OnEveryTarget {};

TEST_P(ActionDistribution, LogProbAgreesWithDouble) {
  for (PolicyHead kind : kHeads) {
    for (int act : {1, 6, 16, 21}) {
      const Draw draw(kind, act, 37, 1);
      const MlpShape shape{.act = act, .head = kind};
      for (int row = 0; row < draw.rows; ++row) {
        const float* head = draw.head.data() + row * act;
        const double want =
            ReferenceLogProb(shape, {head, head + act}, {draw.log_std.begin(), draw.log_std.end()},
                             draw.action.data() + row * draw.stored())
                .log_prob;
        // a few roundings of terms as large as the sum, for each of the A terms
        EXPECT_NEAR(draw.log_prob[row], want, 1e-6 * act * (1 + std::fabs(want)));
      }
    }
  }
}

TEST_P(ActionDistribution, LogProbOfARowIsTheSameBitsAloneOrInAnyBatch) {
  for (PolicyHead kind : kHeads) {
    const Draw draw(kind, 6, 70, 2);
    for (int first = 0; first < 70; first += 3) {
      for (int rows : {1, 2, 15, 16, 17, 70 - first}) {
        if (first + rows > 70) continue;
        std::vector<float> log_prob(rows), sampled(rows), action(rows * draw.stored());
        ActionLogProb(kind, 6, draw.head.data() + first * 6, draw.log_std.data(),
                      draw.action.data() + first * draw.stored(), rows, log_prob.data());
        SampleActions(kind, 6, draw.head.data() + first * 6, draw.log_std.data(),
                      draw.noise.data() + first * 6, rows, action.data(), sampled.data());
        EXPECT_TRUE(SameBits(log_prob.data(), draw.log_prob.data() + first, rows));
        EXPECT_TRUE(SameBits(sampled.data(), draw.log_prob.data() + first, rows));
        EXPECT_TRUE(
            SameBits(action.data(), draw.action.data() + first * draw.stored(), action.size()));
      }
    }
  }
}

TEST_P(ActionDistribution, WithoutNoiseGivesMeanOrArgmax) {
  const float head[] = {0.1f, 0.7f, -2.0f, 0.7f}, log_std[] = {0, 0, 0, 0};
  float action[4], log_prob;
  SampleActions(PolicyHead::kGaussian, 4, head, log_std, nullptr, 1, action, &log_prob);
  EXPECT_TRUE(SameBits(action, head, 4));
  SampleActions(PolicyHead::kCategorical, 4, head, nullptr, nullptr, 1, action, &log_prob);
  EXPECT_EQ(action[0], 1);  // the first of equal ones
}

TEST_P(ActionDistribution, CategoricalFrequenciesFollowTheProbabilities) {
  constexpr int kRows = 20000;
  const float logits[] = {0, 1, -1};
  std::vector<float> head, noise, action(kRows), log_prob(kRows);
  core::Philox rng(3, core::Role::kTest, 0, 0);
  for (int i = 0; i < kRows * 3; ++i) {
    head.push_back(logits[i % 3]);
    noise.push_back(static_cast<float>(rng.Uniform(1e-7, 1)));
  }
  SampleActions(PolicyHead::kCategorical, 3, head.data(), nullptr, noise.data(), kRows,
                action.data(), log_prob.data());
  double count[3] = {}, sum = 0;
  for (float a : action) ++count[static_cast<int>(a)];
  for (float logit : logits) sum += std::exp(logit);
  for (int a = 0; a < 3; ++a) {
    const double p = std::exp(logits[a]) / sum;
    EXPECT_NEAR(count[a] / kRows, p, 4 * std::sqrt(p * (1 - p) / kRows));
  }
}

TEST_P(ActionDistribution, BadNumbersAndIndicesGiveNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float head[] = {0.1f, 0.7f}, bad_head[] = {0.1f, nan}, log_std[] = {0, 0};
  for (PolicyHead kind : kHeads) {
    float log_prob = 0;
    const float action[] = {1, 0}, bad_action[] = {nan, 0};
    ActionLogProb(kind, 2, bad_head, log_std, action, 1, &log_prob);
    EXPECT_TRUE(std::isnan(log_prob));
    ActionLogProb(kind, 2, head, log_std, bad_action, 1, &log_prob);
    EXPECT_TRUE(std::isnan(log_prob));
  }
  for (float index : {-1.0f, 2.0f, 0.5f}) {
    float log_prob = 0;
    ActionLogProb(PolicyHead::kCategorical, 2, head, nullptr, &index, 1, &log_prob);
    EXPECT_TRUE(std::isnan(log_prob)) << index;
  }
}

PAWL_ON_EVERY_TARGET(ActionDistribution);
}  // namespace
}  // namespace pawl::kernels
