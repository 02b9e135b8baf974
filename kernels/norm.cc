#include "kernels/norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/row_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// normalised = (x - mean) * inverse; RMSNorm has no mean.
struct Statistics {
  float mean = 0, inverse = 0;
};

template <bool kCentered>
HWY_INLINE Vec Center(Vec x, float mean) {
  if constexpr (kCentered) return hn::Sub(x, Constant(mean));
  return x;
}
template <bool kCentered>
HWY_INLINE Vec Normalise(Vec x, const Statistics& row) {
  return hn::Mul(Center<kCentered>(x, row.mean), Constant(row.inverse));
}
// The factor of columns from i on.
template <class Part>
HWY_INLINE Vec Factor(const NormArgs& args, int64_t i, Part part) {
  return hn::Add(LoadPart(args.weight + i, part), Constant(args.weight_offset));
}

template <bool kCentered>
HWY_INLINE Statistics RowStatistics(const NormArgs& args, const float* x) {
  const float width = static_cast<float>(args.width);
  Statistics row;
  if constexpr (kCentered) {
    row.mean =
        RowSum(args.width, [&](int64_t i, auto part, Vec sum)
                               PAWL_INLINE_LAMBDA { return hn::Add(LoadPart(x + i, part), sum); }) /
        width;
  }
  const float squares = RowSum(args.width, [&](int64_t i, auto part, Vec sum) PAWL_INLINE_LAMBDA {
    const Vec v = Keep(Center<kCentered>(LoadPart(x + i, part), row.mean), part);
    return hn::MulAdd(v, v, sum);
  });
  row.inverse = 1.0f / std::sqrt(squares / width + args.epsilon);
  return row;
}

template <bool kCentered>
HWY_INLINE void NormRows(const NormArgs& args, int64_t first, int64_t last, float* y,
                         int64_t y_stride) {
  for (int64_t r = first; r < last; ++r) {
    const float* const x = args.x + r * args.x_stride;
    float* const out = y + r * y_stride;
    const Statistics row = RowStatistics<kCentered>(args, x);
    ForColumns(args.width, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
      const Vec n = Normalise<kCentered>(LoadPart(x + i, part), row);
      const Vec factor = Factor(args, i, part);
      if (kCentered && args.bias) {
        StorePart(hn::MulAdd(n, factor, LoadPart(args.bias + i, part)), out + i, part);
      } else {
        StorePart(hn::Mul(n, factor), out + i, part);
      }
    });
  }
}
void RmsRows(const NormArgs& args, int64_t first, int64_t last, float* y, int64_t y_stride) {
  NormRows<false>(args, first, last, y, y_stride);
}
void LayerRows(const NormArgs& args, int64_t first, int64_t last, float* y, int64_t y_stride) {
  NormRows<true>(args, first, last, y, y_stride);
}

// Statistics of rows [first, last) of a chunk that starts at row `origin`.
void StatisticsOf(bool centered, const NormArgs& args, int64_t origin, int64_t first, int64_t last,
                  float* rows) {
  for (int64_t r = first; r < last; ++r) {
    const float* const x = args.x + (origin + r) * args.x_stride;
    const Statistics row = centered ? RowStatistics<true>(args, x) : RowStatistics<false>(args, x);
    rows[2 * r] = row.mean;
    rows[2 * r + 1] = row.inverse;
  }
}

// dx of rows [first, last): with n the normalised row and g = dy * factor,
//   dx = inverse (g - mean(g) - n mean(g n)), mean(g) only where the row is centred.
template <bool kCentered>
HWY_INLINE void DxRows(const NormGradArgs& args, int64_t origin, int64_t first, int64_t last,
                       const float* rows) {
  const NormArgs& forward = args.forward;
  const float width = static_cast<float>(forward.width);
  for (int64_t r = first; r < last; ++r) {
    const Statistics row{rows[2 * r], rows[2 * r + 1]};
    const float* const x = forward.x + (origin + r) * forward.x_stride;
    const float* const dy = args.dy + (origin + r) * args.dy_stride;
    float* const dx = args.dx + (origin + r) * args.dx_stride;
    auto gradient = [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
      return hn::Mul(LoadPart(dy + i, part), Factor(forward, i, part));
    };
    float mean = 0;
    if constexpr (kCentered) {
      mean = RowSum(forward.width,
                    [&](int64_t i, auto part, Vec sum)
                        PAWL_INLINE_LAMBDA { return hn::Add(gradient(i, part), sum); }) /
             width;
    }
    const float along =
        RowSum(forward.width,
               [&](int64_t i, auto part, Vec sum) PAWL_INLINE_LAMBDA {
                 return hn::MulAdd(gradient(i, part),
                                   Normalise<kCentered>(LoadPart(x + i, part), row), sum);
               }) /
        width;
    ForColumns(forward.width, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
      const Vec n = Normalise<kCentered>(LoadPart(x + i, part), row);
      Vec v = Center<kCentered>(gradient(i, part), mean);
      v = hn::Mul(hn::NegMulAdd(n, Constant(along), v), Constant(row.inverse));
      if (args.accumulate_dx) v = hn::Add(LoadPart(dx + i, part), v);
      StorePart(v, dx + i, part);
    });
  }
}
void DxOf(bool centered, const NormGradArgs& args, int64_t origin, int64_t first, int64_t last,
          const float* rows) {
  if (centered) return DxRows<true>(args, origin, first, last, rows);
  DxRows<false>(args, origin, first, last, rows);
}

// sum [width] += term(row, column, part) over rows ascending, for columns [first, last): a panel
// row of sums in registers walks down the rows.
template <class F>
HWY_INLINE void AddDown(int64_t rows, int64_t first, int64_t last, float* sum, F&& term) {
  int64_t i = first;
  for (; i + kPanel <= last; i += kPanel) {
    Vec v[kVectors];
    Each<kVectors>([&](auto j)
                       PAWL_INLINE_LAMBDA { v[j] = hn::LoadU(kTag, sum + i + j * kLanes); });
    for (int64_t r = 0; r < rows; ++r) {
      Each<kVectors>([&](auto j)
                         PAWL_INLINE_LAMBDA { v[j] = term(r, i + j * kLanes, Whole(), v[j]); });
    }
    Each<kVectors>([&](auto j)
                       PAWL_INLINE_LAMBDA { hn::StoreU(v[j], kTag, sum + i + j * kLanes); });
  }
  ForColumns(last - i, [&](int64_t at, auto part) PAWL_INLINE_LAMBDA {
    Vec v = LoadPart(sum + i + at, part);
    for (int64_t r = 0; r < rows; ++r) v = term(r, i + at, part, v);
    StorePart(v, sum + i + at, part);
  });
}

void ColumnSums(const float* dy, int64_t rows, int64_t first, int64_t last, int64_t stride,
                float* sum) {
  AddDown(rows, first, last, sum, [&](int64_t r, int64_t i, auto part, Vec v) PAWL_INLINE_LAMBDA {
    return hn::Add(v, LoadPart(dy + r * stride + i, part));
  });
}

// dweight of columns [first, last) from `count` rows that start at `origin`.
template <bool kCentered>
HWY_INLINE void DweightColumns(const NormGradArgs& args, int64_t origin, int64_t count,
                               int64_t first, int64_t last, const float* rows) {
  const NormArgs& forward = args.forward;
  const float* const x = forward.x + origin * forward.x_stride;
  const float* const dy = args.dy + origin * args.dy_stride;
  AddDown(count, first, last, args.dweight,
          [&](int64_t r, int64_t i, auto part, Vec v) PAWL_INLINE_LAMBDA {
            const Vec n = Normalise<kCentered>(LoadPart(x + r * forward.x_stride + i, part),
                                               {rows[2 * r], rows[2 * r + 1]});
            return hn::MulAdd(LoadPart(dy + r * args.dy_stride + i, part), n, v);
          });
}
void DweightOf(bool centered, const NormGradArgs& args, int64_t origin, int64_t count,
               int64_t first, int64_t last, const float* rows) {
  if (centered) return DweightColumns<true>(args, origin, count, first, last, rows);
  DweightColumns<false>(args, origin, count, first, last, rows);
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(RmsRows);
HWY_EXPORT(LayerRows);
HWY_EXPORT(StatisticsOf);
HWY_EXPORT(DxOf);
HWY_EXPORT(ColumnSums);
HWY_EXPORT(DweightOf);
namespace {

// The column sums read dy before dx may overwrite it. Chunks of rows stay in the cache between
// these passes; in parts or at once, the sums are the same bits.
void Backward(bool centered, const NormGradArgs& args, Team& team) {
  const int64_t width = args.forward.width;
  const int64_t chunk = std::clamp<int64_t>((1 << 17) / std::max<int64_t>(width, 1), 8, 1 << 14);
  float* const rows = team.Shared(2 * std::min(chunk, args.forward.rows));
  for (int64_t origin = 0; origin < args.forward.rows; origin += chunk) {
    const int64_t count = std::min(chunk, args.forward.rows - origin);
    ForRowBlocks(team, count, width, [&](int64_t first, int64_t last) {
      HWY_DYNAMIC_DISPATCH(StatisticsOf)(centered, args.forward, origin, first, last, rows);
    });
    if (args.dweight || args.dbias) {
      ForColumnParts(team, width, [&](int64_t first, int64_t last) {
        if (args.dweight) {
          HWY_DYNAMIC_DISPATCH(DweightOf)(centered, args, origin, count, first, last, rows);
        }
        if (args.dbias) {
          HWY_DYNAMIC_DISPATCH(ColumnSums)
          (args.dy + origin * args.dy_stride, count, first, last, args.dy_stride, args.dbias);
        }
      });
    }
    ForRowBlocks(team, count, width, [&](int64_t first, int64_t last) {
      HWY_DYNAMIC_DISPATCH(DxOf)(centered, args, origin, first, last, rows);
    });
  }
}
}  // namespace

void RmsNorm(const NormArgs& args, float* y, int64_t y_stride, Team& team) {
  ForRowBlocks(team, args.rows, args.width, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(RmsRows)(args, first, last, y, y_stride);
  });
}
void LayerNorm(const NormArgs& args, float* y, int64_t y_stride, Team& team) {
  ForRowBlocks(team, args.rows, args.width, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(LayerRows)(args, first, last, y, y_stride);
  });
}
void RmsNormBackward(const NormGradArgs& args, Team& team) { Backward(false, args, team); }
void LayerNormBackward(const NormGradArgs& args, Team& team) { Backward(true, args, team); }

void AddColumnSums(const float* dy, int64_t rows, int64_t width, int64_t stride, float* dbias,
                   Team& team) {
  ForColumnParts(team, width, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(ColumnSums)(dy, rows, first, last, stride, dbias);
  });
}

}  // namespace pawl::kernels
#endif
