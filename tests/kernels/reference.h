// The actor-critic MLP and the PPO loss in plain double loops over dense weights: the oracle of the
// fused kernels. Slow on purpose.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "kernels/mlp.h"
#include "kernels/ppo_update.h"

namespace pawl::kernels {

// Dense weights by name, row-major.
using DenseWeights = std::map<std::string, std::vector<double>>;
DenseWeights ToDense(const MlpLayout& layout, const float* flat);
// Random weights of a useful size in a fresh flat buffer.
AlignedBuffer RandomWeights(const MlpLayout& layout, uint64_t seed);

struct ReferenceOutput {
  std::vector<double> head;  // [A]
  double value = 0;
};
ReferenceOutput ReferenceForward(const MlpShape& shape, const DenseWeights& weights,
                                 const float* obs);
// log pi(action) and, for Gaussian and categorical heads, the entropy (squashed: -log_prob).
struct ReferenceDist {
  double log_prob = 0, entropy = 0;
};
ReferenceDist ReferenceLogProb(const MlpShape& shape, const std::vector<double>& head,
                               const std::vector<double>& log_std, const float* action);
// policy_loss + value_coef value_loss - entropy_coef entropy over the minibatch, and its parts.
struct ReferenceLoss {
  double total = 0, policy = 0, value = 0, entropy = 0, kl = 0, clip_fraction = 0;
};
ReferenceLoss ReferencePpoLoss(const MlpShape& shape, const DenseWeights& weights,
                               const PpoBatchView& batch, const std::vector<int32_t>& index,
                               const PpoLossSettings& settings);

// A rollout of `rows` rows drawn from the policy of `weights` (so that ratios start at 1), with
// random returns, advantages and old values.
struct RandomRollout {
  RandomRollout(const MlpLayout& layout, const float* weights, int rows, uint64_t seed);
  PpoBatchView View() const;
  std::vector<float> obs, action, log_prob, advantage, returns, value;
};

// A readable name for a shape.
std::string ShapeName(const MlpShape& shape);

}  // namespace pawl::kernels
