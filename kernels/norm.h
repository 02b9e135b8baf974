// RMSNorm and LayerNorm of rows, forward and backward. A row's sums are 16 partial sums folded in
// one fixed order, so its bits do not depend on the instruction set's width, other rows or threads;
// weight gradients add rows in ascending order to what is there, so a batch may come in parts.
#pragma once
#include <cstdint>

#include "kernels/team.h"

namespace pawl::kernels {

struct NormArgs {
  int64_t rows = 0, width = 0;  // any width, also below 16
  float epsilon = 1e-5f;
  const float* x = nullptr;  // [rows, width], rows x_stride apart
  int64_t x_stride = 0;
  const float* weight = nullptr;  // [width]
  const float* bias = nullptr;    // [width] LayerNorm only; may be null
  float weight_offset = 0;        // 1: the factor is 1 + weight (Gemma)
};
// y = x / sqrt(mean(x^2) + epsilon) * (offset + weight)  (Zhang and Sennrich 2019). y may be x.
void RmsNorm(const NormArgs& args, float* y, int64_t y_stride, Team& team);
// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, biased variance in two passes (Ba et
// al. 2016).
void LayerNorm(const NormArgs& args, float* y, int64_t y_stride, Team& team);

struct NormGradArgs {
  NormArgs forward;
  const float* dy = nullptr;  // [rows, width]
  int64_t dy_stride = 0;
  float* dx = nullptr;  // [rows, width]; may be dy
  int64_t dx_stride = 0;
  bool accumulate_dx = false;  // dx += (the residual branch); then dx is not dy
  float* dweight = nullptr;    // [width] added to; null: not wanted
  float* dbias = nullptr;      // [width] added to; null: not wanted
};
void RmsNormBackward(const NormGradArgs& args, Team& team);
void LayerNormBackward(const NormGradArgs& args, Team& team);

// dbias [width] += sum of the rows of dy in ascending order (a linear's bias).
void AddColumnSums(const float* dy, int64_t rows, int64_t width, int64_t stride, float* dbias,
                   Team& team);

}  // namespace pawl::kernels
