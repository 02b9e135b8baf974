#include "algos/ppo_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace pawl::algos {
namespace {
using torch::Tensor;

Tensor Row(std::vector<double> values) { return at::tensor(values, at::kDouble); }
double Number(const Tensor& x) { return x.item<double>(); }

// d f / d x by central differences, against autograd.
void ExpectGradient(const std::function<Tensor(const Tensor&)>& f, const Tensor& at_point) {
  Tensor x = at_point.clone().set_requires_grad(true);
  f(x).backward();
  const double step = 1e-6;  // truncation 1e-12, rounding 1e-16 / 1e-6
  for (int64_t i = 0; i < x.numel(); ++i) {
    Tensor above = at_point.clone(), below = at_point.clone();
    above[i] += step;
    below[i] -= step;
    const double expected = (Number(f(above)) - Number(f(below))) / (2 * step);
    EXPECT_NEAR(Number(x.grad()[i]), expected, 1e-8) << "element " << i;
  }
}

// Ratios 1, 1.5 and 0.5 with both signs of the advantage: the pessimistic side counts.
TEST(ClippedSurrogate, HandWorkedCases) {
  const Tensor old_log_prob = Row({-1, -1, -1, -1, -1});
  const Tensor log_prob =
      old_log_prob + Row({0, std::log(1.5), std::log(1.5), std::log(0.5), std::log(0.5)});
  const Tensor advantage = Row({2, 2, -2, 2, -2});
  // min(r A, clip(r) A): 2, 1.2*2, -1.5*2, 0.5*2, -0.8*2
  const double expected = -(2 + 2.4 - 3 + 1 - 1.6) / 5;
  EXPECT_NEAR(Number(ClippedSurrogate(log_prob, old_log_prob, advantage, 0.2, 0.2)), expected,
              1e-12);
}

TEST(ClippedSurrogate, LowAndHighClipAreApart) {
  const Tensor zero = Row({0, 0});
  const Tensor log_prob = Row({std::log(1.5), std::log(0.5)});
  const Tensor advantage = Row({1, -1});
  EXPECT_NEAR(Number(ClippedSurrogate(log_prob, zero, advantage, 0.1, 0.3)), -(1.3 - 0.9) / 2,
              1e-12);
}

TEST(ClippedSurrogate, MaskedRowsDoNotCount) {
  const Tensor zero = Row({0, 0, 0});
  const Tensor log_prob = Row({std::log(1.1), 5, 0});
  const Tensor advantage = Row({1, 100, 3});
  EXPECT_NEAR(Number(ClippedSurrogate(log_prob, zero, advantage, 0.2, 0.2, Row({1, 0, 1}))),
              -(1.1 + 3) / 2, 1e-12);
}

TEST(ClippedSurrogate, GradientEqualsFiniteDifferences) {
  const Tensor old_log_prob = Row({0.1, -0.2, 0.3, 0.0}), advantage = Row({1, -1, 0.5, 2});
  ExpectGradient(
      [&](const Tensor& x) { return ClippedSurrogate(x, old_log_prob, advantage, 0.2, 0.2); },
      Row({0.15, -0.7, 0.9, -0.05}));
}

TEST(ValueLoss, ClipKeepsTheChangeWithinTheRange) {
  const Tensor returns = Row({1, 1}), old_value = Row({0, 0}), value = Row({0.5, 0.1});
  EXPECT_NEAR(Number(ValueLoss(value, returns, old_value, 0)), (0.25 + 0.81) / 2, 1e-12);
  EXPECT_NEAR(Number(ValueLoss(value, returns, old_value, 0.2)), (0.64 + 0.81) / 2, 1e-12);
}

TEST(ValueLoss, GradientEqualsFiniteDifferences) {
  const Tensor returns = Row({1, -1, 0.5}), old_value = Row({0, 0.2, 0.4});
  for (const double clip : {0.0, 0.3}) {
    ExpectGradient([&](const Tensor& x) { return ValueLoss(x, returns, old_value, clip); },
                   Row({0.1, 0.9, 0.45}));
  }
}

// Of the three only k2 is biased; k3 is never negative.
TEST(ApproxKl, HandWorkedCases) {
  const Tensor log_ratio = Row({0.5, -0.5});
  EXPECT_NEAR(Number(ApproxKl(log_ratio, KlEstimator::kK1)), 0, 1e-12);
  EXPECT_NEAR(Number(ApproxKl(log_ratio, KlEstimator::kK2)), 0.125, 1e-12);
  EXPECT_NEAR(Number(ApproxKl(log_ratio, KlEstimator::kK3)),
              (std::exp(0.5) + std::exp(-0.5)) / 2 - 1, 1e-12);
}

// Two Gaussians one deviation apart in mean: KL = 1/2, by samples of the old one on a fine grid.
TEST(ApproxKl, EstimatesTheKlOfTwoGaussians) {
  const Tensor x = at::linspace(-12, 12, 48001, at::kDouble);
  const Tensor weight = (-0.5 * x.square()).exp();
  const Tensor log_ratio = -0.5 * (x - 1).square() + 0.5 * x.square();
  EXPECT_NEAR(Number(ApproxKl(log_ratio, KlEstimator::kK1, weight)), 0.5, 1e-9);
  EXPECT_NEAR(Number(ApproxKl(log_ratio, KlEstimator::kK3, weight)), 0.5, 1e-9);
}

TEST(ClipFraction, CountsRatiosOutsideTheRange) {
  const Tensor log_ratio = Row({0, std::log(1.19), std::log(1.21), std::log(0.79), std::log(0.81)});
  EXPECT_NEAR(Number(ClipFraction(log_ratio, 0.2).to(at::kDouble)), 0.4, 1e-6);
}

TEST(NormalizeAdvantage, HasMeanZeroAndUnbiasedDeviationOne) {
  const Tensor normal = NormalizeAdvantage(Row({1, 2, 3, 6}));
  // mean 3, unbiased variance 14 / 3
  EXPECT_NEAR(Number(normal[3]), 3 / std::sqrt(14.0 / 3), 1e-7);
  EXPECT_NEAR(Number(normal.mean()), 0, 1e-12);
  EXPECT_EQ(Number(NormalizeAdvantage(Row({5}))[0]), 5) << "one row stays as it is";
}

}  // namespace
}  // namespace pawl::algos
