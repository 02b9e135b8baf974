#include "nn/torch_lm_head.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "core/error.h"
#include "core/rng.h"

namespace pawl::nn {
namespace {
using torch::Tensor;

Tensor Normals(torch::IntArrayRef sizes, uint64_t seed) {
  core::Philox rng(seed, core::Role::kTest, 0, 0);
  auto x = at::empty(sizes, at::kDouble);
  for (int64_t i = 0; i < x.numel(); ++i) x.data_ptr<double>()[i] = rng.Normal();
  return x;
}

constexpr int64_t kRows = 13, kWidth = 9, kVocab = 31;

LmHeadRows Rows(torch::Dtype dtype) {
  Tensor targets = at::arange(kRows) * 7 % kVocab;
  targets[0] = 0;
  targets[1] = kVocab - 1;
  return {.hidden = Normals({kRows, kWidth}, 1).to(dtype).set_requires_grad(true),
          .weight = Normals({kVocab, kWidth}, 2).to(dtype).set_requires_grad(true),
          .targets = targets};
}

// The definition, in autograd, all logits at once.
LmHeadResult Plain(const LmHeadRows& rows, const LmHeadSettings& settings) {
  Tensor logits = at::mm(rows.hidden, rows.weight.t());
  if (settings.soft_cap > 0) logits = at::tanh(logits / settings.soft_cap) * settings.soft_cap;
  const Tensor log_p = at::log_softmax(logits * settings.inverse_temperature, 1);
  return {.log_prob = log_p.gather(1, rows.targets.unsqueeze(1)).squeeze(1),
          .entropy = -(log_p.exp() * log_p).sum(1)};
}

// Coefficients of a loss sum(a log_prob + b entropy), exact in float32.
float A(int64_t row) { return 0.25f * static_cast<float>(row % 5) - 0.5f; }
float B(int64_t row) { return 0.125f * static_cast<float>(row % 3); }
const kernels::TokenLoss kLinearLoss = [](int64_t first, std::span<const float> log_prob,
                                          std::span<const float>, std::span<float> dlog_prob,
                                          std::span<float> dentropy) {
  for (size_t i = 0; i < log_prob.size(); ++i) {
    dlog_prob[i] = A(first + static_cast<int64_t>(i));
    dentropy[i] = B(first + static_cast<int64_t>(i));
  }
};

Tensor LinearLoss(const LmHeadResult& result) {
  Tensor loss = at::zeros({}, result.log_prob.options());
  for (int64_t i = 0; i < kRows; ++i) {
    loss = loss + A(i) * result.log_prob[i] + B(i) * result.entropy[i];
  }
  return loss;
}

double Distance(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

struct Case {
  double inverse_temperature, soft_cap;
};
constexpr Case kCases[] = {{1, 0}, {0.7, 0}, {1, 2}, {1.6, 3}};

// 1e-12: sums of 31 terms of order 1 in float64
TEST(TorchLmHead, LossAndGradientAreTheDefinitions) {
  for (const Case& c : kCases) {
    for (const int64_t chunk : {1, 4, 13, 0}) {
      const LmHeadSettings settings{.compute = at::kDouble,
                                    .inverse_temperature = c.inverse_temperature,
                                    .soft_cap = c.soft_cap,
                                    .chunk_rows = chunk};
      const LmHeadRows expected = Rows(at::kDouble), rows = Rows(at::kDouble);
      const LmHeadResult plain = Plain(expected, settings);
      LinearLoss(plain).backward();
      Tensor dhidden, dweight = at::ones({kVocab, kWidth}, at::kDouble);
      const LmHeadResult ours = LmHeadLoss(rows, settings, kLinearLoss, &dhidden, &dweight);
      EXPECT_LT(Distance(ours.log_prob, plain.log_prob), 1e-12);
      EXPECT_LT(Distance(ours.entropy, plain.entropy), 1e-12);
      EXPECT_LT(Distance(dhidden, expected.hidden.grad()), 1e-12);
      EXPECT_LT(Distance(dweight, expected.weight.grad() + 1), 1e-12);  // added to
      EXPECT_FALSE(ours.log_prob.requires_grad());
    }
  }
}

TEST(TorchLmHead, DifferentiableFormHasTheSameGradient) {
  for (const Case& c : kCases) {
    const LmHeadSettings settings{.compute = at::kDouble,
                                  .inverse_temperature = c.inverse_temperature,
                                  .soft_cap = c.soft_cap,
                                  .chunk_rows = 5};
    const LmHeadRows expected = Rows(at::kDouble), rows = Rows(at::kDouble);
    // not token-local: the derivative of one row depends on the others
    const auto loss = [](const LmHeadResult& r) {
      return r.log_prob.sum().square() + (r.entropy * r.log_prob).sum();
    };
    loss(Plain(expected, settings)).backward();
    loss(LmHeadLogProb(rows, settings)).backward();
    EXPECT_LT(Distance(rows.hidden.grad(), expected.hidden.grad()), 1e-11);
    EXPECT_LT(Distance(rows.weight.grad(), expected.weight.grad()), 1e-11);
  }
  // only one of the outputs used, and a frozen head
  LmHeadRows rows = Rows(at::kDouble), expected = Rows(at::kDouble);
  rows.weight.set_requires_grad(false);
  LmHeadLogProb(rows, {.compute = at::kDouble}).entropy.sum().backward();
  Plain(expected, {}).entropy.sum().backward();
  EXPECT_LT(Distance(rows.hidden.grad(), expected.hidden.grad()), 1e-12);
  EXPECT_FALSE(rows.weight.grad().defined());
}

TEST(TorchLmHead, ChunksDoNotMatter) {
  for (const auto compute : {at::kFloat, at::kBFloat16}) {
    const LmHeadRows rows = Rows(at::kFloat);
    Tensor whole_dhidden, whole_dweight = at::zeros({kVocab, kWidth});
    const LmHeadResult whole = LmHeadLoss(rows, {.compute = compute, .chunk_rows = 100},
                                          kLinearLoss, &whole_dhidden, &whole_dweight);
    for (const int64_t chunk : {1, 3, 12}) {
      Tensor dhidden, dweight = at::zeros({kVocab, kWidth});
      const LmHeadResult part = LmHeadLoss(rows, {.compute = compute, .chunk_rows = chunk},
                                           kLinearLoss, &dhidden, &dweight);
      // log-probabilities reach 20: a float32 rounding is 2e-6, and logits and their sum have one
      EXPECT_LT(Distance(part.log_prob, whole.log_prob), 4e-6);
      EXPECT_LT(Distance(part.entropy, whole.entropy), 1e-6);
      EXPECT_LT(Distance(dhidden, whole_dhidden), 1e-6 * whole_dhidden.abs().max().item<double>());
      EXPECT_LT(Distance(dweight, whole_dweight), 1e-6 * whole_dweight.abs().max().item<double>());
    }
  }
}

TEST(TorchLmHead, LogitsMayBeHuge) {
  LmHeadRows rows = Rows(at::kFloat);
  rows.hidden = (rows.hidden * 1e4).detach();
  Tensor dhidden, dweight = at::zeros({kVocab, kWidth});
  const LmHeadResult out = LmHeadLoss(rows, {}, kLinearLoss, &dhidden, &dweight);
  for (const Tensor& t : {out.log_prob, out.entropy, dhidden, dweight}) {
    EXPECT_TRUE(at::isfinite(t).all().item<bool>());
  }
  EXPECT_GE(out.entropy.min().item<float>(), 0);
}

TEST(TorchLmHead, OtherShapesAndTypesAreRefused) {
  LmHeadRows rows = Rows(at::kFloat);
  rows.targets = rows.targets.narrow(0, 0, kRows - 1);
  EXPECT_THROW(LmHeadLogProb(rows, {}), Error);
  rows = Rows(at::kFloat);
  rows.hidden = rows.hidden.to(at::kBFloat16);
  EXPECT_THROW(LmHeadLogProb(rows, {}), Error);
}

}  // namespace
}  // namespace pawl::nn
