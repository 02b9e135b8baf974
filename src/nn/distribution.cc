#include "nn/distribution.h"

#include <torch/torch.h>

#include <numbers>

#include "nn/shape.h"

namespace pawl::nn {
namespace {
const double kHalfLog2Pi = 0.5 * std::log(2 * std::numbers::pi);
}  // namespace

torch::Tensor ActionDistribution::LogProb(const torch::Tensor& action) const {
  const int64_t N = output.size(0), A = output.size(1);
  if (head == kernels::PolicyHead::kCategorical) {
    PAWL_CHECK_SHAPE(action, {N, 1});
    return torch::log_softmax(output, 1).gather(1, action.to(torch::kLong)).squeeze(1);
  }
  PAWL_CHECK_SHAPE(action, {N, A});
  PAWL_CHECK_SHAPE(log_std, {A});
  const auto z = (action - output) * torch::exp(-log_std);
  auto log_prob = (-0.5 * z.square() - log_std - kHalfLog2Pi).sum(1);
  if (head == kernels::PolicyHead::kSquashedGaussian) {
    log_prob = log_prob - 2 * (std::numbers::ln2 - action - torch::softplus(-2 * action)).sum(1);
  }
  return log_prob;
}

torch::Tensor ActionDistribution::Entropy(const torch::Tensor& action) const {
  switch (head) {
    case kernels::PolicyHead::kCategorical: {
      const auto log_p = torch::log_softmax(output, 1);
      return -(log_p.exp() * log_p).sum(1);
    }
    case kernels::PolicyHead::kGaussian:
      return (log_std + (0.5 + kHalfLog2Pi)).sum().expand({output.size(0)});
    case kernels::PolicyHead::kSquashedGaussian:
      break;
  }
  return -LogProb(action);
}

torch::Tensor ActionDistribution::Mode() const {
  return head == kernels::PolicyHead::kCategorical ? output.argmax(1, /*keepdim=*/true) : output;
}

}  // namespace pawl::nn
