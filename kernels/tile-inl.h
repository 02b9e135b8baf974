// The micro-kernel of all matrix products and the sweep of its tiles, compiled once per instruction
// set (include after <hwy/foreach_target.h>). A tile keeps its outputs in registers while k runs:
// one accumulator each, k ascending, one multiply-add a step, whatever the tile's shape.
#if defined(PAWL_KERNELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PAWL_KERNELS_TILE_INL_H_
#undef PAWL_KERNELS_TILE_INL_H_
#else
#define PAWL_KERNELS_TILE_INL_H_
#endif

#include <hwy/cache_control.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// Rows of 64 bytes of a panel, each kSteps k steps of 16 columns. Get: vector j of k step `step`;
// `full`: the tile's accumulators leave no register for a constant.
struct F32Panel {
  static constexpr int kSteps = 1;
  static HWY_INLINE Vec Get(const std::byte* row, int j, int, bool) {
    return hn::Load(kTag, reinterpret_cast<const float*>(row) + j * kLanes);
  }
};
struct BF16Panel {
  static constexpr int kSteps = 2;
  static HWY_INLINE Vec Get(const std::byte* row, int j, int step, bool full) {
    const hn::RebindToUnsigned<Tag> du;
    const auto pair = hn::Load(du, reinterpret_cast<const uint32_t*>(row) + j * kLanes);
    if (step == 0) return hn::BitCast(kTag, hn::ShiftLeft<16>(pair));
    if (!full) return hn::BitCast(kTag, hn::And(pair, hn::Set(du, 0xffff0000u)));
    // a constant that the compiler cannot keep: it would drive an accumulator out
    alignas(64) static constexpr uint32_t kHigh[kPanel] = {
        0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u,
        0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u,
        0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u};
    const uint32_t* high = kHigh;
    asm volatile("" : "+r"(high));
    return hn::BitCast(kTag, hn::And(pair, hn::Load(du, high)));
  }
};

// Accumulators of a register tile: enough to hide the latency of a multiply-add, few enough to
// leave registers for the operands.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif
constexpr int kTileSums = kRegisters * 3 / 4;
// Rows of the tallest tile that is `panels` panels wide.
constexpr int MaxRows(int panels) { return std::clamp(kTileSums / (panels * kVectors), 1, 12); }
// Panels of a tile with many rows: with one vector to a panel row, two of them halve the
// broadcasts.
constexpr int kWidePanels = kVectors == 1 ? 2 : 1;
// Up to this many rows the product is bound by memory.
constexpr int kFewRows = 8;
// Panels that a tile of so few rows takes at once, to have enough sums in flight.
constexpr int PanelsOf(int64_t rows) {
  if (rows * kVectors <= 2) return 4;
  return rows * kVectors <= 4 ? 2 : kWidePanels;
}

struct TileArgs {
  const float* a;      // [k][rows]
  const std::byte* b;  // first panel
  size_t b_panel;      // bytes to the next one
  int64_t depth;       // k steps
  float* c;            // first row, first panel's columns
  int64_t c_stride;
  int64_t c_panel;         // floats to the next panel's columns
  const float* bias;       // start of the accumulators; null: 0
  bool load;               // start from c instead
  const std::byte* ahead;  // what to fetch of the weights meanwhile: `lines` of each panel every
  int lines;               //   four k steps
  const float* next_c;     // rows that the next tile will touch
};

// The compiler may not mix the k steps before and after: it would run out of registers.
HWY_INLINE void KeepApart(const float* HWY_RESTRICT& a, const std::byte* HWY_RESTRICT& b) {
  asm volatile("" : "+r"(a), "+r"(b));
}

// Tile of MR rows and P panels.
template <class W, int MR, int P>
HWY_NOINLINE void Tile(const TileArgs& args) {
  constexpr int kWide = kVectors * P;
  constexpr int kUnroll = 4;
  // accumulators, weights, one of the left operand, one to spare
  constexpr bool kFull = MR * kWide + (MR <= 2 ? 1 : kWide) + 2 > kRegisters - 3;
  const float* HWY_RESTRICT a = args.a;
  const std::byte* HWY_RESTRICT b = args.b;
  const std::byte* ahead = args.ahead;
  const size_t b_panel = args.b_panel;
  const int lines = args.lines;
  Vec sum[MR * kWide];
  // accumulator i: row i / kWide, panel i % kWide / kVectors, vector i % kVectors
  auto at = [&](int i) PAWL_INLINE_LAMBDA {
    return args.c + i / kWide * args.c_stride + i % kWide / kVectors * args.c_panel +
           i % kVectors * kLanes;
  };
  if (args.load) {
    Each<MR * kWide>([&](auto i) PAWL_INLINE_LAMBDA { sum[i] = hn::LoadU(kTag, at(i)); });
  } else {
    Each<MR * kWide>([&](auto i) PAWL_INLINE_LAMBDA {
      const int64_t column = i % kWide / kVectors * args.c_panel + i % kVectors * kLanes;
      sum[i] = args.bias ? hn::LoadU(kTag, args.bias + column) : hn::Zero(kTag);
    });
  }
  Each<MR>([&](auto m) PAWL_INLINE_LAMBDA { hwy::Prefetch(args.next_c + m * args.c_stride); });
  auto step = [&](auto u) PAWL_INLINE_LAMBDA {
    auto right = [&](auto j) PAWL_INLINE_LAMBDA {
      return W::Get(b + j / kVectors * b_panel + u / W::kSteps * 64, j % kVectors, u % W::kSteps,
                    kFull);
    };
    if constexpr (MR <= 2) {
      // many panels: each vector is used at once, or there were too few registers
      Vec left[MR];
      Each<MR>([&](auto m) PAWL_INLINE_LAMBDA { left[m] = hn::Set(kTag, a[u * MR + m]); });
      Each<kWide>([&](auto j) PAWL_INLINE_LAMBDA {
        const Vec w = right(j);
        Each<MR>([&](auto m) PAWL_INLINE_LAMBDA {
          sum[m * kWide + j] = hn::MulAdd(left[m], w, sum[m * kWide + j]);
        });
      });
    } else {
      Vec w[kWide];
      Each<kWide>([&](auto j) PAWL_INLINE_LAMBDA { w[j] = right(j); });
      Each<MR>([&](auto m) PAWL_INLINE_LAMBDA {
        const Vec left = hn::Set(kTag, a[u * MR + m]);
        Each<kWide>([&](auto j) PAWL_INLINE_LAMBDA {
          sum[m * kWide + j] = hn::MulAdd(left, w[j], sum[m * kWide + j]);
        });
      });
    }
  };
  int64_t k = 0;
  for (; k + kUnroll <= args.depth; k += kUnroll) {
    for (int i = 0; i < lines; ++i, ahead += 64) {
      Each<P>([&](auto p) PAWL_INLINE_LAMBDA { hwy::Prefetch(ahead + p * b_panel); });
    }
    Each<kUnroll>([&](auto u) PAWL_INLINE_LAMBDA {
      step(u);
      KeepApart(a, b);
    });
    a += kUnroll * MR;
    b += kUnroll / W::kSteps * 64;
  }
  for (; k + W::kSteps <= args.depth; k += W::kSteps, a += W::kSteps * MR, b += 64) {
    Each<W::kSteps>(step);
  }
  // an odd last k: the other half of the lane is no step
  if (k < args.depth) step(std::integral_constant<int, 0>{});
  Each<MR * kWide>([&](auto i) PAWL_INLINE_LAMBDA { hn::StoreU(sum[i], kTag, at(i)); });
}

template <class W, int P, int MR = MaxRows(P)>
HWY_INLINE void TileOfHeight(int height, const TileArgs& args) {
  if constexpr (MR > 1) {
    if (height < MR) return TileOfHeight<W, P, MR - 1>(height, args);
  }
  Tile<W, MR, P>(args);
}

// The last panel of a matrix where it is not full: through a buffer, so that nothing beside the
// `columns` that exist is touched.
template <class W>
HWY_NOINLINE void TileOfColumns(int height, int columns, TileArgs args) {
  alignas(64) float c[MaxRows(1) * kPanel] = {};
  alignas(64) float bias[kPanel] = {};
  float* to = args.c;
  const int64_t stride = args.c_stride;
  if (args.load) {
    for (int m = 0; m < height; ++m) std::copy_n(to + m * stride, columns, c + m * kPanel);
  } else if (args.bias) {
    std::copy_n(args.bias, columns, bias);
    args.bias = bias;
  }
  args.c = c;
  args.c_stride = kPanel;
  TileOfHeight<W, 1>(height, args);
  for (int m = 0; m < height; ++m) std::copy_n(c + m * kPanel, columns, to + m * stride);
}

// Rows cut into tiles of nearly equal height.
struct RowTiles {
  RowTiles(int64_t rows, int max_height)
      : rows(rows), count((rows + max_height - 1) / max_height) {}
  int64_t First(int64_t tile) const { return tile * (rows / count) + std::min(tile, rows % count); }
  int64_t rows, count;
};
// Of so few rows that memory bounds them, tiles of 4 and more of them: each fetches its share of
// the next weights while it computes.
HWY_INLINE RowTiles TilesOf(int64_t rows) {
  const int panels = PanelsOf(rows);
  const int tallest = MaxRows(panels);
  return RowTiles(rows, rows <= kFewRows ? std::min(tallest, 4) : tallest);
}

// One K block of some rows (packed: tile after tile, [k][height]) times some panels.
struct SweepArgs {
  RowTiles tiles;
  const float* a;
  const std::byte* b;  // the first panel, from this K block on
  size_t b_panel;
  int64_t depth;
  float* c;
  int64_t c_stride;
  int64_t columns;
  const float* bias;
  bool load;
};

// All row tiles on P panels that stand `distance` panels apart, from panel `panel` on.
template <class W, int P>
HWY_INLINE void SweepRows(const SweepArgs& args, int64_t panel, int64_t distance) {
  constexpr int kLinesPerPass = 4 / W::kSteps;
  const int64_t count = args.tiles.count, first_column = panel * kPanel;
  const int64_t columns = std::min<int64_t>(args.columns - first_column, kPanel);
  // one tile fetches its own panels 1 KiB ahead; several (the first four) their shares of the next
  const int lines =
      static_cast<int>(std::max<int64_t>(kLinesPerPass / std::min<int64_t>(count, 4), 1));
  const int64_t sharing = kLinesPerPass / lines;
  TileArgs tile{.a = args.a,
                .b = args.b + panel * args.b_panel,
                .b_panel = distance * args.b_panel,
                .depth = args.depth,
                .c = args.c + first_column,
                .c_stride = args.c_stride,
                .c_panel = distance * kPanel,
                .bias = args.bias ? args.bias + first_column : nullptr,
                .load = args.load,
                .ahead = nullptr,
                .lines = 0,
                .next_c = nullptr};
  const int64_t step = distance == 1 ? int64_t{P} : 1;
  const std::byte* next = tile.b + step * args.b_panel;
  for (int64_t t = 0; t < count; ++t) {
    const int height = static_cast<int>(args.tiles.First(t + 1) - args.tiles.First(t));
    tile.ahead = count == 1 ? tile.b + 1024 : next + t * lines * (args.depth / 4) * 64;
    tile.lines = t < sharing ? lines : 0;
    tile.next_c = t + 1 < count ? tile.c + height * args.c_stride : args.c + first_column + kPanel;
    if (P == 1 && columns < kPanel) {
      TileOfColumns<W>(height, static_cast<int>(columns), tile);
    } else {
      TileOfHeight<W, P>(height, tile);
    }
    tile.a += height * args.depth;
    tile.c += height * args.c_stride;
  }
}

template <class W, int P>
HWY_INLINE void SweepPanels(const SweepArgs& args) {
  const int64_t groups = args.columns / kPanel / P;
  // few rows: the panels done at once lie far apart, so that each is one long stream
  const bool far = P > kWidePanels;
  for (int64_t i = 0; i < groups; ++i) {
    SweepRows<W, P>(args, far ? i : i * P, far ? groups : 1);
  }
  for (int64_t i = groups * P; i * kPanel < args.columns; ++i) SweepRows<W, 1>(args, i, 1);
}

template <class W, int P = PanelsOf(1)>
HWY_INLINE void Sweep(const SweepArgs& args) {
  if constexpr (P > kWidePanels) {
    if (PanelsOf(args.tiles.rows) < P) return Sweep<W, P / 2>(args);
  }
  SweepPanels<W, P>(args);
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#endif
