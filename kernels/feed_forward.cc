#include "kernels/feed_forward.h"

#include <algorithm>

#include "kernels/row_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/feed_forward.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// A function's value and derivative.
struct Point {
  Vec value, slope;
};

// 1 / (1 + exp(-x)) by exp(-|x|), which cannot overflow; small values and slopes keep their
// relative precision on both sides.
HWY_INLINE Point Sigmoid(Vec x) {
  const Vec one = Constant(1.0f);
  const Vec e = Exp(hn::Neg(hn::Abs(x)));
  const Vec r = hn::Div(one, hn::Add(one, e));
  const Vec er = hn::Mul(e, r);
  return {hn::IfThenElse(hn::Lt(x, hn::Zero(kTag)), er, r), hn::Mul(er, r)};
}

HWY_INLINE Point Silu(Vec x) {
  const Point s = Sigmoid(x);
  return {hn::Mul(x, s.value), hn::MulAdd(x, s.slope, s.value)};
}

// (1 + tanh(u)) / 2 is the sigmoid of 2u, without the cancellation where tanh is near -1.
HWY_INLINE Point GeluTanh(Vec x) {
  constexpr float kLinear = 1.5957691216f, kCubic = 0.0713548163f;  // 2 sqrt(2/pi), times 0.044715
  // the sigmoid is 0 or 1 long before 16; the cube of a huge number would be infinite
  const Vec z = Clamp(x, Constant(-16.0f), Constant(16.0f));
  const Vec q = hn::Mul(z, z);
  const Point s = Sigmoid(hn::Mul(z, hn::MulAdd(q, Constant(kCubic), Constant(kLinear))));
  const Vec inner = hn::MulAdd(q, Constant(3 * kCubic), Constant(kLinear));
  return {hn::Mul(x, s.value), hn::MulAdd(hn::Mul(x, s.slope), inner, s.value)};
}

// x times the normal distribution function, (1 + erf(x / sqrt 2)) / 2. Its tail below -|x| is
// exp(-x^2 / 2) t P(t), t = 1 / (1 + |x| / 4), P the Chebyshev interpolant on |x| <= 14 (1.6e-8).
HWY_INLINE Point Gelu(Vec x) {
  const Vec one = Constant(1.0f);
  const Vec e = Exp(hn::Mul(hn::Mul(x, x), Constant(-0.5f)));
  const Vec t = hn::Div(one, hn::MulAdd(hn::Abs(x), Constant(0.25f), one));
  Vec p = Constant(0.028784736f);
  for (float c : {-0.167508098f, 0.326081636f, -0.239553376f, 0.22472243f, 0.0233047751f,
                  0.1061683f, 0.0981827782f, 0.0998168107f}) {
    p = hn::MulAdd(p, t, Constant(c));
  }
  const Vec tail = hn::Mul(hn::Mul(e, t), p);
  const Vec phi = hn::IfThenElse(hn::Lt(x, hn::Zero(kTag)), tail, hn::Sub(one, tail));
  const Vec density = hn::Mul(e, Constant(0.3989422804f));
  return {hn::Mul(x, phi), hn::MulAdd(x, density, phi)};
}

template <FeedForwardActivation kActivation>
HWY_INLINE Point Activation(Vec x) {
  if constexpr (kActivation == FeedForwardActivation::kSilu) return Silu(x);
  if constexpr (kActivation == FeedForwardActivation::kGeluTanh) return GeluTanh(x);
  if constexpr (kActivation == FeedForwardActivation::kGelu) return Gelu(x);
}

// Calls f with the activation as a compile-time constant.
template <class F>
HWY_INLINE void WithActivation(FeedForwardActivation activation, F&& f) {
  using A = FeedForwardActivation;
  switch (activation) {
    case A::kSilu:
      return f(std::integral_constant<A, A::kSilu>());
    case A::kGeluTanh:
      return f(std::integral_constant<A, A::kGeluTanh>());
    case A::kGelu:
      return f(std::integral_constant<A, A::kGelu>());
  }
}

template <FeedForwardActivation kActivation>
HWY_INLINE void ForwardRows(const FeedForwardArgs& args, int64_t first, int64_t last, float* y,
                            int64_t y_stride) {
  for (int64_t r = first; r < last; ++r) {
    const float* const gate = args.gate + r * args.gate_stride;
    const float* const up = args.up ? args.up + r * args.up_stride : nullptr;
    float* const out = y + r * y_stride;
    ForColumns(args.width, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
      Vec v = Activation<kActivation>(LoadPart(gate + i, part)).value;
      if (up) v = hn::Mul(v, LoadPart(up + i, part));
      StorePart(v, out + i, part);
    });
  }
}
void Forward(const FeedForwardArgs& args, int64_t first, int64_t last, float* y, int64_t y_stride) {
  WithActivation(args.activation, [&](auto activation) PAWL_INLINE_LAMBDA {
    ForwardRows<activation.value>(args, first, last, y, y_stride);
  });
}

template <FeedForwardActivation kActivation>
HWY_INLINE void BackwardRows(const FeedForwardArgs& args, int64_t first, int64_t last,
                             const float* all_dy, int64_t dy_stride, float* all_dgate,
                             float* all_dup, float* all_y, int64_t y_stride) {
  for (int64_t r = first; r < last; ++r) {
    const float* const gate = args.gate + r * args.gate_stride;
    const float* const up = args.up ? args.up + r * args.up_stride : nullptr;
    const float* const dy = all_dy + r * dy_stride;
    float* const dgate = all_dgate + r * args.gate_stride;
    float* const dup = up ? all_dup + r * args.up_stride : nullptr;
    float* const y = all_y ? all_y + r * y_stride : nullptr;
    ForColumns(args.width, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
      // all loads before the first store: the gradients may lie over their inputs
      Point f = Activation<kActivation>(LoadPart(gate + i, part));
      Vec d = LoadPart(dy + i, part);
      if (up) {
        const Vec factor = LoadPart(up + i, part);
        StorePart(hn::Mul(d, f.value), dup + i, part);
        d = hn::Mul(d, factor);
        f.value = hn::Mul(f.value, factor);
      }
      StorePart(hn::Mul(d, f.slope), dgate + i, part);
      if (y) StorePart(f.value, y + i, part);
    });
  }
}
void Backward(const FeedForwardArgs& args, int64_t first, int64_t last, const float* dy,
              int64_t dy_stride, float* dgate, float* dup, float* y, int64_t y_stride) {
  WithActivation(args.activation, [&](auto activation) PAWL_INLINE_LAMBDA {
    BackwardRows<activation.value>(args, first, last, dy, dy_stride, dgate, dup, y, y_stride);
  });
}

void AddRange(float* to, const float* from, int64_t count) {
  ForColumns(count, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
    StorePart(hn::Add(LoadPart(to + i, part), LoadPart(from + i, part)), to + i, part);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(Forward);
HWY_EXPORT(Backward);
HWY_EXPORT(AddRange);

void FeedForward(const FeedForwardArgs& args, float* y, int64_t y_stride, Team& team) {
  ForRowBlocks(team, args.rows, args.width, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(Forward)(args, first, last, y, y_stride);
  });
}

void FeedForwardBackward(const FeedForwardArgs& args, const float* dy, int64_t dy_stride,
                         float* dgate, float* dup, float* y, int64_t y_stride, Team& team) {
  ForRowBlocks(team, args.rows, args.width, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(Backward)
    (args, first, last, dy, dy_stride, dgate, dup, y, y_stride);
  });
}

void AddRows(float* to, const float* from, int64_t count, Team& team) {
  ForRowBlocks(team, count, 1, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(AddRange)(to + first, from + first, last - first);
  });
}

}  // namespace pawl::kernels
#endif
