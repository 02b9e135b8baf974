// Vectors and elementary functions of the CPU kernels, compiled once per instruction set (Highway's
// "-inl" idiom: include after <hwy/foreach_target.h>). Every function keeps NaN, so that a bad
// number cannot hide behind a clamp, and never calls libm, whose results differ between machines.
#if defined(PAWL_KERNELS_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PAWL_KERNELS_VECTOR_INL_H_
#undef PAWL_KERNELS_VECTOR_INL_H_
#else
#define PAWL_KERNELS_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <utility>

#include "hwy/contrib/math/math-inl.h"
#include "kernels/panel.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most one panel row (16 columns) wide.
using Tag = hn::CappedTag<float, kPanel>;
using Vec = hn::Vec<Tag>;
using Mask = hn::Mask<Tag>;
constexpr Tag kTag;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(Tag()));
constexpr int kVectors = kPanel / kLanes;  // vectors of a panel row

// Calls f(0) ... f(N - 1) with compile-time indices: g++ keeps arrays of vectors in registers only
// when their indices are constants.
template <class F, size_t... I>
HWY_INLINE void EachOf(F&& f, std::index_sequence<I...>) {
  (f(std::integral_constant<int, static_cast<int>(I)>{}), ...);
}
template <int N, class F>
HWY_INLINE void Each(F&& f) {
  EachOf(f, std::make_index_sequence<N>{});
}
#define PAWL_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

HWY_INLINE Vec Constant(float value) { return hn::Set(kTag, value); }
HWY_INLINE Vec KeepNaN(Vec x, Vec y) { return hn::IfThenElse(hn::IsNaN(x), x, y); }
HWY_INLINE Vec Clamp(Vec x, Vec low, Vec high) {
  return hn::IfThenElse(hn::Lt(x, low), low, hn::IfThenElse(hn::Gt(x, high), high, x));
}

// exp: infinity from 88.73 up, 0 below -104.
HWY_INLINE Vec Exp(Vec x) { return KeepNaN(x, hn::Exp(kTag, hn::Min(x, Constant(89.0f)))); }
// 2^x for x up to 126, exactly 0 below -125: leaner than Exp, for softmax, whose log2(e) goes into
// the scores. x - round(x) is exact, so the error is the polynomial's 1e-8 and one rounding a step.
HWY_INLINE Vec Exp2(Vec x) {
  const hn::RebindToSigned<Tag> int_tag;
  // adding 1.5 * 2^23 leaves round(x) + 127, the exponent's bits of 2^round(x), in the low bits
  const Vec big = Constant(12582912.0f + 127);
  const Vec shifted = hn::Add(x, big);
  const Vec r = hn::Sub(x, hn::Sub(shifted, big));
  Vec p = Constant(0.000154531634f);
  for (float c :
       {0.00133908633f, 0.00961808302f, 0.0555035695f, 0.240226507f, 0.693147182f, 1.0f}) {
    p = hn::MulAdd(p, r, Constant(c));
  }
  const Vec power = hn::BitCast(kTag, hn::ShiftLeft<23>(hn::BitCast(int_tag, shifted)));
  // the product keeps NaN, whatever `power` is
  return hn::IfThenZeroElse(hn::Lt(x, Constant(-125.0f)), hn::Mul(p, power));
}
// exp(x) - 1 for x <= 0.
HWY_INLINE Vec Expm1(Vec x) { return KeepNaN(x, hn::Expm1(kTag, x)); }
// Natural logarithm of x > 0.
HWY_INLINE Vec Log(Vec x) { return KeepNaN(x, hn::Log(kTag, x)); }
// log(1 + exp(x)).
HWY_INLINE Vec Softplus(Vec x) {
  const Vec tail = hn::Log1p(kTag, hn::Exp(kTag, hn::Neg(hn::Abs(x))));
  return KeepNaN(x, hn::Add(hn::Max(x, hn::Zero(kTag)), tail));
}

// Rational tanh: odd degree 13 over even degree 6, the minimax coefficients in common use, clamped
// where float32 tanh is 1.
HWY_INLINE Vec Tanh(Vec x) {
  constexpr float kBound = 7.90531110763549805f;
  x = Clamp(x, Constant(-kBound), Constant(kBound));
  const Vec q = hn::Mul(x, x);
  Vec p = Constant(-2.76076847742355e-16f);
  for (float c : {2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f,
                  1.48572235717979e-05f, 6.37261928875436e-04f, 4.89352455891786e-03f}) {
    p = hn::MulAdd(p, q, Constant(c));
  }
  Vec d = Constant(1.19825839466702e-06f);
  for (float c : {1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f}) {
    d = hn::MulAdd(d, q, Constant(c));
  }
  return hn::Div(hn::Mul(x, p), d);
}

// Sum of a panel row of partial sums, in an order that does not depend on the vector width.
HWY_INLINE float SumPanel(const float* lanes) {
  float sum[kPanel / 2];
  for (int i = 0; i < kPanel / 2; ++i) sum[i] = lanes[i] + lanes[i + kPanel / 2];
  for (int half = kPanel / 4; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) sum[i] += sum[i + half];
  }
  return sum[0];
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#endif
