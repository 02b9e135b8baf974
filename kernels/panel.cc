#include "kernels/panel.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/panel.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// Accumulators of a register tile: enough to hide the latency of a multiply-add, few enough to
// leave registers for the operands (AVX-512 has 32, the others 16 or more).
constexpr int kAccumulators = kVectors <= 2 ? 12 : 8;
// Rows of a tile `vectors` vectors wide.
constexpr int TileRows(int vectors) { return std::max(kAccumulators / vectors, 1); }
// Panels a tile of one or two rows takes at once, to have enough sums in flight.
constexpr int PanelsOfTile(int rows) { return std::clamp(8 / (rows * kVectors), 1, 4); }

// How a tile reads its left operand A(m, k).
enum class Left {
  kRows,     // A(m, k) = x panel k / 16, row m: activations of a forward pass
  kColumns,  // A(m, k) = x[k * 16 + m]: a panel read down its rows, for weight gradients
};

struct MlpTileArgs {
  const float* a;
  size_t a_panel;  // floats from one panel of A to the next
  int depth;
  const float* b;  // rows of 16
  size_t b_panel;
  float* c;  // rows of 16
  size_t c_panel;
  const float* bias;  // nullptr: none
  bool accumulate;    // start from c
};

// c[m][columns] (+)= sum over k of A(m, k) b[k][columns], for MR rows and NV vectors of P panels.
// Vectors NV and up of c's rows are written as zero.
template <int MR, int NV, int P, Left kLeft>
HWY_NOINLINE void MlpTile(const MlpTileArgs& args) {
  const float* HWY_RESTRICT a = args.a;
  const float* HWY_RESTRICT b = args.b;
  float* HWY_RESTRICT c = args.c;
  const size_t b_panel = args.b_panel, c_panel = args.c_panel;
  constexpr int kWide = NV * P;
  Vec sum[MR * kWide];
  // accumulator i: row i / kWide, panel i % kWide / NV, vector i % NV
  if (args.accumulate) {
    Each<MR * kWide>([&](auto i) PAWL_INLINE_LAMBDA {
      sum[i] = hn::Load(kTag, c + i / kWide * kPanel + i % kWide / NV * c_panel + i % NV * kLanes);
    });
  } else {
    Each<MR * kWide>([&](auto i) PAWL_INLINE_LAMBDA {
      sum[i] = args.bias ? hn::Load(kTag, args.bias + i % kWide / NV * kPanel + i % NV * kLanes)
                         : hn::Zero(kTag);
    });
  }
  auto step = [&](const float* x, const float* w) PAWL_INLINE_LAMBDA {
    Vec right[kWide];
    Each<kWide>([&](auto j) PAWL_INLINE_LAMBDA {
      right[j] = hn::Load(kTag, w + j / NV * b_panel + j % NV * kLanes);
    });
    Each<MR>([&](auto m) PAWL_INLINE_LAMBDA {
      const Vec left = hn::Set(kTag, x[kLeft == Left::kColumns ? static_cast<int>(m) : m * kPanel]);
      Each<kWide>([&](auto j) PAWL_INLINE_LAMBDA {
        sum[m * kWide + j] = hn::MulAdd(left, right[j], sum[m * kWide + j]);
      });
    });
  };
  if constexpr (kLeft == Left::kColumns) {
    for (int k = 0; k < args.depth; ++k) step(a + k * kPanel, b + k * kPanel);
  } else {
    for (int k = 0; k < args.depth; k += kPanel, a += args.a_panel, b += kPanel * kPanel) {
      if (args.depth - k >= kPanel) {
        for (int q = 0; q < kPanel; q += 4) {
          Each<4>([&](auto u) PAWL_INLINE_LAMBDA { step(a + q + u, b + (q + u) * kPanel); });
        }
      } else {
        for (int q = 0; q < args.depth - k; ++q) step(a + q, b + q * kPanel);
      }
    }
  }
  Each<MR * kWide>([&](auto i) PAWL_INLINE_LAMBDA {
    hn::Store(sum[i], kTag, c + i / kWide * kPanel + i % kWide / NV * c_panel + i % NV * kLanes);
  });
  Each<MR*(kVectors - NV)>([&](auto i) PAWL_INLINE_LAMBDA {
    constexpr int kRest = std::max(kVectors - NV, 1);
    hn::Store(hn::Zero(kTag), kTag, c + i / kRest * kPanel + (NV + i % kRest) * kLanes);
  });
}

template <int NV, Left kLeft, int MR = TileRows(NV)>
HWY_INLINE void MlpTileOfHeight(int height, const MlpTileArgs& args) {
  if constexpr (MR > 1) {
    if (height < MR) return MlpTileOfHeight<NV, kLeft, MR - 1>(height, args);
  }
  MlpTile<MR, NV, 1, kLeft>(args);
}

// One panel of c, `rows` rows, in tiles of nearly equal height; a_step: floats between rows of A.
// Only as many vectors are computed as hold wanted columns (a head of 6 needs one of AVX2's two).
template <Left kLeft, int NV = kVectors>
HWY_INLINE void OnePanel(int columns, int rows, size_t a_step, MlpTileArgs args) {
  if constexpr (NV > 1) {
    if (columns <= (NV - 1) * kLanes) return OnePanel<kLeft, NV - 1>(columns, rows, a_step, args);
  }
  int tiles = (rows + TileRows(NV) - 1) / TileRows(NV);
  for (int row = 0; row < rows; --tiles) {
    const int height = (rows - row + tiles - 1) / tiles;
    MlpTileOfHeight<NV, kLeft>(height, args);
    row += height;
    args.a += height * a_step;
    args.c += height * kPanel;
  }
}

// All panels of c [rows, out]. One or two rows alone would leave the multiply-add units idle: then
// several panels go at once.
template <Left kLeft>
HWY_INLINE void AllPanels(int rows, int out, size_t a_step, MlpTileArgs args) {
  int n = 0;
  auto skip = [&](int panels) PAWL_INLINE_LAMBDA {
    args.b += panels * args.b_panel;
    args.c += panels * args.c_panel;
    if (args.bias) args.bias += panels * kPanel;
    return panels * kPanel;
  };
  constexpr int kOfOne = PanelsOfTile(1), kOfTwo = PanelsOfTile(2);
  if (rows == 1) {
    for (; n + kOfOne * kPanel <= out; n += skip(kOfOne)) MlpTile<1, kVectors, kOfOne, kLeft>(args);
  } else if (rows == 2) {
    for (; n + kOfTwo * kPanel <= out; n += skip(kOfTwo)) MlpTile<2, kVectors, kOfTwo, kLeft>(args);
  }
  for (; n < out; n += skip(1)) OnePanel<kLeft>(out - n, rows, a_step, args);
}

void Gather(const float* from, const int32_t* index, int rows, int columns, float* panels) {
  for (int c = 0; c < columns; c += kPanel) {
    const int width = std::min(kPanel, columns - c);
    for (int row = 0; row < rows; ++row, panels += kPanel) {
      const float* source = from + size_t(index ? index[row] : row) * columns + c;
      if (width == kPanel) {
        Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
          hn::Store(hn::LoadU(kTag, source + j * kLanes), kTag, panels + j * kLanes);
        });
      } else {
        for (int i = 0; i < width; ++i) panels[i] = source[i];
        for (int i = width; i < kPanel; ++i) panels[i] = 0;
      }
    }
  }
}

void Dense(const float* x, int rows, int in, const float* w, const float* bias, int out, float* y) {
  AllPanels<Left::kRows>(rows, out, kPanel,
                         {.a = x,
                          .a_panel = size_t(rows) * kPanel,
                          .depth = in,
                          .b = w,
                          .b_panel = size_t(in) * kPanel,
                          .c = y,
                          .c_panel = size_t(rows) * kPanel,
                          .bias = bias,
                          .accumulate = false});
}

void WeightGrad(const float* x, int rows, int in, const float* dy, int out, float* dw, float* db,
                bool accumulate) {
  for (int k = 0; k < in; k += kPanel) {
    AllPanels<Left::kColumns>(std::min(kPanel, in - k), out, 1,
                              {.a = x + size_t(k) * rows,
                               .a_panel = 0,
                               .depth = rows,
                               .b = dy,
                               .b_panel = size_t(rows) * kPanel,
                               .c = dw + k * kPanel,
                               .c_panel = size_t(in) * kPanel,
                               .bias = nullptr,
                               .accumulate = accumulate});
  }
  for (int n = 0; n < out; n += kPanel) {
    const float* right = dy + size_t(n) * rows;
    Vec sum[kVectors];
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
      sum[j] = accumulate ? hn::Load(kTag, db + n + j * kLanes) : hn::Zero(kTag);
    });
    for (int row = 0; row < rows; ++row) {
      Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
        sum[j] = hn::Add(sum[j], hn::Load(kTag, right + row * kPanel + j * kLanes));
      });
    }
    Each<kVectors>([&](auto j)
                       PAWL_INLINE_LAMBDA { hn::Store(sum[j], kTag, db + n + j * kLanes); });
  }
}

// wt rows [n, n + columns) from row k on, up to the padding.
HWY_INLINE void TransposeRest(const float* w, int in, int out, int n, int columns, int k,
                              float* wt) {
  for (int column = n; column < n + columns; ++column) {
    for (int i = k; i < RoundUpToPanel(in); ++i) {
      wt[PanelAt(out, column, i)] = i < in ? w[PanelAt(in, i, column)] : 0.0f;
    }
  }
}

#if HWY_TARGET == HWY_SCALAR
void Transpose(const float* w, int in, int out, float* wt) {
  TransposeRest(w, in, out, 0, out, 0, wt);
}
#else
// 4x4 blocks in 128-bit vectors, which every other instruction set has.
void Transpose(const float* w, int in, int out, float* wt) {
  const hn::FixedTag<float, 4> d;
  const hn::Repartition<double, decltype(d)> d2;
  const int in_end = in / 4 * 4;
  for (int n = 0; n < out; n += 4) {
    const float* from = w + PanelAt(in, 0, n);
    // rows of wt past `out` do not exist: the last block may hold fewer
    const int columns = std::min(4, out - n);
    for (int k = 0; k < in_end; k += 4) {
      const float* block = from + k * kPanel;
      const auto r0 = hn::Load(d, block), r1 = hn::Load(d, block + kPanel);
      const auto r2 = hn::Load(d, block + 2 * kPanel), r3 = hn::Load(d, block + 3 * kPanel);
      const auto t0 = hn::BitCast(d2, hn::InterleaveLower(d, r0, r1));
      const auto t1 = hn::BitCast(d2, hn::InterleaveLower(d, r2, r3));
      const auto t2 = hn::BitCast(d2, hn::InterleaveUpper(d, r0, r1));
      const auto t3 = hn::BitCast(d2, hn::InterleaveUpper(d, r2, r3));
      float* to = wt + PanelAt(out, n, k);
      auto store = [&](int row, auto v) PAWL_INLINE_LAMBDA {
        if (row < columns) hn::Store(hn::BitCast(d, v), d, to + row * kPanel);
      };
      store(0, hn::InterleaveLower(d2, t0, t1));
      store(1, hn::InterleaveUpper(d2, t0, t1));
      store(2, hn::InterleaveLower(d2, t2, t3));
      store(3, hn::InterleaveUpper(d2, t2, t3));
    }
    TransposeRest(w, in, out, n, columns, in_end, wt);
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(Gather);
HWY_EXPORT(Dense);
HWY_EXPORT(WeightGrad);
HWY_EXPORT(Transpose);

void PanelGather(const float* from, const int32_t* index, int rows, int columns, float* panels) {
  HWY_DYNAMIC_DISPATCH(Gather)(from, index, rows, columns, panels);
}
void PanelDense(const float* x, int rows, int in, const float* w, const float* bias, int out,
                float* y) {
  HWY_DYNAMIC_DISPATCH(Dense)(x, rows, in, w, bias, out, y);
}
void PanelWeightGrad(const float* x, int rows, int in, const float* dy, int out, float* dw,
                     float* db, bool accumulate) {
  HWY_DYNAMIC_DISPATCH(WeightGrad)(x, rows, in, dy, out, dw, db, accumulate);
}
void PanelTranspose(const float* w, int in, int out, float* wt) {
  HWY_DYNAMIC_DISPATCH(Transpose)(w, in, out, wt);
}

}  // namespace pawl::kernels
#endif
