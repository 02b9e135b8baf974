// Matrix products on row-major matrices, the training side of the language core: operands are
// packed into panels on the way, so the learner keeps one plain copy of its weights. The law of
// docs/numerics.md: an output is one float32 accumulator, k ascending, one fused multiply-add a
// step; K blocks store and reload it. Its bits therefore depend on nothing but its own row and
// column: not on M, N, tiles or threads; and adding to what is there (accumulate) over parts of K
// gives the bits of the whole. kernels/linear.h gives the same bits from weights packed once.
#pragma once
#include <cstdint>

#include "kernels/team.h"

namespace pawl::kernels {

// An operand where it lies: element (i, j) is at data[i * stride + j], or at data[j * stride + i]
// when transposed. bfloat16 is widened, exactly.
struct MatrixRef {
  const float* f32 = nullptr;  // one of the two
  const uint16_t* bf16 = nullptr;
  int64_t stride = 0;
  bool transposed = false;
  bool round_to_bf16 = false;  // f32 is rounded to bfloat16 (nearest, ties to even; NaN stays NaN)
};

struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;  // any, also 0
  MatrixRef a;                  // [M, K]
  MatrixRef b;                  // [K, N]
  float* c = nullptr;           // [M, N]
  int64_t c_stride = 0;
  const float* bias = nullptr;  // [N] start of every row's accumulators; null: 0
  bool accumulate = false;      // start from c instead (bias is then null)
  float alpha = 1;  // multiplies a's elements as they are packed (one float32 rounding; LoRA)
};
// c = bias + a b, or c += a b. Does not overlap its operands.
void Gemm(const GemmArgs& args, Team& team);

}  // namespace pawl::kernels
