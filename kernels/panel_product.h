// The product that gemm.cc and linear.cc share: a row-major left operand times a right operand that
// lies in panels of 16 columns (packed on the way or once). Rows and panels are cut into items for
// the team; an item packs its own rows of the left operand into tiles and sweeps its panels, K
// block by K block. Which item computes an output does not change its bits (docs/numerics.md).
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

#include "kernels/linear.h"

namespace pawl::kernels {

constexpr size_t kPanelRowBytes = 64;  // 16 lanes of 32 bits
// Floats of a right operand that is packed on the way, at a time: a share of the last-level cache.
constexpr int64_t kPackedFloats = int64_t{2} << 20;
// Rows of an item: packed, a K block of them stays in the second-level cache.
constexpr int64_t kItemRows = 96;

// K steps that a row of a panel holds: float32 one, bfloat16 two as lanes (k, k + 1).
constexpr int StepsPerRow(WeightType type) { return type == WeightType::kBF16 ? 2 : 1; }
constexpr size_t PanelBytes(WeightType type, int64_t k) {
  return static_cast<size_t>((k + StepsPerRow(type) - 1) / StepsPerRow(type)) * kPanelRowBytes;
}
constexpr int64_t NumPanels(int64_t n) { return (n + 15) / 16; }

// The part of a matrix from element (row, column) on.
MatrixRef Advance(const MatrixRef& matrix, int64_t row, int64_t column);

struct PackPanelsArgs {
  MatrixRef b;  // [K, N]
  int64_t k = 0, n = 0;
  WeightType type = WeightType::kF32;  // bf16: float32 sources are rounded
  std::byte* panels = nullptr;  // NumPanels(n) panels of PanelBytes(type, k), 64-byte aligned
};
// Columns from n to the end of the last panel are written as zeros, an odd last k too.
void PackPanels(const PackPanelsArgs& args, Team& team);

struct PanelProductArgs {
  int64_t m = 0, n = 0, k = 0;
  MatrixRef a;      // [M, K]
  float alpha = 1;  // multiplies a's elements as they are packed
  WeightType type = WeightType::kF32;
  const std::byte* panels = nullptr;  // [K, N] as PackPanels leaves it
  size_t panel_bytes = 0;
  float* c = nullptr;  // [M, N]
  int64_t c_stride = 0;
  const float* bias = nullptr;  // [N] or null: 0
  bool accumulate = false;      // start from c
};
void PanelProduct(const PanelProductArgs& args, Team& team);

// The same product on the calling thread, for who wants its outputs while they are in the cache:
// they come in strips of `strip_panels` panels, each computed into c [m, strip_panels * 16] over
// the last one, then used. scratch: StripScratchFloats(m, k) floats.
using UseStrip = std::function<void(int64_t first_column, int64_t columns)>;
void ProductInStrips(const PanelProductArgs& args, int64_t strip_panels, float* scratch,
                     const UseStrip& use);
constexpr size_t StripScratchFloats(int64_t m, int64_t k) { return static_cast<size_t>(m * k) + 4; }

}  // namespace pawl::kernels
