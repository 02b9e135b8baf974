// Activations of the feed-forward layer, plain and gated, forward and backward; residual sums. All
// by the vector functions of vector-inl.h: a tail takes the same code as the rest, never libm.
#pragma once
#include <cstdint>

#include "kernels/team.h"

namespace pawl::kernels {

enum class FeedForwardActivation : uint8_t {
  kSilu,      // x / (1 + exp(-x))
  kGeluTanh,  // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))  (gelu_new, gelu_pytorch_tanh)
  kGelu,      // 0.5 x (1 + erf(x / sqrt 2))
};

struct FeedForwardArgs {
  FeedForwardActivation activation = FeedForwardActivation::kSilu;
  int64_t rows = 0, width = 0;
  const float* gate = nullptr;  // [rows, width] what the activation acts on
  int64_t gate_stride = 0;
  const float* up = nullptr;  // [rows, width] factor; null: not gated
  int64_t up_stride = 0;
};
// y = activation(gate) * up.  y [rows, width], y_stride apart; may be gate.
void FeedForward(const FeedForwardArgs& args, float* y, int64_t y_stride, Team& team);
// dgate and dup (null where not gated) from dy; they may lie where gate and up lie. Where `y` is
// not null it receives activation(gate) * up again, as the backward of the next linear wants it.
void FeedForwardBackward(const FeedForwardArgs& args, const float* dy, int64_t dy_stride,
                         float* dgate, float* dup, float* y, int64_t y_stride, Team& team);

// to += from, element by element.
void AddRows(float* to, const float* from, int64_t count, Team& team);

}  // namespace pawl::kernels
