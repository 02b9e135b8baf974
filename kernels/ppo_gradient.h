// One thread's share of a PPO minibatch gradient on the CPU: one network (policy, value, or both on
// shared layers) over some rows of the minibatch; forward, loss and backward in chunks of 64 rows.
// PpoUpdate (ppo_update.h) owns two of these. Not thread-safe: it owns its scratch.
#pragma once
#include <vector>

#include "kernels/action_dist.h"
#include "kernels/network.h"
#include "kernels/ppo_update.h"

namespace pawl::kernels {

// Sums over rows; means are taken at the end.
struct PpoLossSums {
  double policy = 0, value = 0, entropy = 0, kl = 0, clipped = 0;
  float max_abs_log_ratio = 0;
  void Add(const PpoLossSums& other);
};

// The minibatch as both halves see it.
struct PpoMinibatch {
  const PpoBatchView& batch;
  const int32_t* index;  // [rows]
  int rows;
  const float* advantage;  // [rows] normalised, in minibatch order
  const PpoLossSettings& loss;
};

class PpoGradient {
 public:
  // policy: the network's first head is the policy's (and log_std is its own); otherwise the
  // value's.
  PpoGradient(const MlpLayout& layout, Network network, bool policy);
  // Gradient of rows [begin, end) of the minibatch; this network's part of `grad` is overwritten.
  PpoLossSums Run(const PpoMinibatch& mb, int begin, int end, const float* params, float* grad);

 private:
  void ZeroGrad(float* grad);
  void TransposeWeights(const float* params);
  // Loss of `rows` rows from `first` on; head outputs become their gradients.
  void PolicyLoss(const PpoMinibatch& mb, const ActionDist& dist, int first, int rows,
                  float* output, PpoLossSums& sums);
  void ValueLoss(const PpoMinibatch& mb, int first, int rows, float* output, PpoLossSums& sums);
  void Backward(int rows, const float* last, bool accumulate, float* grad);
  void StoreLogStdGrad(float* grad);

  const MlpShape shape_;
  const Network network_;
  const bool policy_;
  size_t log_std_ = 0;  // offset; the policy of a Gaussian head
  AlignedBuffer input_, delta_, next_delta_;
  std::vector<AlignedBuffer> hidden_, transposed_, output_, head_transposed_;
  AlignedBuffer head_columns_, action_columns_, d_head_columns_, d_log_std_columns_;  // [A][16]
};

}  // namespace pawl::kernels
