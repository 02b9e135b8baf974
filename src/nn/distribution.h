// Action distributions as pure functions on tensors, differentiable, on any device: the reference
// of the row code in kernels/action_dist.h, with the same conventions (what is stored as the action
// of each head).
#pragma once
#include <torch/types.h>

#include "kernels/mlp.h"

namespace pawl::nn {

struct ActionDistribution {
  kernels::PolicyHead head = kernels::PolicyHead::kGaussian;
  torch::Tensor output;   // [N, A] means, or logits (categorical)
  torch::Tensor log_std;  // [A]; undefined for a categorical head

  // [N] nats of stored actions: [N, A] (Gaussian: the unclipped sample; squashed: u before tanh),
  // or [N, 1] holding the index (categorical, any dtype). Gaussian: sum_a [-z^2 / 2 - log_std -
  // log(2 pi) / 2]. Squashed: the Gaussian's of u minus sum_a 2 (log 2 - u - softplus(-2 u)), the
  // log-determinant of tanh in the form that never takes the log of a difference.
  torch::Tensor LogProb(const torch::Tensor& action) const;
  // [N] nats: closed for Gaussian (1/2 + log(2 pi) / 2 + log_std, summed) and categorical; a
  // squashed Gaussian has no closed form: -LogProb(action), an unbiased estimate where the action
  // was drawn from this distribution (SB3's choice).
  torch::Tensor Entropy(const torch::Tensor& action) const;
  // The most likely stored action: [N, A] means, or [N, 1] index (int64). Squashed: u, so tanh of
  // it is the median.
  torch::Tensor Mode() const;
};

}  // namespace pawl::nn
