// Strided matrices between guard values and finite differences, for the tests of the row kernels.
#pragma once
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/rng.h"
#include "kernels/cpu_target.h"

namespace pawl::kernels {

// [rows, width] floats, rows `width + pad` apart, at an address that no vector is aligned to; what
// lies between and around the rows must stay.
class Rows {
 public:
  Rows(int64_t rows, int64_t width, int64_t pad = 3)
      : rows_(rows), width_(width), stride_(width + pad), all_(rows * stride_ + 2 * kEdge, kGuard) {
    for (int64_t r = 0; r < rows; ++r) std::fill_n(row(r), width, 0.0f);
  }
  static Rows Random(int64_t rows, int64_t width, uint64_t seed, double scale = 1,
                     int64_t pad = 3) {
    Rows m(rows, width, pad);
    core::Philox rng(seed, core::Role::kTest, 0, 0);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < width; ++i) m(r, i) = static_cast<float>(scale * rng.Normal());
    }
    return m;
  }
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  int64_t stride() const { return stride_; }
  float* data() { return all_.data() + kEdge; }
  const float* data() const { return all_.data() + kEdge; }
  float* row(int64_t r) { return data() + r * stride_; }
  const float* row(int64_t r) const { return data() + r * stride_; }
  float& operator()(int64_t r, int64_t i) { return row(r)[i]; }
  float operator()(int64_t r, int64_t i) const { return row(r)[i]; }
  // The same bits in every element and guard (the values are no NaN).
  bool operator==(const Rows& other) const { return all_ == other.all_; }
  bool GuardsKept() const {
    Rows copy = *this;
    for (int64_t r = 0; r < rows_; ++r) std::fill_n(copy.row(r), width_, kGuard);
    return std::all_of(copy.all_.begin(), copy.all_.end(), [](float x) { return x == kGuard; });
  }

 private:
  static constexpr int64_t kEdge = 21;
  static constexpr float kGuard = 777.25f;
  int64_t rows_, width_, stride_;
  std::vector<float> all_;
};

inline std::vector<float> RandomVector(int64_t count, uint64_t seed, double scale = 1) {
  const Rows m = Rows::Random(1, count, seed, scale, 0);
  return {m.data(), m.data() + count};
}

// Derivative of f by x, central differences in double: exact to about 1e-9 for smooth f of size 1.
inline double Slope(const std::function<double(double)>& f, double x, double step = 1e-5) {
  return (f(x + step) - f(x - step)) / (2 * step);
}

// Whether bits are promised across instruction sets: those with a fused multiply-add.
inline bool HasFma(const std::string& target) { return target != "SCALAR" && target != "SSE2"; }

}  // namespace pawl::kernels
