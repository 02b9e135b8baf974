// Dense-layer primitives of the small MLP on the CPU. Every matrix (weights, activations, gradients) is panels of 16 columns,
// [ceil(columns / 16)][rows][16] float32, 64-byte aligned, padding columns zero: no packing step inside, no power-of-two
// strides. A dot product is one accumulator, k ascending, FMA where the machine has it: a row's result is the same bits
// whatever the number of rows. Google Highway, one source for every instruction set, chosen at run time. Thread-safe.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/mlp.h"

namespace pawl::kernels {

constexpr int kPanel = 16;
constexpr int RoundUpToPanel(int n) { return (n + kPanel - 1) / kPanel * kPanel; }
// Floats of a panel matrix.
constexpr size_t PanelSize(int rows, int columns) { return size_t(rows) * RoundUpToPanel(columns); }

// y [rows, out] = bias + x [rows, in] w [in, out]; bias null: zero.
void PanelDense(const float* x, int rows, int in, const float* w, const float* bias, int out, float* y);
// dw [in, out] (+)= x [rows, in]^T dy [rows, out]; db [out] (+)= column sums of dy. accumulate: add to what is there.
void PanelWeightGrad(const float* x, int rows, int in, const float* dy, int out, float* dw, float* db, bool accumulate);
// wt [out, in] = w [in, out]^T. Padding columns of wt must be zero already and stay so.
void PanelTranspose(const float* w, int in, int out, float* wt);
// In place on `count` floats (a multiple of 16): y = f(y). tanh: rational, below 4 ulp; ELU: alpha 1.
void PanelActivate(Activation activation, float* y, size_t count);
// dy *= f'(.), expressed by the activated value y.
void PanelActivateGrad(Activation activation, float* dy, const float* y, size_t count);

// Sum of squares of `count` floats (a multiple of 16), fixed order.
float SumSquares(const float* g, size_t count);
// Adam (Kingma and Ba 2015) on `count` floats (a multiple of 16): g is multiplied by `scale` first;
// p -= learning_rate / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + epsilon).
struct AdamStepArgs {
  float learning_rate, beta1, beta2, epsilon, scale;
  float bias1, bias2;  // 1 - beta^t
};
void AdamStep(const AdamStepArgs& args, const float* g, float* m, float* v, float* p, size_t count);

// Instruction sets this machine can run, by Highway's name, the best first; and the one in use. ForcePanelTarget restricts
// the choice to one (tests); "" undoes it.
std::vector<const char*> PanelTargets();
const char* PanelTarget();
void ForcePanelTarget(const char* name);

}  // namespace pawl::kernels
