// AdamW over the flat buffers of a language model, in one pass over memory, and the squared norm of
// a gradient. Threads take fixed blocks, so bits do not depend on how many there are. Any count and
// alignment.
#pragma once
#include <cstdint>

#include "kernels/team.h"

namespace pawl::kernels {

// Adam with decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW:
//   p *= 1 - learning_rate weight_decay, then Adam's step (kernels/elementwise.h).
// A learning_rate * weight_decay below 3e-8 is no decay: the float32 factor rounds to 1.
struct AdamWArgs {
  float learning_rate = 1e-5f, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f, weight_decay = 0;
  float grad_scale = 1;      // multiplies g: a mean over parts, the clip of the global norm
  int64_t step = 1;          // counts from 1
  const float* g = nullptr;  // [count]
  float* m = nullptr;        // [count] moments
  float* v = nullptr;
  float* p = nullptr;        // [count] weights
  uint16_t* bf16 = nullptr;  // [count] the new weights rounded to bfloat16; null: not wanted
  int64_t count = 0;
};
void AdamW(const AdamWArgs& args, Team& team);

// Sum of g^2: float32 over 1024 elements, double from there on, in one order.
double SquaredNorm(const float* g, int64_t count, Team& team);

}  // namespace pawl::kernels
