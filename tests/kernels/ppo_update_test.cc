#include "kernels/ppo_update.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "kernels/elementwise.h"
#include "kernels/panel.h"
#include "reference.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

std::vector<int32_t> Shuffled(int total, int rows, uint64_t seed) {
  std::vector<int32_t> index(total);
  std::iota(index.begin(), index.end(), 0);
  core::Philox rng(seed, core::Role::kTest, 2, 0);
  for (int i = total - 1; i > 0; --i) std::swap(index[i], index[rng.Below(i + 1)]);
  index.resize(rows);
  return index;
}

// Weights a little off those that acted, so that ratios differ from 1 and some are clipped.
AlignedBuffer Moved(const MlpLayout& layout, const AlignedBuffer& weights, double by) {
  const AlignedBuffer other = RandomWeights(layout, 99);
  AlignedBuffer moved = weights;
  for (size_t i = 0; i < moved.size(); ++i) {
    moved.data()[i] += static_cast<float>(by) * other.data()[i];
  }
  return moved;
}

std::vector<MlpShape> Grid() {
  std::vector<MlpShape> shapes;
  for (auto activation : {Activation::kTanh, Activation::kRelu, Activation::kElu}) {
    for (bool shared : {false, true}) {
      for (auto head :
           {PolicyHead::kGaussian, PolicyHead::kSquashedGaussian, PolicyHead::kCategorical}) {
        for (const std::vector<int>& hidden :
             {std::vector{5}, std::vector{20, 16}, std::vector{7, 33, 3}}) {
          shapes.push_back({.obs = 4 + 14 * shared,
                            .act = head == PolicyHead::kGaussian ? 18 : 3,
                            .hidden = hidden,
                            .activation = activation,
                            .shared = shared,
                            .head = head});
        }
      }
    }
  }
  return shapes;
}

class PpoStep : public OnEveryTarget {};

// The kernel's gradient beside central differences of the double loss, on a spread of parameters.
void CheckGradient(const MlpShape& shape, const PpoLossSettings& settings, int rows) {
  const MlpLayout layout(shape);
  const AlignedBuffer acted = RandomWeights(layout, 1), weights = Moved(layout, acted, 0.1);
  const RandomRollout rollout(layout, acted.data(), 150, 2);
  const auto index = Shuffled(150, rows, 3);
  AlignedBuffer grad(layout.size());
  PpoUpdate update(layout, 150, 1);
  // nothing of a step before, on other rows, may be left in the scratch
  const auto other = Shuffled(150, 150, 4);
  update.Gradient(rollout.View(), other.data(), 150, settings, weights.data(), grad.data());
  const PpoStats stats =
      update.Gradient(rollout.View(), index.data(), rows, settings, weights.data(), grad.data());
  DenseWeights dense = ToDense(layout, weights.data());
  const ReferenceLoss want = ReferencePpoLoss(shape, dense, rollout.View(), index, settings);
  const std::string name = ShapeName(shape);
  // float32 sums of up to 150 rows of terms of order 1
  EXPECT_NEAR(stats.policy_loss, want.policy, 1e-5) << name;
  EXPECT_NEAR(stats.value_loss, want.value, 1e-5 * (1 + want.value)) << name;
  EXPECT_NEAR(stats.entropy, want.entropy, 1e-5 * (1 + std::fabs(want.entropy))) << name;
  EXPECT_NEAR(stats.approx_kl, want.kl, 1e-5) << name;
  EXPECT_NEAR(stats.clip_fraction, want.clip_fraction, 1e-6) << name;
  EXPECT_TRUE(stats.finite) << name;

  const DenseWeights got = ToDense(layout, grad.data());
  double largest = 0, squares = 0;
  for (const auto& [key, values] : got) {
    for (double g : values) {
      largest = std::max(largest, std::fabs(g));
      squares += g * g;
    }
  }
  EXPECT_NEAR(stats.grad_norm, std::sqrt(squares), 1e-5 * std::sqrt(squares)) << name;
  for (auto& [key, values] : dense) {
    const size_t stride = std::max<size_t>(values.size() / 7, 1);
    for (size_t i = 0; i < values.size(); i += stride) {
      constexpr double kStep = 1e-6;
      const double at = values[i];
      values[i] = at + kStep;
      const double above = ReferencePpoLoss(shape, dense, rollout.View(), index, settings).total;
      values[i] = at - kStep;
      const double below = ReferencePpoLoss(shape, dense, rollout.View(), index, settings).total;
      values[i] = at;
      EXPECT_NEAR(got.at(key)[i], (above - below) / (2 * kStep), 1e-5 * largest)
          << name << " " << key << "[" << i << "]";
    }
  }
}

TEST_P(PpoStep, GradientAgreesWithCentralDifferencesOnTheWholeGrid) {
  for (const MlpShape& shape : Grid()) {
    CheckGradient(shape, {.entropy_coef = 0.03f}, 37);
    CheckGradient(shape,
                  {.clip_range = 0.1f,
                   .clip_range_value = 0.2f,
                   .value_coef = 1.3f,
                   .normalize_advantage = false},
                  70);
  }
}

TEST_P(PpoStep, GradientAgreesForOddNumbersOfRows) {
  for (bool shared : {false, true}) {
    for (int rows : {1, 2, 63, 64, 65, 129}) {
      CheckGradient({.obs = 17, .act = 6, .hidden = {24, 24}, .shared = shared},
                    {.entropy_coef = 0.01f}, rows);
    }
  }
}

TEST_P(PpoStep, FirstMinibatchHasLogRatioExactlyZero) {
  for (const MlpShape& shape : Grid()) {
    const MlpLayout layout(shape);
    const AlignedBuffer weights = RandomWeights(layout, 1);
    // the rollout's own forward pass sees 70 rows at once; the learner any number, anywhere
    const RandomRollout rollout(layout, weights.data(), 70, 2);
    PpoUpdate update(layout, 70, 1);
    AlignedBuffer grad(layout.size());
    for (int rows = 1; rows <= 70; ++rows) {
      const auto index = Shuffled(70, rows, rows);
      const PpoStats stats =
          update.Gradient(rollout.View(), index.data(), rows, {}, weights.data(), grad.data());
      ASSERT_EQ(stats.max_abs_log_ratio, 0) << ShapeName(shape) << " " << rows << " rows";
      ASSERT_EQ(stats.approx_kl, 0);
    }
  }
}

// Ten steps over changing minibatches; returns weights, m and v.
std::vector<float> TenSteps(const MlpShape& shape, int threads) {
  const MlpLayout layout(shape);
  AlignedBuffer weights = RandomWeights(layout, 1), m(layout.size()), v(layout.size());
  const RandomRollout rollout(layout, weights.data(), 150, 2);
  PpoUpdate update(layout, 100, threads);
  for (int step = 1; step <= 10; ++step) {
    const auto index = Shuffled(150, step * 10 - 3, step);
    const PpoStats stats = update.Step(rollout.View(), index.data(), static_cast<int>(index.size()),
                                       {.entropy_coef = 0.01f}, {.learning_rate = 1e-2f}, step,
                                       weights.data(), m.data(), v.data());
    EXPECT_TRUE(stats.finite && !stats.stopped);
  }
  std::vector<float> all;
  for (const auto* part : {&weights, &m, &v}) {
    all.insert(all.end(), part->data(), part->data() + part->size());
  }
  return all;
}

TEST_P(PpoStep, OneAndTwoThreadsGiveTheSameBits) {
  for (const MlpShape& shape : Grid()) {
    const auto one = TenSteps(shape, 1), two = TenSteps(shape, 2);
    EXPECT_TRUE(SameBits(one.data(), two.data(), one.size())) << ShapeName(shape);
  }
}

TEST_P(PpoStep, PaddingStaysExactlyZero) {
  for (const MlpShape& shape : Grid()) {
    const MlpLayout layout(shape);
    AlignedBuffer is_real(layout.size());
    for (const auto& p : layout.parameters()) {
      const std::vector<float> ones(size_t(p.out) * std::max(p.in, 1), 1.0f);
      layout.Pack(p, ones.data(), is_real.data());
    }
    const auto state = TenSteps(shape, 1);
    for (size_t i = 0; i < state.size(); ++i) {
      if (is_real.data()[i % layout.size()] == 0) {
        ASSERT_EQ(state[i], 0) << ShapeName(shape) << " at " << i;
      }
    }
  }
}

TEST_P(PpoStep, AdamFollowsTheFormula) {
  const MlpLayout layout({.obs = 3, .act = 2, .hidden = {5}});
  const AlignedBuffer before = RandomWeights(layout, 1);
  AlignedBuffer weights = before, m = RandomWeights(layout, 5), v(layout.size()),
                grad(layout.size());
  for (size_t i = 0; i < v.size(); ++i) v.data()[i] = 1e-3f * std::fabs(m.data()[i]);
  const AlignedBuffer m0 = m, v0 = v;
  const RandomRollout rollout(layout, weights.data(), 20, 2);
  const auto index = Shuffled(20, 9, 3);
  const PpoLossSettings loss{.max_grad_norm = 0.1f};
  const AdamSettings adam{.learning_rate = 3e-3f, .beta1 = 0.8f, .beta2 = 0.99f, .epsilon = 1e-5f};
  PpoUpdate update(layout, 20, 1);
  const double norm =
      update.Gradient(rollout.View(), index.data(), 9, loss, before.data(), grad.data()).grad_norm;
  ASSERT_GT(norm, loss.max_grad_norm);
  update.Step(rollout.View(), index.data(), 9, loss, adam, 7, weights.data(), m.data(), v.data());
  for (size_t i = 0; i < weights.size(); ++i) {
    const double g = grad.data()[i] * loss.max_grad_norm / (norm + 1e-6);
    const double m1 = 0.8 * m0.data()[i] + 0.2 * g, v1 = 0.99 * v0.data()[i] + 0.01 * g * g;
    const double step =
        3e-3 * m1 / (1 - std::pow(0.8, 7)) / (std::sqrt(v1 / (1 - std::pow(0.99, 7))) + 1e-5);
    // the settings themselves are float32: 0.8f differs from 0.8 by 1.5e-8
    EXPECT_NEAR(m.data()[i], m1, 1e-6 * (1e-3 + std::fabs(m1)));
    EXPECT_NEAR(v.data()[i], v1, 1e-5 * (1e-6 + v1));
    EXPECT_NEAR(weights.data()[i], before.data()[i] - step, 1e-5 * std::fabs(step) + 2e-7);
  }
}

TEST_P(PpoStep, MomentsOfADeadUnitReachZero) {
  AlignedBuffer g(kPanel), m(kPanel), v(kPanel), p(kPanel);
  for (float& x : m.span()) x = 1;
  for (int i = 0; i < 1000; ++i) {
    AdamStep({.beta1 = 0.9f,
              .beta2 = 0.9f,
              .epsilon = 1e-5f,
              .scale = 1,
              .step_size = 1e-3f,
              .correction = 1},
             g.data(), m.data(), v.data(), p.data(), kPanel);
  }
  for (float x : m.span()) EXPECT_EQ(x, 0);
}

TEST_P(PpoStep, NaNAnywhereIsSeenAndChangesNothing) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const MlpShape& shape : Grid()) {
    if (shape.hidden.size() != 2) continue;
    const MlpLayout layout(shape);
    const AlignedBuffer clean = RandomWeights(layout, 1);
    RandomRollout rollout(layout, clean.data(), 30, 2);
    const auto index = Shuffled(30, 30, 3);
    const PpoLossSettings loss{.clip_range_value = 0.2f, .target_kl = 1e-9f};
    PpoUpdate update(layout, 30, 1);
    auto expect_unchanged = [&](AlignedBuffer weights, const std::string& what) {
      const AlignedBuffer before = weights;
      AlignedBuffer m(layout.size()), v(layout.size());
      const PpoStats stats = update.Step(rollout.View(), index.data(), 30, loss, {}, 1,
                                         weights.data(), m.data(), v.data());
      EXPECT_FALSE(stats.finite) << ShapeName(shape) << " " << what;
      EXPECT_TRUE(SameBits(weights.data(), before.data(), before.size()));
      for (size_t i = 0; i < m.size(); ++i) ASSERT_TRUE(m.data()[i] == 0 && v.data()[i] == 0);
    };
    for (auto [what, input] : {std::pair{"obs", &rollout.obs},
                               {"action", &rollout.action},
                               {"log_prob", &rollout.log_prob},
                               {"advantage", &rollout.advantage},
                               {"returns", &rollout.returns},
                               {"value", &rollout.value}}) {
      for (size_t at : {size_t(0), input->size() - 1}) {
        const float good = std::exchange((*input)[at], nan);
        expect_unchanged(clean, what);
        (*input)[at] = good;
      }
    }
    for (const auto& p : layout.parameters()) {
      AlignedBuffer weights = clean;
      weights.data()[p.offset] = nan;
      expect_unchanged(weights, p.name);
    }
  }
}

TEST_P(PpoStep, TargetKlStopsBeforeTheStepAsSb3Does) {
  const MlpLayout layout({.obs = 3, .act = 2, .hidden = {5}});
  const AlignedBuffer acted = RandomWeights(layout, 1);
  const RandomRollout rollout(layout, acted.data(), 20, 2);
  const auto index = Shuffled(20, 20, 3);
  PpoUpdate update(layout, 20, 1);
  AlignedBuffer weights = Moved(layout, acted, 0.1), m(layout.size()), v(layout.size());
  const AlignedBuffer before = weights;
  auto step = [&](float target_kl) {
    return update.Step(rollout.View(), index.data(), 20, {.target_kl = target_kl}, {}, 1,
                       weights.data(), m.data(), v.data());
  };
  const float kl = step(1e-9f).approx_kl;
  ASSERT_GT(kl, 0);
  EXPECT_TRUE(step(kl / 1.6f).stopped);
  EXPECT_TRUE(SameBits(weights.data(), before.data(), before.size()));
  EXPECT_FALSE(step(kl / 1.4f).stopped);
  EXPECT_FALSE(SameBits(weights.data(), before.data(), before.size()));
}
PAWL_ON_EVERY_TARGET(PpoStep);

TEST(PpoUpdate, RefusesWhatItCannotStep) {
  const MlpLayout layout({.obs = 3, .act = 2, .hidden = {5}});
  AlignedBuffer weights = RandomWeights(layout, 1), m(layout.size()), v(layout.size());
  const RandomRollout rollout(layout, weights.data(), 4, 2);
  const int32_t index[] = {0, 1, 2, 3};
  PpoUpdate update(layout, 3, 1);
  auto step = [&](int rows, AdamSettings adam) {
    update.Step(rollout.View(), index, rows, {}, adam, 1, weights.data(), m.data(), v.data());
  };
  EXPECT_THROW(step(0, {}), Error);
  EXPECT_THROW(step(4, {}), Error);
  EXPECT_THROW(step(3, {.learning_rate = NAN}), Error);
  EXPECT_THROW(step(3, {.epsilon = 0}), Error);
}

}  // namespace
}  // namespace pawl::kernels
