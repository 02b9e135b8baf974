#include "nn/actor_critic.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "nn/policy_config.h"
#include "nn/policy_runner.h"

namespace pawl::nn {
namespace {
using kernels::Activation;
using kernels::PolicyHead;

torch::Tensor Normals(torch::IntArrayRef sizes, uint64_t seed, torch::Dtype dtype = at::kFloat) {
  core::Philox rng(seed, core::Role::kTest, 0, 0);
  auto x = at::empty(sizes, at::kDouble);
  for (int64_t i = 0; i < x.numel(); ++i) x.data_ptr<double>()[i] = rng.Normal();
  return x.to(dtype);
}

// Any network: also deeper and wider than the fused update serves.
TEST(ActorCritic, ForwardAgreesWithTheRowKernels) {
  constexpr int kRows = 9;
  for (const auto activation : {Activation::kTanh, Activation::kRelu, Activation::kElu}) {
    for (const auto head :
         {PolicyHead::kGaussian, PolicyHead::kSquashedGaussian, PolicyHead::kCategorical}) {
      for (const bool shared : {false, true}) {
        const kernels::MlpShape shape{.obs = 7,
                                      .act = 3,
                                      .hidden = {300, 16, 5, 8},
                                      .activation = activation,
                                      .shared = shared,
                                      .head = head};
        const auto weights = InitialWeights({.log_std_init = -0.5}, shape, 4);
        const auto obs = Normals({kRows, 7}, 1);
        const ActorCritic model(shape, weights.span(), torch::Device("cpu"));
        const auto out = model.Forward(obs);
        PolicyRunner runner(shape, kRows);
        std::vector<float> output(kRows * 3), value(kRows);
        runner.Forward(weights.span(), obs.data_ptr<float>(), kRows, output.data(), value.data());
        // sums of up to 300 products in another order
        for (int i = 0; i < kRows * 3; ++i) {
          EXPECT_NEAR(out.action.output.flatten()[i].item<float>(), output[i], 1e-5);
        }
        for (int i = 0; i < kRows; ++i) EXPECT_NEAR(out.value[i].item<float>(), value[i], 1e-5);
        EXPECT_EQ(out.action.log_std.defined(), head != PolicyHead::kCategorical);
      }
    }
  }
}

TEST(ActorCritic, FlatWeightsComeBackBitForBit) {
  const kernels::MlpShape shape{.obs = 5, .act = 2, .hidden = {17, 3}, .shared = true};
  const auto weights = InitialWeights({}, shape, 4);
  const ActorCritic model(shape, weights.span(), torch::Device("cpu"));
  kernels::AlignedBuffer back(weights.size());
  TensorsToFlat(model.layout(), model.parameters(), back.span());
  for (size_t i = 0; i < weights.size(); ++i) ASSERT_EQ(weights.data()[i], back.data()[i]);
}

TEST(ActorCritic, ObservationsOfAnotherWidthAreRefused) {
  const kernels::MlpShape shape{.obs = 5, .act = 2, .hidden = {8}};
  const auto weights = InitialWeights({}, shape, 4);
  const ActorCritic model(shape, weights.span(), torch::Device("cpu"));
  EXPECT_THROW(model.Forward(at::zeros({3, 6})), Error);
}

ActionDistribution Gaussian(bool squashed, int64_t rows, torch::Dtype dtype = at::kDouble) {
  return {.head = squashed ? PolicyHead::kSquashedGaussian : PolicyHead::kGaussian,
          .output = Normals({rows, 2}, 2, dtype),
          .log_std = at::tensor({-0.3, 0.4}).to(dtype)};
}

TEST(ActionDistribution, LogProbAgreesWithTheRowCode) {
  constexpr int kRows = 33;
  const auto action = Normals({kRows, 2}, 3);
  for (const bool squashed : {false, true}) {
    const auto dist = Gaussian(squashed, kRows, at::kFloat);
    std::vector<float> log_prob(kRows);
    kernels::ActionLogProb(dist.head, 2, dist.output.data_ptr<float>(),
                           dist.log_std.data_ptr<float>(), action.data_ptr<float>(), kRows,
                           log_prob.data());
    const auto ours = dist.LogProb(action);
    for (int i = 0; i < kRows; ++i) EXPECT_NEAR(ours[i].item<float>(), log_prob[i], 1e-5);
  }
  const ActionDistribution categorical{.head = PolicyHead::kCategorical,
                                       .output = Normals({kRows, 4}, 2)};
  auto choice = at::zeros({kRows, 1});
  for (int i = 0; i < kRows; ++i) choice[i][0] = i % 4;
  std::vector<float> log_prob(kRows);
  kernels::ActionLogProb(categorical.head, 4, categorical.output.data_ptr<float>(), nullptr,
                         choice.data_ptr<float>(), kRows, log_prob.data());
  const auto ours = categorical.LogProb(choice);
  for (int i = 0; i < kRows; ++i) EXPECT_NEAR(ours[i].item<float>(), log_prob[i], 1e-5);
}

// Densities are of the action itself: over a = tanh(u) a squashed one integrates to 1, too.
TEST(ActionDistribution, DensitiesIntegrateToOne) {
  const int64_t n = 20001;
  const auto u = at::linspace(-12, 12, n, at::kDouble).unsqueeze(1);
  const double step = 24.0 / (n - 1);
  for (const bool squashed : {false, true}) {
    const ActionDistribution dist{
        .head = squashed ? PolicyHead::kSquashedGaussian : PolicyHead::kGaussian,
        .output = at::full({n, 1}, 0.7, at::kDouble),
        .log_std = at::full({1}, -0.2, at::kDouble)};
    auto density = dist.LogProb(u).exp();
    if (squashed) density = density * (1 - u.squeeze(1).tanh().square());
    EXPECT_NEAR(density.sum().item<double>() * step, 1, 1e-9);
  }
}

TEST(ActionDistribution, EntropyIsTheMeanOfMinusLogProb) {
  // a unit Gaussian has log(2 pi e) / 2 a dimension; a uniform choice of 4 has log 4
  const auto gaussian = Gaussian(false, 1);
  EXPECT_NEAR(gaussian.Entropy({})[0].item<double>(), 2 * 0.5 * std::log(2 * M_PI * M_E) + 0.1,
              1e-12);
  const ActionDistribution uniform{.head = PolicyHead::kCategorical,
                                   .output = at::zeros({1, 4}, at::kDouble)};
  EXPECT_NEAR(uniform.Entropy({})[0].item<double>(), std::log(4.0), 1e-12);
  const auto squashed = Gaussian(true, 3);
  const auto action = Normals({3, 2}, 3, at::kDouble);
  EXPECT_TRUE(at::equal(squashed.Entropy(action), -squashed.LogProb(action)));
}

TEST(ActionDistribution, ModeIsTheMeanOrTheLikeliestChoice) {
  const auto gaussian = Gaussian(false, 3);
  EXPECT_TRUE(at::equal(gaussian.Mode(), gaussian.output));
  const ActionDistribution categorical{.head = PolicyHead::kCategorical,
                                       .output = at::tensor({0.1, 3.0, -1.0}).unsqueeze(0)};
  EXPECT_EQ(categorical.Mode().item<int64_t>(), 1);
}

// Far out, where log(1 - tanh(u)^2) in floats would be log(0).
TEST(ActionDistribution, SquashedLogProbIsFiniteFarOut) {
  const ActionDistribution dist{.head = PolicyHead::kSquashedGaussian,
                                .output = at::full({1, 1}, 30.0f),
                                .log_std = at::zeros({1})};
  // Gaussian part at its mode, and log-determinant 2 (log 2 - 30)
  EXPECT_NEAR(dist.LogProb(at::full({1, 1}, 30.0f)).item<float>(),
              -0.918939 - 2 * (std::log(2.0) - 30), 1e-4);
}

TEST(ActionDistribution, GradientsEqualFiniteDifferences) {
  const auto action = Normals({4, 2}, 3, at::kDouble);
  for (const bool squashed : {false, true}) {
    auto f = [&](const torch::Tensor& output, const torch::Tensor& log_std) {
      const ActionDistribution dist{
          .head = squashed ? PolicyHead::kSquashedGaussian : PolicyHead::kGaussian,
          .output = output,
          .log_std = log_std};
      return (dist.LogProb(action) + 0.3 * dist.Entropy(action)).sum();
    };
    const auto base = Gaussian(squashed, 4);
    auto output = base.output.clone().set_requires_grad(true);
    auto log_std = base.log_std.clone().set_requires_grad(true);
    f(output, log_std).backward();
    const double step = 1e-6;
    for (int64_t i = 0; i < 2; ++i) {
      auto above = base.log_std.clone(), below = base.log_std.clone();
      above[i] += step;
      below[i] -= step;
      EXPECT_NEAR(log_std.grad()[i].item<double>(),
                  (f(base.output, above) - f(base.output, below)).item<double>() / (2 * step),
                  1e-7);
      auto right = base.output.clone(), left = base.output.clone();
      right[1][i] += step;
      left[1][i] -= step;
      EXPECT_NEAR(output.grad()[1][i].item<double>(),
                  (f(right, base.log_std) - f(left, base.log_std)).item<double>() / (2 * step),
                  1e-7);
    }
  }
}

}  // namespace
}  // namespace pawl::nn
