// y = x W^T on weights packed once, for the side that only reads them: evaluation and generation,
// from one row (bound by memory) to thousands (bound by arithmetic). The bits are those of
// kernels/gemm.h for every number of rows, tile, K block and thread (docs/numerics.md).
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "kernels/gemm.h"

namespace pawl::kernels {

enum class WeightType : uint8_t { kF32, kBF16 };

// W [out, in] in panels of 16 outputs, k-major; bfloat16 as 32-bit lanes holding (k, k + 1).
// Outputs are padded to whole panels with zeros, an odd k with a zero.
class PackedWeight {
 public:
  PackedWeight() = default;
  // Packs in parallel. w: [out, in], as f32 (rounded where type is bf16) or bf16.
  PackedWeight(WeightType type, int64_t out, int64_t in, const MatrixRef& w, Team& team);
  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  WeightType type() const { return type_; }
  size_t size_bytes() const { return data_.size(); }
  const std::byte* data() const { return data_.data(); }
  size_t panel_bytes() const { return panel_bytes_; }

 private:
  WeightType type_ = WeightType::kF32;
  int64_t out_ = 0, in_ = 0;
  size_t panel_bytes_ = 0;
  core::Buffer<std::byte> data_;
};

struct LinearArgs {
  int64_t rows = 0;
  const float* x = nullptr;  // [rows, in]; rounded to bfloat16 when the weights are bfloat16
  int64_t x_stride = 0;
  float* y = nullptr;  // [rows, out]
  int64_t y_stride = 0;
  const float* bias = nullptr;  // [out] start of the accumulators; null: 0
  bool accumulate = false;      // start from y instead
};
void Linear(const PackedWeight& weight, const LinearArgs& args, Team& team);

}  // namespace pawl::kernels
