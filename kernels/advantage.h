// Generalised advantage estimation (Schulman et al. 2016, eq. 16) over a dense [T, B] rollout.
// One backward scan per column; products and sums are rounded apart (no FMA), so that CPU and CUDA
// give the same bits.
//   next_value = terminated ? 0 : truncated ? final_value[t] : (t == T-1 ? last_value : value[t+1])
//   delta_t    = reward_t + gamma * next_value - value_t
//   A_t        = delta_t + gamma * lambda * (1 - (terminated | truncated)) * A_{t+1}
//   returns_t  = A_t + value_t
#pragma once
#include <cstdint>

namespace pawl::kernels {

struct GaeArgs {
  int time = 0;                   // T
  int batch = 0;                  // B
  const float* reward = nullptr;  // [T, B]
  const float* value = nullptr;   // [T, B]
  const float* final_value =
      nullptr;  // [T, B] V(final observation); read only where truncated and not terminated
  const float* last_value = nullptr;    // [B] V(observation after the last step)
  const uint8_t* terminated = nullptr;  // [T, B]
  const uint8_t* truncated = nullptr;   // [T, B]
  float gamma = 0.99f, lambda = 0.95f;
  float* advantage = nullptr;  // [T, B] out
  float* returns = nullptr;    // [T, B] out
};

void GaeCpu(const GaeArgs& args);
// Slow scalar reference for the tests.
void GaeReference(const GaeArgs& args);

}  // namespace pawl::kernels
