// Operands and the plain reference of the matrix products' tests: one accumulator an output, k
// ascending, one multiply-add a step, in scalar code.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/rng.h"
#include "kernels/gemm.h"

namespace pawl::kernels {

// bfloat16 of x: the one of its two neighbours that is nearer, on a tie the one with an even last
// bit; by comparing distances, not by the bit trick of the kernels.
inline uint16_t ReferenceToBF16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const auto low = static_cast<uint16_t>(bits >> 16);
  if (std::isnan(x)) return low | 0x40;
  if ((bits & 0xffff) == 0) return low;  // also infinities
  auto value = [](uint32_t b) {          // past the largest stands what would come next: 2^128
    if ((b & 0x7fff) == 0x7f80) return b & 0x8000 ? -0x1p128 : 0x1p128;
    return static_cast<double>(std::bit_cast<float>(b << 16));
  };
  const double below = std::fabs(x - value(low)), above = std::fabs(value(low + 1u) - x);
  if (below == above) return low + (low & 1);
  return below < above ? low : low + 1;
}
inline float FromBF16(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

enum class Source { kF32, kRounded, kBF16 };

// A random [rows, columns] matrix in one of the forms a MatrixRef takes. What lies between and
// around its rows is NaN.
class Operand {
 public:
  Operand(int64_t rows, int64_t columns, Source source, bool transposed, uint64_t seed,
          int64_t gap = 3, int64_t offset = 0)
      : source_(source), transposed_(transposed), offset_(offset) {
    const int64_t lines = transposed ? columns : rows, length = transposed ? rows : columns;
    stride_ = length + gap;
    f32_.assign(lines * stride_ + offset + 1, std::numeric_limits<float>::quiet_NaN());
    bf16_.assign(f32_.size(), 0x7fc0);
    seen_ = f32_;
    core::Philox rng(seed, core::Role::kTest, 0, 0);
    for (int64_t i = 0; i < lines; ++i) {
      for (int64_t j = 0; j < length; ++j) {
        Set(i * stride_ + j + offset, static_cast<float>(rng.Uniform(-1, 1)));
      }
    }
  }
  // As the kernels see it.
  float At(int64_t i, int64_t j) const { return seen_[Index(i, j)]; }
  void SetAt(int64_t i, int64_t j, float value) { Set(Index(i, j), value); }
  MatrixRef Ref() const {
    MatrixRef ref{.stride = stride_, .transposed = transposed_};
    if (source_ == Source::kBF16) {
      ref.bf16 = bf16_.data() + offset_;
    } else {
      ref.f32 = f32_.data() + offset_;
      ref.round_to_bf16 = source_ == Source::kRounded;
    }
    return ref;
  }

 private:
  size_t Index(int64_t i, int64_t j) const {
    return (transposed_ ? j * stride_ + i : i * stride_ + j) + offset_;
  }
  void Set(size_t at, float value) {
    f32_[at] = seen_[at] = value;
    if (source_ == Source::kF32) return;
    bf16_[at] = ReferenceToBF16(value);
    seen_[at] = FromBF16(bf16_[at]);
  }
  Source source_;
  bool transposed_;
  int64_t offset_, stride_ = 0;
  std::vector<float> f32_, seen_;
  std::vector<uint16_t> bf16_;
};

inline std::vector<float> RandomFloats(size_t count, uint64_t seed) {
  core::Philox rng(seed, core::Role::kTest, 1, 0);
  std::vector<float> x(count);
  for (float& v : x) v = static_cast<float>(rng.Uniform(-1, 1));
  return x;
}

// A multiply-add as the instruction set does it: Highway's scalar target rounds twice.
inline float MultiplyAdd(const std::string& target, float a, float b, float sum) {
  return target == "SCALAR" || target == "EMU128" ? a * b + sum : std::fma(a, b, sum);
}

// One output from its start on.
inline float ReferenceOutput(const std::string& target, const Operand& a, const Operand& b,
                             int64_t i, int64_t j, int64_t k, float alpha, float start) {
  float sum = start;
  for (int64_t q = 0; q < k; ++q) sum = MultiplyAdd(target, alpha * a.At(i, q), b.At(q, j), sum);
  return sum;
}

}  // namespace pawl::kernels
