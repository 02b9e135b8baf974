#include "kernels/rope.h"

#include <cmath>

#include "kernels/row_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rope.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

template <bool kInverse>
HWY_INLINE void RopeHead(int64_t half, const float* cos, const float* sin, float* x) {
  ForColumns(half, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
    const Vec c = LoadPart(cos + i, part), s = LoadPart(sin + i, part);
    const Vec x1 = LoadPart(x + i, part), x2 = LoadPart(x + half + i, part);
    const Vec x1s = hn::Mul(x1, s), x2s = hn::Mul(x2, s);
    const Vec x1c = hn::Mul(x1, c), x2c = hn::Mul(x2, c);
    StorePart(kInverse ? hn::Add(x1c, x2s) : hn::Sub(x1c, x2s), x + i, part);
    StorePart(kInverse ? hn::Sub(x2c, x1s) : hn::Add(x2c, x1s), x + half + i, part);
  });
}

void RopeRows(const RopeArgs& args, int64_t first, int64_t last) {
  const int64_t half = args.head_dim / 2;
  for (int64_t r = first; r < last; ++r) {
    const float* const cos = args.cos + args.positions[r] * half;
    const float* const sin = args.sin + args.positions[r] * half;
    for (int64_t head = 0; head < args.heads; ++head) {
      float* const x = args.x + r * args.x_stride + head * args.head_dim;
      if (args.inverse) {
        RopeHead<true>(half, cos, sin, x);
      } else {
        RopeHead<false>(half, cos, sin, x);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(RopeRows);

void RopeTables(std::span<const float> inv_freq, int64_t positions, float factor, float* cos,
                float* sin) {
  const int64_t half = std::ssize(inv_freq);
  for (int64_t position = 0; position < positions; ++position) {
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(position) * inv_freq[i];
      cos[position * half + i] = static_cast<float>(std::cos(double(angle))) * factor;
      sin[position * half + i] = static_cast<float>(std::sin(double(angle))) * factor;
    }
  }
}

void Rope(const RopeArgs& args, Team& team) {
  ForRowBlocks(team, args.rows, args.heads * args.head_dim, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(RopeRows)(args, first, last);
  });
}

}  // namespace pawl::kernels
#endif
