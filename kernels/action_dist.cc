#include "kernels/action_dist.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pawl::kernels {
namespace {
const float kHalfLog2Pi = static_cast<float>(0.5 * std::log(2 * std::numbers::pi));
const float kLog2 = std::numbers::ln2_v<float>;

float Softplus(float x) { return std::max(x, 0.0f) + std::log1p(std::exp(-std::fabs(x))); }
}  // namespace

ActionDist::ActionDist(PolicyHead head, int act, const float* log_std) : head_(head), act_(act) {
  if (head == PolicyHead::kCategorical) return;
  inverse_std_.resize(act);
  for (int a = 0; a < act; ++a) {
    inverse_std_[a] = std::exp(-log_std[a]);
    constant_ -= log_std[a];
    entropy_ += log_std[a] + (0.5f + kHalfLog2Pi);
  }
  constant_ -= static_cast<float>(act) * kHalfLog2Pi;
}

std::pair<float, float> ActionDist::LogNormalizer(const float* logits) const {
  const float top = *std::max_element(logits, logits + act_);
  float sum = 0;
  for (int a = 0; a < act_; ++a) sum += std::exp(logits[a] - top);
  return {top, std::log(sum)};
}

float ActionDist::LogProb(const float* head, const float* action) const {
  if (head_ == PolicyHead::kCategorical) {
    const auto [top, log_sum] = LogNormalizer(head);
    return head[static_cast<int>(action[0])] - top - log_sum;
  }
  float log_prob = constant_;
  for (int a = 0; a < act_; ++a) {
    const float z = (action[a] - head[a]) * inverse_std_[a];
    log_prob -= 0.5f * z * z;
  }
  if (head_ == PolicyHead::kSquashedGaussian) {
    // log |d tanh(u) / du| = 2 (log 2 - u - softplus(-2 u))
    for (int a = 0; a < act_; ++a) log_prob -= 2 * (kLog2 - action[a] - Softplus(-2 * action[a]));
  }
  return log_prob;
}

void ActionDist::AddLogProbGrad(const float* head, const float* action, float scale, float* d_head,
                                float* d_log_std) const {
  if (head_ == PolicyHead::kCategorical) {
    const auto [top, log_sum] = LogNormalizer(head);
    for (int a = 0; a < act_; ++a) d_head[a] = -scale * std::exp(head[a] - top - log_sum);
    d_head[static_cast<int>(action[0])] += scale;
    return;
  }
  for (int a = 0; a < act_; ++a) {
    const float z = (action[a] - head[a]) * inverse_std_[a];
    d_head[a] = scale * z * inverse_std_[a];
    d_log_std[a] += scale * (z * z - 1);
  }
}

float ActionDist::Entropy(const float* head) const {
  if (head_ != PolicyHead::kCategorical) return entropy_;
  const auto [top, log_sum] = LogNormalizer(head);
  float entropy = 0;
  for (int a = 0; a < act_; ++a) {
    const float log_p = head[a] - top - log_sum;
    entropy -= std::exp(log_p) * log_p;
  }
  return entropy;
}

void ActionDist::AddEntropyGrad(const float* head, float scale, float* d_head) const {
  if (head_ != PolicyHead::kCategorical) return;
  const auto [top, log_sum] = LogNormalizer(head);
  const float entropy = Entropy(head);
  for (int a = 0; a < act_; ++a) {
    const float log_p = head[a] - top - log_sum;
    d_head[a] -= scale * std::exp(log_p) * (log_p + entropy);
  }
}

void SampleActions(PolicyHead head_kind, int act, const float* head, const float* log_std, const float* noise, int rows,
                   float* action, float* log_prob) {
  const ActionDist dist(head_kind, act, log_std);
  const int stored = dist.stored_size();
  for (int row = 0; row < rows; ++row, head += act, action += stored) {
    const float* n = noise ? noise + size_t(row) * act : nullptr;
    if (head_kind == PolicyHead::kCategorical) {
      int best = 0;
      float best_score = 0;
      for (int a = 0; a < act; ++a) {
        // Gumbel-argmax: -log(-log(uniform)) added to the logit
        const float score = head[a] - (n ? std::log(-std::log(n[a])) : 0.0f);
        if (a == 0 || score > best_score) {
          best = a;
          best_score = score;
        }
      }
      action[0] = static_cast<float>(best);
    } else {
      for (int a = 0; a < act; ++a) action[a] = n ? head[a] + std::exp(log_std[a]) * n[a] : head[a];
    }
    log_prob[row] = dist.LogProb(head, action);
  }
}

void ActionLogProb(PolicyHead head_kind, int act, const float* head, const float* log_std, const float* action, int rows,
                   float* log_prob) {
  const ActionDist dist(head_kind, act, log_std);
  const int stored = dist.stored_size();
  for (int row = 0; row < rows; ++row) {
    log_prob[row] = dist.LogProb(head + size_t(row) * act, action + size_t(row) * stored);
  }
}

}  // namespace pawl::kernels
