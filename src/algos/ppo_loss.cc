#include "algos/ppo_loss.h"

#include <torch/torch.h>

namespace pawl::algos {

torch::Tensor MaskedMean(const torch::Tensor& x, const torch::Tensor& mask) {
  return mask.defined() ? (x * mask).sum() / mask.sum() : x.mean();
}

torch::Tensor ClippedSurrogate(const torch::Tensor& log_prob, const torch::Tensor& old_log_prob,
                               const torch::Tensor& advantage, double clip_low, double clip_high,
                               const torch::Tensor& mask) {
  const auto ratio = torch::exp(log_prob - old_log_prob);
  const auto clipped = torch::clamp(ratio, 1 - clip_low, 1 + clip_high);
  return -MaskedMean(torch::min(ratio * advantage, clipped * advantage), mask);
}

torch::Tensor ValueLoss(const torch::Tensor& value, const torch::Tensor& returns,
                        const torch::Tensor& old_value, double clip, const torch::Tensor& mask) {
  const auto moved = clip > 0 ? old_value + torch::clamp(value - old_value, -clip, clip) : value;
  return MaskedMean(torch::square(moved - returns), mask);
}

torch::Tensor ApproxKl(const torch::Tensor& log_ratio, KlEstimator estimator,
                       const torch::Tensor& mask) {
  switch (estimator) {
    case KlEstimator::kK1:
      return MaskedMean(-log_ratio, mask);
    case KlEstimator::kK2:
      return MaskedMean(0.5 * torch::square(log_ratio), mask);
    case KlEstimator::kK3:
      break;
  }
  return MaskedMean(torch::expm1(log_ratio) - log_ratio, mask);
}

torch::Tensor ClipFraction(const torch::Tensor& log_ratio, double clip, const torch::Tensor& mask) {
  return MaskedMean((torch::expm1(log_ratio).abs() > clip).to(torch::kFloat), mask);
}

torch::Tensor NormalizeAdvantage(const torch::Tensor& advantage) {
  if (advantage.numel() < 2) return advantage;
  return (advantage - advantage.mean()) / (advantage.std() + 1e-8);
}

}  // namespace pawl::algos
