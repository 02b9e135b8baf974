#include "kernels/panel_product.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/panel_product.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/pack-inl.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// Calls f(Read{}, pointer to the first element) for the way `matrix` is to be read.
template <class F>
HWY_INLINE void WithSource(const MatrixRef& matrix, const F& f) {
  if (matrix.bf16) {
    f(ReadBF16(), matrix.bf16);
  } else if (matrix.round_to_bf16) {
    f(ReadRounded(), matrix.f32);
  } else {
    f(ReadF32(), matrix.f32);
  }
}

// Rows of a [rows, depth] into tiles, one after the other, each [k][height]; up to 3 floats more.
void PackRows(const MatrixRef& a, const RowTiles& tiles, int64_t depth, float alpha, float* to) {
  WithSource(a, [&]<class Read>(Read, const typename Read::T* from) PAWL_INLINE_LAMBDA {
    // a transposed matrix is read some of its rows at a time, for all tiles: whole cache lines
    const int64_t k_step = a.transposed ? 32 : std::max<int64_t>(depth, 1);
    for (int64_t k = 0; k < depth; k += k_step) {
      for (int64_t t = 0; t < tiles.count; ++t) {
        const int64_t first = tiles.First(t);
        const int height = static_cast<int>(tiles.First(t + 1) - first);
        StripArgs<Read> strip{
            .from = from + (a.transposed ? k * a.stride + first : first * a.stride + k),
            .stride = a.stride,
            .lanes = height,
            .width = height,
            .depth = std::min(k_step, depth - k),
            .alpha = alpha,
            .to = to + first * depth + k * height};
        if (a.transposed) {
          PackAlong(strip);
        } else {
          PackAcross(strip);
        }
      }
    }
  });
}

// k steps [k, k + depth) of panels [first, first + count) of b [K, N].
void PackSomePanels(const PackPanelsArgs& args, int64_t k, int64_t depth, int64_t first,
                    int64_t count) {
  alignas(64) float rows[64 * kPanel];  // bfloat16: k steps before two become one row
  const bool pairs = args.type == WeightType::kBF16;
  const size_t panel_bytes = PanelBytes(args.type, args.k);
  MatrixRef b = args.b;
  b.round_to_bf16 |= pairs;
  WithSource(b, [&]<class Read>(Read, const typename Read::T* from) PAWL_INLINE_LAMBDA {
    const int64_t k_step = pairs || !b.transposed ? 64 : depth, end = k + depth;
    for (; k < end; k += k_step) {
      const int64_t steps = std::min(k_step, end - k);
      for (int64_t p = first; p < first + count; ++p) {
        std::byte* panel = args.panels + p * panel_bytes + k / StepsPerRow(args.type) * 64;
        const int64_t column = p * kPanel;
        const StripArgs<Read> strip{
            .from = from + (b.transposed ? column * b.stride + k : k * b.stride + column),
            .stride = b.stride,
            .lanes = static_cast<int>(std::min<int64_t>(kPanel, args.n - column)),
            .width = kPanel,
            .depth = steps,
            .alpha = 1,
            .to = pairs ? rows : reinterpret_cast<float*>(panel)};
        if (b.transposed) {
          PackAcross(strip);
        } else {
          PackAlong(strip);
        }
        if (pairs) {
          if (steps % 2 == 1) std::fill_n(rows + steps * kPanel, kPanel, 0.0f);
          const hn::RebindToUnsigned<Tag> du;
          auto* to = reinterpret_cast<uint32_t*>(panel);
          for (int64_t i = 0; i < (steps + 1) / 2 * kPanel; i += kLanes) {
            const float* even = rows + i / kPanel * 2 * kPanel + i % kPanel;
            const auto low = hn::BitCast(du, hn::Load(kTag, even));
            const auto high = hn::BitCast(du, hn::Load(kTag, even + kPanel));
            hn::Store(hn::Or(hn::ShiftRight<16>(low), high), du, to + i);
          }
        }
      }
    }
  });
}

// K block [k, k + depth) of panels [panel, panel + panels), rows packed into `a`; c: the panels'
// first column.
HWY_INLINE void SweepBlock(const PanelProductArgs& args, const RowTiles& tiles, const float* a,
                           int64_t k, int64_t depth, int64_t panel, int64_t panels, float* c) {
  const int64_t column = panel * kPanel;
  const SweepArgs sweep{
      .tiles = tiles,
      .a = a,
      .b = args.panels + panel * args.panel_bytes + k / StepsPerRow(args.type) * kPanelRowBytes,
      .b_panel = args.panel_bytes,
      .depth = depth,
      .c = c,
      .c_stride = args.c_stride,
      .columns = std::min(panels * kPanel, args.n - column),
      .bias = args.bias ? args.bias + column : nullptr,
      .load = args.accumulate || k > 0};
  if (args.type == WeightType::kBF16) {
    Sweep<BF16Panel>(sweep);
  } else {
    Sweep<F32Panel>(sweep);
  }
}

// Rows [row, row + rows) and panels [panel, panel + panels) of a product, in blocks of K.
void ProductItem(const PanelProductArgs& args, int64_t row, int64_t rows, int64_t panel,
                 int64_t panels, int64_t k_block, float* scratch) {
  const RowTiles tiles = TilesOf(rows);
  float* c = args.c + row * args.c_stride + panel * kPanel;
  for (int64_t k = 0; k == 0 || k < args.k; k += k_block) {
    const int64_t depth = std::min(k_block, args.k - k);
    PackRows(Advance(args.a, row, k), tiles, depth, args.alpha, scratch);
    SweepBlock(args, tiles, scratch, k, depth, panel, panels, c);
  }
}

// All rows are packed first, K block after K block, then swept strip by strip.
void StripItem(const PanelProductArgs& args, int64_t strip_panels, int64_t k_block, float* scratch,
               const UseStrip& use) {
  const RowTiles tiles = TilesOf(args.m);
  for (int64_t k = 0; k < args.k; k += k_block) {
    PackRows(Advance(args.a, 0, k), tiles, std::min(k_block, args.k - k), args.alpha,
             scratch + k * args.m);
  }
  for (int64_t panel = 0; panel * kPanel < args.n; panel += strip_panels) {
    for (int64_t k = 0; k == 0 || k < args.k; k += k_block) {
      SweepBlock(args, tiles, scratch + k * args.m, k, std::min(k_block, args.k - k), panel,
                 strip_panels, args.c);
    }
    const int64_t column = panel * kPanel;
    use(column, std::min<int64_t>(strip_panels * kPanel, args.n - column));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(PackSomePanels);
HWY_EXPORT(ProductItem);
HWY_EXPORT(StripItem);
namespace {
constexpr int64_t kMaxKBlock = 512;
constexpr int64_t kItemsOfThread = 3, kLeastPanels = 32;
// Up to this many rows the weights are read once, as streams as long as possible: no K blocks.
constexpr int64_t kStreamedRows = 15;
// Below this many multiply-adds waking other threads costs more than they bring.
constexpr int64_t kWorthThreads = 1 << 17;

int64_t Ceil(int64_t a, int64_t b) { return (a + b - 1) / b; }

// `total` in the fewest parts of at most `most`, all but the last equal, of a multiple of `unit`.
int64_t PartSize(int64_t total, int64_t most, int64_t unit) {
  if (total <= most) return std::max<int64_t>(total, 1);
  const int64_t part = Ceil(total, Ceil(total, most));
  return std::min(Ceil(part, unit) * unit, most);
}

// How a product is cut: items of `rows` rows and `panels` panels.
struct Cut {
  int64_t rows, panels;
};
Cut CutProduct(int64_t rows, int64_t panels, int threads) {
  if (threads == 1) return {Ceil(rows, Ceil(rows, kItemRows)), panels};
  // few rows: as many items as keep every thread reading long streams
  if (rows <= kStreamedRows) {
    const int64_t part = Ceil(panels, int64_t{threads} * 4);
    return {rows, Ceil(std::clamp<int64_t>(part, std::min<int64_t>(panels, 4), panels), 4) * 4};
  }
  // Row blocks of nearly equal height, as many as the threads can share evenly; of each, some
  // panels, so that a thread that was held up does not keep the others waiting for long, but not
  // too few: every item packs its rows anew.
  int64_t blocks = Ceil(rows, kItemRows);
  if (blocks > 1) blocks = Ceil(blocks, threads) * threads;
  const int64_t parts = std::min(Ceil(int64_t{threads} * kItemsOfThread, blocks),
                                 std::max(Ceil(threads, blocks), panels / kLeastPanels));
  return {Ceil(rows, blocks), Ceil(panels, parts)};
}
}  // namespace

MatrixRef Advance(const MatrixRef& matrix, int64_t row, int64_t column) {
  const int64_t offset =
      matrix.transposed ? column * matrix.stride + row : row * matrix.stride + column;
  MatrixRef part = matrix;
  if (part.f32) part.f32 += offset;
  if (part.bf16) part.bf16 += offset;
  return part;
}

void PackPanels(const PackPanelsArgs& args, Team& team) {
  const int64_t panels = NumPanels(args.n);
  // a few panels side by side, so that rows that lie far apart are read in long pieces
  const bool small = args.k * args.n < kWorthThreads / 4;
  const int64_t group = small ? panels : 8, k_chunk = small ? std::max<int64_t>(args.k, 1) : 512;
  const int64_t k_chunks = Ceil(args.k, k_chunk);
  team.Run(Ceil(panels, group) * k_chunks, [&](int64_t item) {
    const int64_t first = item / k_chunks * group, k = item % k_chunks * k_chunk;
    HWY_DYNAMIC_DISPATCH(PackSomePanels)
    (args, k, std::min(k_chunk, args.k - k), first, std::min(group, panels - first));
  });
}

void PanelProduct(const PanelProductArgs& args, Team& team) {
  if (args.m == 0 || args.n == 0) return;
  const int64_t panels = NumPanels(args.n);
  const int64_t k_block =
      args.m <= kStreamedRows ? std::max<int64_t>(args.k, 1) : PartSize(args.k, kMaxKBlock, 4);
  const bool alone = team.size() == 1 || args.m * args.n * args.k < kWorthThreads;
  const Cut cut = CutProduct(args.m, panels, alone ? 1 : team.size());
  const int64_t row_blocks = Ceil(args.m, cut.rows), parts = Ceil(panels, cut.panels);
  // items that follow each other share their panels
  team.Run(parts * row_blocks, [&](int64_t item, int worker) {
    const int64_t row = item % row_blocks * cut.rows, panel = item / row_blocks * cut.panels;
    const int64_t rows = std::min(cut.rows, args.m - row);
    float* scratch = team.Scratch(worker, rows * std::min(k_block, args.k) + 4);
    HWY_DYNAMIC_DISPATCH(ProductItem)
    (args, row, rows, panel, std::min(cut.panels, panels - panel), k_block, scratch);
  });
}

void ProductInStrips(const PanelProductArgs& args, int64_t strip_panels, float* scratch,
                     const UseStrip& use) {
  if (args.m == 0 || args.n == 0) return;
  HWY_DYNAMIC_DISPATCH(StripItem)
  (args, strip_panels, PartSize(args.k, kMaxKBlock, 4), scratch, use);
}

}  // namespace pawl::kernels
#endif
