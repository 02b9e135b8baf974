// The PPO objective as pure functions on tensors, what the LibTorch back end differentiates.
// log_prob, ratios and advantages are of any equal shape; a mean is over all elements unless a mask
// (same shape, 0 or 1) picks some.
#pragma once
#include <torch/types.h>

namespace pawl::algos {

// sum(x * mask) / sum(mask), or the plain mean without a mask (an undefined tensor).
torch::Tensor MaskedMean(const torch::Tensor& x, const torch::Tensor& mask = {});

// mean max(-A r, -A clip(r, 1 - clip_low, 1 + clip_high)), r = exp(log_prob - old_log_prob)
// (Schulman et al. 2017, eq. 7).
torch::Tensor ClippedSurrogate(const torch::Tensor& log_prob, const torch::Tensor& old_log_prob,
                               const torch::Tensor& advantage, double clip_low, double clip_high,
                               const torch::Tensor& mask = {});

// Mean squared error of value against returns; clip > 0: the value may move at most `clip` from
// old_value (SB3's form).
torch::Tensor ValueLoss(const torch::Tensor& value, const torch::Tensor& returns,
                        const torch::Tensor& old_value, double clip,
                        const torch::Tensor& mask = {});

// Estimators of KL(old || new) from samples of old (Schulman 2020): k1 = -log r, k2 = (log r)^2 /
// 2, k3 = (r - 1) - log r.
enum class KlEstimator { kK1, kK2, kK3 };
torch::Tensor ApproxKl(const torch::Tensor& log_ratio, KlEstimator estimator,
                       const torch::Tensor& mask = {});

// Share of |r - 1| > clip.
torch::Tensor ClipFraction(const torch::Tensor& log_ratio, double clip,
                           const torch::Tensor& mask = {});

// (A - mean) / (std + 1e-8), unbiased; unchanged for a single element.
torch::Tensor NormalizeAdvantage(const torch::Tensor& advantage);

}  // namespace pawl::algos
