// Packing of matrix operands, compiled once per instruction set (include after
// <hwy/foreach_target.h>): `width` lanes of an operand, rows of the left one or columns of the
// right one, become a strip [k][width]. Elements are widened, rounded and scaled on the way.
#if defined(PAWL_KERNELS_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PAWL_KERNELS_PACK_INL_H_
#undef PAWL_KERNELS_PACK_INL_H_
#else
#define PAWL_KERNELS_PACK_INL_H_
#endif

#include <hwy/cache_control.h>

#include <bit>
#include <cstdint>

#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// How elements are read: as they are, rounded to bfloat16 (to nearest, ties to even; infinity past
// the largest, NaN stays NaN with its sign), or widened from bfloat16. LoadOne is Load of a lane.
struct ReadF32 {
  using T = float;
  static HWY_INLINE float LoadOne(const float* from) { return *from; }
  template <class D>
  static HWY_INLINE hn::Vec<D> Load(D d, const float* from) {
    return hn::LoadU(d, from);
  }
};

struct ReadRounded {
  using T = float;
  static HWY_INLINE float LoadOne(const float* from) {
    const uint32_t bits = std::bit_cast<uint32_t>(*from);
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    const uint32_t rounded = is_nan ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1);
    return std::bit_cast<float>(rounded & 0xffff0000u);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> Load(D d, const float* from) {
    const hn::RebindToUnsigned<D> du;
    const auto x = hn::LoadU(d, from);
    const auto bits = hn::BitCast(du, x);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::Add(hn::Add(bits, hn::Set(du, 0x7fff)), odd);
    const auto quiet = hn::Or(bits, hn::Set(du, 0x400000));
    const auto chosen =
        hn::IfThenElse(hn::IsNaN(x), hn::BitCast(d, quiet), hn::BitCast(d, rounded));
    return hn::And(chosen, hn::BitCast(d, hn::Set(du, 0xffff0000u)));
  }
};

struct ReadBF16 {
  using T = uint16_t;
  static HWY_INLINE float LoadOne(const uint16_t* from) {
    return std::bit_cast<float>(static_cast<uint32_t>(*from) << 16);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> Load(D d, const uint16_t* from) {
    const hn::RebindToUnsigned<D> du;
    const hn::Rebind<uint16_t, D> half;
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(half, from))));
  }
};

template <class Read>
struct StripArgs {
  const typename Read::T* from;
  int64_t stride;
  int lanes;      // that exist
  int width;      // of the strip; lanes past those that exist are zero
  int64_t depth;  // k steps
  float alpha;    // multiplies every element
  float* to;
};

// Lanes are contiguous: to[k * width + i] = from[k * stride + i].
template <class Read>
HWY_INLINE void PackAlong(const StripArgs<Read>& args) {
  const hn::CappedTag<float, 4> d4;
  constexpr int kStep = static_cast<int>(hn::MaxLanes(d4));
  const auto* from = args.from;
  float* to = args.to;
  for (int64_t k = 0; k < args.depth; ++k, from += args.stride, to += args.width) {
    // rows may lie far apart, where no hardware prefetch follows
    hwy::Prefetch(from + 16 * args.stride);
    int i = 0;
    for (; i + kLanes <= args.lanes; i += kLanes) {
      hn::StoreU(hn::Mul(Read::Load(kTag, from + i), Constant(args.alpha)), kTag, to + i);
    }
    for (; i + kStep <= args.lanes; i += kStep) {
      hn::StoreU(hn::Mul(Read::Load(d4, from + i), hn::Set(d4, args.alpha)), d4, to + i);
    }
    for (; i < args.lanes; ++i) to[i] = Read::LoadOne(from + i) * args.alpha;
    for (; i < args.width; ++i) to[i] = 0;
  }
}

// k is contiguous: to[k * width + i] = from[i * stride + k], for k from `first` on.
template <class Read>
HWY_INLINE void PackAcrossRest(const StripArgs<Read>& args, int64_t first) {
  for (int64_t k = first; k < args.depth; ++k) {
    float* to = args.to + k * args.width;
    for (int i = 0; i < args.lanes; ++i) {
      to[i] = Read::LoadOne(args.from + i * args.stride + k) * args.alpha;
    }
    for (int i = args.lanes; i < args.width; ++i) to[i] = 0;
  }
}

#if HWY_TARGET == HWY_SCALAR
template <class Read>
HWY_INLINE void PackAcross(const StripArgs<Read>& args) {
  PackAcrossRest(args, 0);
}
#else
// 4x4 blocks in 128-bit vectors, which every other instruction set has. A width that is no multiple
// of 4 writes up to 3 floats past the strip: strips that lie one after the other go in order.
template <class Read>
HWY_INLINE void PackAcross(const StripArgs<Read>& args) {
  const hn::FixedTag<float, 4> d;
  const hn::Repartition<double, decltype(d)> d2;
  const auto alpha = hn::Set(d, args.alpha);
  const int64_t stride = args.stride, width = args.width, depth = args.depth / 4 * 4;
  for (int64_t k = 0; k < depth; k += 4) {
    // the last group first: what it writes past its row, the first group of the next row overwrites
    for (int g = (args.width - 1) / 4 * 4; g >= 0; g -= 4) {
      const auto* from = args.from + g * stride + k;
      auto row = [&](int i) PAWL_INLINE_LAMBDA {
        return g + i < args.lanes ? hn::Mul(Read::Load(d, from + i * stride), alpha) : hn::Zero(d);
      };
      const auto r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
      const auto t0 = hn::BitCast(d2, hn::InterleaveLower(d, r0, r1));
      const auto t1 = hn::BitCast(d2, hn::InterleaveLower(d, r2, r3));
      const auto t2 = hn::BitCast(d2, hn::InterleaveUpper(d, r0, r1));
      const auto t3 = hn::BitCast(d2, hn::InterleaveUpper(d, r2, r3));
      float* to = args.to + k * width + g;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, t0, t1)), d, to);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, t0, t1)), d, to + width);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, t2, t3)), d, to + 2 * width);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, t2, t3)), d, to + 3 * width);
    }
  }
  PackAcrossRest(args, depth);
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#endif
