// Rows of any width and alignment by the vectors of vector-inl.h: the last columns, fewer than a
// vector, take the same code through a padded copy. Row sums have a fixed order.
#if defined(PAWL_KERNELS_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PAWL_KERNELS_ROWS_INL_H_
#undef PAWL_KERNELS_ROWS_INL_H_
#else
#define PAWL_KERNELS_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// How many lanes of a vector are columns: all of them, or an int below kLanes. Lanes beyond are
// loaded as 0 and not stored.
using Whole = std::integral_constant<int, kLanes>;

HWY_INLINE Vec LoadPart(const float* from, Whole) { return hn::LoadU(kTag, from); }
HWY_INLINE Vec LoadPart(const float* from, int count) {
  alignas(64) float lanes[kLanes] = {};
  std::copy_n(from, count, lanes);
  return hn::Load(kTag, lanes);
}
HWY_INLINE void StorePart(Vec v, float* to, Whole) { hn::StoreU(v, kTag, to); }
HWY_INLINE void StorePart(Vec v, float* to, int count) {
  alignas(64) float lanes[kLanes];
  hn::Store(v, kTag, lanes);
  std::copy_n(lanes, count, to);
}
// bfloat16, widened.
HWY_INLINE Vec LoadPart(const uint16_t* from, Whole) {
  const hn::Rebind<uint16_t, Tag> d16;
  const hn::RebindToUnsigned<Tag> d32;
  return hn::BitCast(kTag, hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, from))));
}
HWY_INLINE Vec LoadPart(const uint16_t* from, int count) {
  alignas(64) uint16_t lanes[kLanes] = {};
  std::copy_n(from, count, lanes);
  return LoadPart(lanes, Whole());
}
// Rounded to bfloat16: nearest, ties to even; NaN stays NaN.
HWY_INLINE void StorePart(Vec v, uint16_t* to, Whole) {
  const hn::Rebind<uint16_t, Tag> d16;
  const hn::RebindToUnsigned<Tag> d32;
  const auto bits = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7fffu)));
  const auto quiet = hn::Or(bits, hn::Set(d32, 0x400000u));
  const auto is_nan = hn::RebindMask(d32, hn::IsNaN(v));
  const auto upper = hn::ShiftRight<16>(hn::IfThenElse(is_nan, quiet, rounded));
  hn::StoreU(hn::TruncateTo(d16, upper), d16, to);
}
HWY_INLINE void StorePart(Vec v, uint16_t* to, int count) {
  alignas(64) uint16_t lanes[kLanes];
  StorePart(v, lanes, Whole());
  std::copy_n(lanes, count, to);
}
// v with 0 in the lanes that are no columns.
HWY_INLINE Vec Keep(Vec v, Whole) { return v; }
HWY_INLINE Vec Keep(Vec v, int count) { return hn::IfThenElseZero(hn::FirstN(kTag, count), v); }

// Calls f(column, part) for the columns of a row, a vector at a time.
template <class F>
HWY_INLINE void ForColumns(int64_t width, F&& f) {
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) f(i, Whole());
  if (i < width) f(i, static_cast<int>(width - i));
}

// N sums over a row, each as 16 partial sums (lane = column mod 16) folded in one order, whatever
// the vector's width: term(column, part, sums) adds one vector of terms to every sum, 0 in the
// lanes beyond part.
template <int N, class F>
HWY_INLINE void RowSums(int64_t width, float* out, F&& term) {
  Vec sum[kVectors][N];
  Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
    Each<N>([&](auto n) PAWL_INLINE_LAMBDA { sum[j][n] = hn::Zero(kTag); });
  });
  int64_t i = 0;
  for (; i + kPanel <= width; i += kPanel) {
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA { term(i + j * kLanes, Whole(), sum[j]); });
  }
  Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
    const int64_t at = i + j * kLanes;
    if (at + kLanes <= width) {
      term(at, Whole(), sum[j]);
    } else if (at < width) {
      term(at, static_cast<int>(width - at), sum[j]);
    }
  });
  Each<N>([&](auto n) PAWL_INLINE_LAMBDA {
    alignas(64) float lanes[kPanel];
    Each<kVectors>([&](auto j)
                       PAWL_INLINE_LAMBDA { hn::Store(sum[j][n], kTag, lanes + j * kLanes); });
    out[n] = SumPanel(lanes);
  });
}
// One such sum: sum = term(column, part, sum).
template <class F>
HWY_INLINE float RowSum(int64_t width, F&& term) {
  float sum;
  RowSums<1>(width, &sum, [&](int64_t i, auto part, Vec* sums) PAWL_INLINE_LAMBDA {
    sums[0] = term(i, part, sums[0]);
  });
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#endif
