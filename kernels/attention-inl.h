// Register tiles and packing that attention's forward and backward pass share, compiled once per
// instruction set (Highway's "-inl" idiom: include after <hwy/foreach_target.h>). A tile is a
// matrix product of a few rows and 16 columns whose rows may have different depth ranges: what lies
// outside a row's range is never multiplied, so NaN there cannot reach the row, and its bits do not
// depend on the rows it shares a tile with.
#if defined(PAWL_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PAWL_KERNELS_ATTENTION_INL_H_
#undef PAWL_KERNELS_ATTENTION_INL_H_
#else
#define PAWL_KERNELS_ATTENTION_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/attention.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// Half-open; empty where end <= begin.
struct Range {
  int begin, end;
};

// Rows of a tile: enough accumulators to hide the latency of a multiply-add, few enough to leave
// registers for the operands (AVX-512 has 32, the others 16 or more).
constexpr int kTileRows = std::max((kVectors <= 2 ? 12 : 8) / kVectors, 1);

// How a tile reads its left operand A(m, k).
enum class Left {
  kRows,     // A(m, k) = a[m * a_stride + k]
  kColumns,  // A(m, k) = a[k * a_stride + m]
};
// What the accumulators start from.
enum class Start { kZero, kStored, kScaled };

struct RangedTileArgs {
  const float* a;
  size_t a_stride;
  const float* b;  // B(k, n) = b[k * b_stride + n]
  size_t b_stride;
  float* c;  // C(m, n) = c[m * c_stride + n]
  size_t c_stride;
  const float* factor = nullptr;  // kScaled: row m starts from c * factor[m]
  const Range* range = nullptr;   // [rows] the depths of each row; null: all of `common`
  Range common = {};              // depths of all rows
  Range any = {};                 // depths of at least one row
};

// C(m, 0..15) = start + sum over k ascending of A(m, k) B(k, 0..15), for MR rows.
template <int MR, Left kLeft, Start kStart>
HWY_NOINLINE void RangedTile(const RangedTileArgs& args) {
  const float* HWY_RESTRICT a = args.a;
  const float* HWY_RESTRICT b = args.b;
  float* HWY_RESTRICT c = args.c;
  const size_t a_stride = args.a_stride, b_stride = args.b_stride, c_stride = args.c_stride;
  Vec sum[MR * kVectors];  // accumulator i: row i / kVectors, vector i % kVectors
  Each<MR * kVectors>([&](auto i) PAWL_INLINE_LAMBDA {
    if constexpr (kStart == Start::kZero) {
      sum[i] = hn::Zero(kTag);
    } else {
      sum[i] = hn::Load(kTag, c + i / kVectors * c_stride + i % kVectors * kLanes);
      if constexpr (kStart == Start::kScaled) {
        sum[i] = hn::Mul(sum[i], hn::Set(kTag, args.factor[i / kVectors]));
      }
    }
  });
  // one depth for the rows that `wanted` names
  auto step = [&](int k, auto wanted) PAWL_INLINE_LAMBDA {
    const float* row = b + k * b_stride;
    Vec right[kVectors];
    Each<kVectors>([&](auto j)
                       PAWL_INLINE_LAMBDA { right[j] = hn::LoadU(kTag, row + j * kLanes); });
    Each<MR>([&](auto m) PAWL_INLINE_LAMBDA {
      if (wanted(m)) {
        const Vec left =
            hn::Set(kTag, kLeft == Left::kRows ? a[m * a_stride + k] : a[k * a_stride + m]);
        Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
          sum[m * kVectors + j] = hn::MulAdd(left, right[j], sum[m * kVectors + j]);
        });
      }
    });
  };
  auto all = [](int) PAWL_INLINE_LAMBDA { return true; };
  auto ragged = [&](int k, int end) PAWL_INLINE_LAMBDA {
    for (; k < end; ++k) {
      step(k, [&](int m)
                  PAWL_INLINE_LAMBDA { return k >= args.range[m].begin && k < args.range[m].end; });
    }
  };
  int k = args.common.begin;
  if (args.any.begin < k) ragged(args.any.begin, k);
  for (; k + 4 <= args.common.end; k += 4) {
    Each<4>([&](auto u) PAWL_INLINE_LAMBDA { step(k + u, all); });
  }
  for (; k < args.common.end; ++k) step(k, all);
  if (k < args.any.end) ragged(k, args.any.end);
  Each<MR * kVectors>([&](auto i) PAWL_INLINE_LAMBDA {
    hn::Store(sum[i], kTag, c + i / kVectors * c_stride + i % kVectors * kLanes);
  });
}

template <Left kLeft, Start kStart, int MR = kTileRows>
HWY_INLINE void RangedTileOfHeight(int height, const RangedTileArgs& args) {
  if constexpr (MR > 1) {
    if (height < MR) return RangedTileOfHeight<kLeft, kStart, MR - 1>(height, args);
  }
  RangedTile<MR, kLeft, kStart>(args);
}

// Calls f(row, height) for tiles of nearly equal height.
template <class F>
HWY_INLINE void EachTile(int rows, F&& f) {
  int tiles = (rows + kTileRows - 1) / kTileRows;
  for (int row = 0; row < rows; --tiles) {
    const int height = (rows - row + tiles - 1) / tiles;
    f(row, height);
    row += height;
  }
}

// The depths that all and that some of the rows have.
HWY_INLINE void SetDepths(const Range* range, int rows, RangedTileArgs& args) {
  Range common = {0, std::numeric_limits<int>::max()}, any = {common.end, 0};
  for (int m = 0; m < rows; ++m) {
    common = {std::max(common.begin, range[m].begin), std::min(common.end, range[m].end)};
    if (range[m].begin < range[m].end) {
      any = {std::min(any.begin, range[m].begin), std::max(any.end, range[m].end)};
    }
  }
  if (any.begin >= any.end) any = {};
  // nothing in common: the rows' ranges are all run as a ragged tail
  if (common.begin >= common.end) common = {any.begin, any.begin};
  args.range = range;
  args.common = common;
  args.any = any;
}

// What a caller has done after every tile: nothing.
struct NoChore {
  HWY_INLINE void operator()() const {}
};

// C [rows, panels * 16] = start + A B over each row's own range of depths.
template <Left kLeft, Start kStart, class Chore = NoChore>
HWY_INLINE void RangedProduct(const Range* range, int rows, int panels, RangedTileArgs args,
                              Chore&& chore = {}) {
  EachTile(rows, [&](int row, int height) PAWL_INLINE_LAMBDA {
    RangedTileArgs tile = args;
    SetDepths(range + row, height, tile);
    // rows that see nothing keep what they have; a scaled start is a factor of 1 for them
    if (tile.any.begin == tile.any.end) return;
    tile.a += kLeft == Left::kRows ? row * args.a_stride : row;
    tile.c += row * args.c_stride;
    if (args.factor) tile.factor += row;
    for (int n = 0; n < panels; ++n, tile.b += kPanel, tile.c += kPanel) {
      RangedTileOfHeight<kLeft, kStart>(height, tile);
      chore();
    }
  });
}

// s [rows, 64] = x [rows, depth] kt for the panels of 16 keys that a tile's rows see (`keys`); the
// rest of s is not touched. kt: 4 panels [depth][16].
template <class Chore = NoChore>
HWY_INLINE void Scores(const Range* keys, int rows, const float* x, size_t x_stride,
                       const float* kt, int depth, float* s, Chore&& chore = {}) {
  EachTile(rows, [&](int row, int height) PAWL_INLINE_LAMBDA {
    RangedTileArgs tile = {
        .a = x + row * x_stride, .a_stride = x_stride, .b_stride = kPanel, .c_stride = kKeyBlock};
    SetDepths(keys + row, height, tile);
    const int end = tile.any.end;
    int column = tile.any.begin / kPanel * kPanel;
    tile.common = tile.any = {0, depth};
    for (; column < end; column += kPanel) {
      tile.b = kt + static_cast<size_t>(column) * depth;
      tile.c = s + row * kKeyBlock + column;
      RangedTileOfHeight<Left::kRows, Start::kZero>(height, tile);
      chore();
    }
  });
}

// 0 .. 15 as float, to compare with a range's ends.
HWY_INLINE Vec ColumnIndex(int column) {
  return hn::Add(hn::Iota(kTag, 0.0f), Constant(static_cast<float>(column)));
}
HWY_INLINE Mask InRange(Range range, int column) {
  const Vec index = ColumnIndex(column);
  return hn::And(hn::Ge(index, Constant(static_cast<float>(range.begin))),
                 hn::Lt(index, Constant(static_cast<float>(range.end))));
}

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE float SumLanes(const Vec* part) {
  float lane[kPanel];
  for (int j = 0; j < kPanel; ++j) lane[j] = hn::GetLane(part[j]);
  return SumPanel(lane);
}
#else
// Sum of the lanes of v, halves added to halves.
template <class D, class V>
HWY_INLINE float SumHalves(D d, V v) {
  if constexpr (hn::MaxLanes(D()) > 4) {
    const hn::Half<D> half;
    return SumHalves(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    HWY_ALIGN float lane[4];
    hn::Store(v, d, lane);
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
  }
}
// Sum of 16 partial sums in the order of SumPanel: the same on every vector width.
HWY_INLINE float SumLanes(const Vec* part) {
  if constexpr (kVectors == 4) {
    return SumHalves(kTag, hn::Add(hn::Add(part[0], part[2]), hn::Add(part[1], part[3])));
  } else if constexpr (kVectors == 2) {
    return SumHalves(kTag, hn::Add(part[0], part[1]));
  } else {
    return SumHalves(kTag, part[0]);
  }
}
#endif

// to [Dp] = factor * from [d], padding zero.
HWY_INLINE void CopyRow(const float* from, int d, float factor, float* to) {
  const Vec times = Constant(factor);
  int i = 0;
  for (; i + kLanes <= d; i += kLanes) {
    hn::Store(hn::Mul(hn::LoadU(kTag, from + i), times), kTag, to + i);
  }
  for (; i < d; ++i) to[i] = from[i] * factor;
  for (; i < RoundUpToPanel(d); ++i) to[i] = 0;
}
// to [d] = factor * from [Dp].
HWY_INLINE void WriteRow(const float* from, int d, float factor, float* to) {
  const Vec times = Constant(factor);
  int i = 0;
  for (; i + kLanes <= d; i += kLanes) {
    hn::StoreU(hn::Mul(hn::Load(kTag, from + i), times), kTag, to + i);
  }
  for (; i < d; ++i) to[i] = from[i] * factor;
}

#if HWY_TARGET != HWY_SCALAR
// Four floats at from[0], from[4], ...: one 128-bit block of the vector each.
template <class D>
HWY_INLINE hn::Vec<D> LoadBlocks(D d, const float* const* from, int offset) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return hn::LoadU(d, from[0] + offset);
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, LoadBlocks(half, from + hn::MaxLanes(half), offset),
                       LoadBlocks(half, from, offset));
  }
}
#endif

// to [d][16] = the 16 rows transposed.
HWY_INLINE void TransposePanel(const float* const* row, int d, float* to) {
  int i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::Repartition<double, Tag> wide;
  for (; i + 4 <= d; i += 4) {
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
      // 4x4 blocks: block b of r0 .. r3 holds rows 4b .. 4b + 3
      const float* const* rows = row + j * kLanes;
      const Vec r0 = LoadBlocks(kTag, rows, i), r1 = LoadBlocks(kTag, rows + 1, i);
      const Vec r2 = LoadBlocks(kTag, rows + 2, i), r3 = LoadBlocks(kTag, rows + 3, i);
      const auto t0 = hn::BitCast(wide, hn::InterleaveLower(kTag, r0, r1));
      const auto t1 = hn::BitCast(wide, hn::InterleaveLower(kTag, r2, r3));
      const auto t2 = hn::BitCast(wide, hn::InterleaveUpper(kTag, r0, r1));
      const auto t3 = hn::BitCast(wide, hn::InterleaveUpper(kTag, r2, r3));
      float* out = to + i * kPanel + j * kLanes;
      auto store = [&](int k, auto v) PAWL_INLINE_LAMBDA {
        hn::Store(hn::BitCast(kTag, v), kTag, out + k * kPanel);
      };
      store(0, hn::InterleaveLower(wide, t0, t1));
      store(1, hn::InterleaveUpper(wide, t0, t1));
      store(2, hn::InterleaveLower(wide, t2, t3));
      store(3, hn::InterleaveUpper(wide, t2, t3));
    });
  }
#endif
  for (; i < d; ++i) {
    for (int j = 0; j < kPanel; ++j) to[i * kPanel + j] = row[j][i];
  }
}

// to: 4 panels [d][16], key k of the block in column k, for the panels that hold keys of `keys`.
// Rows of other keys are not read: they may not exist.
HWY_INLINE void PackTransposed(const float* from, size_t stride, Range keys, int d, float* to) {
  HWY_ALIGN static constexpr float kZeros[256] = {};
  for (int first = keys.begin / kPanel * kPanel; first < keys.end; first += kPanel) {
    const float* row[kPanel];
    for (int j = 0; j < kPanel; ++j) {
      const bool exists = first + j >= keys.begin && first + j < keys.end;
      row[j] = exists ? from + (first + j) * stride : kZeros;
    }
    TransposePanel(row, d, to + static_cast<size_t>(first) * d);
  }
}
// to [64][Dp] = the rows of `keys`, padding columns zero; other rows are neither read nor written.
HWY_INLINE void PackRows(const float* from, size_t stride, Range keys, int d, float* to) {
  const int width = RoundUpToPanel(d);
  for (int k = keys.begin; k < keys.end; ++k) CopyRow(from + k * stride, d, 1, to + k * width);
}

// The keys of the block from `block_start` on that the query at `position` sees.
HWY_INLINE Range VisibleKeys(int64_t position, int64_t window, int64_t block_start) {
  const int64_t first = window > 0 ? std::max<int64_t>(position - window + 1, 0) : 0;
  const int64_t begin = std::clamp<int64_t>(first - block_start, 0, kKeyBlock);
  const int64_t end = std::clamp<int64_t>(position + 1 - block_start, 0, kKeyBlock);
  if (begin >= end) return {};
  return {static_cast<int>(begin), static_cast<int>(end)};
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#endif
