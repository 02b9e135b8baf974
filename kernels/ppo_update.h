// One fused PPO minibatch step on the CPU for the small MLP of mlp.h: forward, clipped surrogate,
// value loss, entropy, backward, global-norm clip and Adam on one flat buffer. The learner thread
// calls it; a second core may help with a fixed split, and the result is the same bits with 1 or 2
// threads. The LibTorch path (algos/ppo_torch.cc) is its reference.
#pragma once
#include <cstdint>
#include <memory>

#include "kernels/mlp.h"

namespace pawl::kernels {

// A whole rollout, flattened to N rows; `index` picks the minibatch.
struct PpoBatchView {
  const float* obs = nullptr;  // [N, O] normalised
  const float* action =
      nullptr;  // [N, A], or [N, 1] holding the index (categorical); u before tanh (squashed)
  const float* log_prob = nullptr;   // [N] of the policy that acted
  const float* advantage = nullptr;  // [N]
  const float* returns = nullptr;    // [N] value target
  const float* value = nullptr;      // [N] of the policy that acted (value clipping)
};

struct PpoLossSettings {
  float clip_range = 0.2f;
  float clip_range_value = 0;  // <= 0: value loss is not clipped
  float entropy_coef = 0;
  float value_coef = 0.5f;     // multiplies the mean squared error (SB3's convention)
  float max_grad_norm = 0.5f;  // <= 0: no clipping
  float target_kl = 0;  // > 0: when approx_kl > 1.5 target_kl no step is taken and `stopped` is set
  bool normalize_advantage =
      true;  // per minibatch: (A - mean) / (std + 1e-8), unbiased std, skipped for one row
};

struct AdamSettings {
  float learning_rate = 3e-4f, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-5f;
};

// All means over the minibatch.
struct PpoStats {
  float policy_loss = 0;  // mean max(-A r, -A clip(r))
  float value_loss = 0;   // mean squared error (of the clipped value where clipping is on, as SB3)
  float entropy = 0;      // nats; squashed: mean of -log_prob
  float approx_kl = 0;    // mean((r - 1) - log r)
  float clip_fraction = 0;  // mean(|r - 1| > clip_range)
  float grad_norm = 0;      // before clipping
  float max_abs_log_ratio = 0;
  bool stopped = false;  // target_kl reached: parameters and Adam state unchanged
  bool finite = true;    // false: loss or gradient not finite; parameters and Adam state unchanged
};

class PpoUpdate {
 public:
  // threads: 1 or 2. max_rows: largest minibatch.
  PpoUpdate(const MlpLayout& layout, int max_rows, int threads);
  ~PpoUpdate();
  // One minibatch of `rows` indices. params, m, v: flat buffers of layout.size() floats; adam_step
  // counts from 1.
  PpoStats Step(const PpoBatchView& batch, const int32_t* index, int rows,
                const PpoLossSettings& loss, const AdamSettings& adam, int64_t adam_step,
                float* params, float* m, float* v);
  // The unclipped gradient only (tests): grad [layout.size()].
  PpoStats Gradient(const PpoBatchView& batch, const int32_t* index, int rows,
                    const PpoLossSettings& loss, const float* params, float* grad);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pawl::kernels
