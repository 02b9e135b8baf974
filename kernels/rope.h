// Rotary position embedding (Su et al. 2021) in the half-split form of transformers: element i of a
// head's first half turns with element i of its second half.
#pragma once
#include <cstdint>
#include <span>

#include "kernels/team.h"

namespace pawl::kernels {

// cos and sin tables [positions, half]: angle = float(position) * inv_freq[i] in float32, as
// transformers computes it, then cos and sin rounded from double, times `factor` (attention
// scaling; 1 where there is none).
void RopeTables(std::span<const float> inv_freq, int64_t positions, float factor, float* cos,
                float* sin);

struct RopeArgs {
  int64_t rows = 0, heads = 0, head_dim = 0;  // head_dim even
  float* x = nullptr;                         // [rows, heads * head_dim], in place
  int64_t x_stride = 0;
  const int32_t* positions = nullptr;  // [rows]
  const float* cos = nullptr;          // [positions, head_dim / 2]
  const float* sin = nullptr;
  bool inverse = false;  // turns back: the gradient
};
// x1' = x1 cos - x2 sin, x2' = x2 cos + x1 sin: each two rounded products and one rounded sum.
void Rope(const RopeArgs& args, Team& team);

}  // namespace pawl::kernels
