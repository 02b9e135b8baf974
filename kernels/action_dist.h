// The action distribution of one row, in plain scalar code compiled once: actors (SampleActions) and the learner's update
// call the same routine, so a log-probability is the same bits in both on every instruction set.
#pragma once
#include <vector>

#include "kernels/mlp.h"

namespace pawl::kernels {

class ActionDist {
 public:
  // log_std [A]; unused for a categorical head.
  ActionDist(PolicyHead head, int act, const float* log_std);
  // log pi(action | head); action as SampleActions stores it.
  float LogProb(const float* head, const float* action) const;
  // d_head [A] = scale * d log pi / d head; adds scale * d log pi / d log_std to d_log_std [A] (Gaussian heads).
  void AddLogProbGrad(const float* head, const float* action, float scale, float* d_head, float* d_log_std) const;
  // Entropy in nats of one row. Squashed has no closed form: callers use -log_prob. Gaussian: does not depend on the row.
  float Entropy(const float* head) const;
  // d_head [A] += scale * d entropy / d head (categorical).
  void AddEntropyGrad(const float* head, float scale, float* d_head) const;
  int stored_size() const { return head_ == PolicyHead::kCategorical ? 1 : act_; }

 private:
  // max and log of the sum of exp(logit - max)
  std::pair<float, float> LogNormalizer(const float* logits) const;
  PolicyHead head_;
  int act_;
  std::vector<float> inverse_std_;
  float constant_ = 0;  // -sum log_std - A/2 log 2 pi
  float entropy_ = 0;
};

}  // namespace pawl::kernels
