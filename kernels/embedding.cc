#include "kernels/embedding.h"

#include "kernels/row_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/embedding.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// Columns from `at` (row * stride + column) on of a table of either type.
template <class Part>
HWY_INLINE Vec LoadTable(const MatrixRef& table, int64_t at, Part part) {
  return table.bf16 ? LoadPart(table.bf16 + at, part) : LoadPart(table.f32 + at, part);
}

void EmbedRows(const EmbeddingArgs& args, int64_t first, int64_t last) {
  const bool learned_positions = args.position_table.f32 || args.position_table.bf16;
  for (int64_t r = first; r < last; ++r) {
    const int64_t row = args.ids[r] * args.table.stride;
    const int64_t position = learned_positions ? args.positions[r] * args.position_table.stride : 0;
    float* const y = args.y + r * args.y_stride;
    ForColumns(args.width, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
      Vec v = hn::Mul(LoadTable(args.table, row + i, part), Constant(args.scale));
      if (learned_positions) v = hn::Add(v, LoadTable(args.position_table, position + i, part));
      StorePart(v, y + i, part);
    });
  }
}

void ScatterColumns(std::span<const int32_t> ids, const float* dy, int64_t dy_stride, int64_t width,
                    float scale, int64_t first, int64_t last, float* dtable) {
  for (int64_t r = 0; r < std::ssize(ids); ++r) {
    const float* const from = dy + r * dy_stride + first;
    float* const to = dtable + ids[r] * width + first;
    ForColumns(last - first, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
      const Vec v = hn::Mul(LoadPart(from + i, part), Constant(scale));
      StorePart(hn::Add(LoadPart(to + i, part), v), to + i, part);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(EmbedRows);
HWY_EXPORT(ScatterColumns);

void Embedding(const EmbeddingArgs& args, Team& team) {
  ForRowBlocks(team, std::ssize(args.ids), args.width, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(EmbedRows)(args, first, last);
  });
}

void EmbeddingBackward(std::span<const int32_t> ids, const float* dy, int64_t dy_stride,
                       int64_t width, float scale, float* dtable, Team& team) {
  ForColumnParts(team, width, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(ScatterColumns)(ids, dy, dy_stride, width, scale, first, last, dtable);
  });
}

}  // namespace pawl::kernels
#endif
