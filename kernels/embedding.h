// Token embedding and its gradient: rows of a table gathered, and rows added in ascending order of
// position (threads split the columns, so there are no atomics and one order).
#pragma once
#include <cstdint>
#include <span>

#include "kernels/gemm.h"

namespace pawl::kernels {

// y [rows, width] = table[ids] * scale (+ position_table[positions] where given: learned
// positions). Tables are float32 or bfloat16 (MatrixRef, not transposed). ids are valid rows.
struct EmbeddingArgs {
  std::span<const int32_t> ids;  // [rows]
  int64_t width = 0;
  MatrixRef table;           // [V, width]
  float scale = 1;           // one rounding, after the lookup (Gemma)
  MatrixRef position_table;  // [positions, width]; both pointers null: none
  const int32_t* positions = nullptr;
  float* y = nullptr;
  int64_t y_stride = 0;
};
void Embedding(const EmbeddingArgs& args, Team& team);
// dtable[ids[row]] += dy[row] * scale, rows ascending. dtable [V, width] dense.
void EmbeddingBackward(std::span<const int32_t> ids, const float* dy, int64_t dy_stride,
                       int64_t width, float scale, float* dtable, Team& team);

}  // namespace pawl::kernels
