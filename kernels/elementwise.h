// Element by element work on the flat buffers of the small MLP: activations and their gradients,
// the gradient's norm, Adam. Counts are multiples of 16, pointers 64-byte aligned. Thread-safe.
#pragma once
#include <cstddef>

#include "kernels/mlp.h"

namespace pawl::kernels {

// In place: y = f(y). tanh within 4.5 ulp (6.5 without FMA); ELU with alpha 1.
void ApplyActivation(Activation activation, float* y, size_t count);
// dy *= f'(.), expressed by the activated value y.
void ApplyActivationGrad(Activation activation, float* dy, const float* y, size_t count);
// to += from.
void AddInto(float* to, const float* from, size_t count);
// Sum of squares: the same bits on every instruction set that has FMA.
float SumOfSquares(const float* g, size_t count);
// out [count] = exp(x), any count and alignment.
void ExpArray(const float* x, size_t count, float* out);

// Adam (Kingma and Ba 2015), g multiplied by `scale` first:
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
//   p = decay p - step_size m / (sqrt(v) correction + epsilon)
// with decay = 1 - learning_rate * weight_decay (Loshchilov and Hutter 2019; 1: plain Adam),
// step_size = learning_rate / (1 - beta1^t) and correction = 1 / sqrt(1 - beta2^t). Moments
// below the smallest normal float32 become 0.
struct AdamStepArgs {
  float beta1, beta2, epsilon, scale, step_size, correction;
  float decay = 1;
};
void AdamStep(const AdamStepArgs& args, const float* g, float* m, float* v, float* p, size_t count);

}  // namespace pawl::kernels
