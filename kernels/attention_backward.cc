#include <algorithm>
#include <utility>

#include "kernels/attention.h"
#include "kernels/attention_item.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_backward.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;
// Rows that go against a block of keys at once: full tiles, and a depth worth the tiles' loads.
constexpr int kChunkRows = 60;

// Scratch of one item; rows as in AttentionItem, those of the whole sequence.
struct BackwardScratch {
  float* q;        // [R, Dp] times scale * log2(e)
  float* dout;     // [R, Dp]
  float* dq;       // [R, Dp]
  float* log_sum;  // [R] in powers of 2
  float* delta;    // [R] dout . out
  float* kt;       // 4 panels [d][16]
  float* vt;       // 4 panels [d][16]
  float* k;        // [64, Dp]
  float* dk;       // [64, Dp]
  float* dv;       // [64, Dp]
  float* p;        // [kChunkRows, 64]
  float* ds;       // [kChunkRows, 64]
};

HWY_INLINE BackwardScratch Carve(int d, int64_t rows, int worker, Team& team) {
  const size_t matrix = static_cast<size_t>(rows) * RoundUpToPanel(d);
  const size_t block = static_cast<size_t>(kKeyBlock) * RoundUpToPanel(d);
  const size_t vector = (rows + kPanel - 1) / kPanel * kPanel;
  const size_t weights = kChunkRows * kKeyBlock;
  float* memory = team.Scratch(worker, 3 * matrix + 2 * vector + 5 * block + 2 * weights);
  auto take = [&](size_t count) { return std::exchange(memory, memory + count); };
  return {.q = take(matrix),
          .dout = take(matrix),
          .dq = take(matrix),
          .log_sum = take(vector),
          .delta = take(vector),
          .kt = take(block),
          .vt = take(block),
          .k = take(block),
          .dk = take(block),
          .dv = take(block),
          .p = take(weights),
          .ds = take(weights)};
}

// x . y, lane l adding elements l, l + 16, ...
HWY_INLINE float Dot(const float* x, const float* y, int d) {
  Vec part[kVectors];
  Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA { part[j] = hn::Zero(kTag); });
  int i = 0;
  for (; i + kPanel <= d; i += kPanel) {
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
      const int at = i + j * kLanes;
      part[j] = hn::MulAdd(hn::LoadU(kTag, x + at), hn::LoadU(kTag, y + at), part[j]);
    });
  }
  if (i < d) {
    HWY_ALIGN float rest[2][kPanel] = {};
    std::copy_n(x + i, d - i, rest[0]);
    std::copy_n(y + i, d - i, rest[1]);
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
      part[j] = hn::MulAdd(hn::Load(kTag, rest[0] + j * kLanes),
                           hn::Load(kTag, rest[1] + j * kLanes), part[j]);
    });
  }
  return SumLanes(part);
}

// Reads the item's rows.
HWY_INLINE void StartRows(const AttentionBackwardArgs& args, const AttentionItem& item,
                          const BackwardScratch& scratch) {
  const AttentionForwardArgs& forward = args.forward;
  const int d = static_cast<int>(forward.shape.head_dim), width = RoundUpToPanel(d);
  RowWalk walk(forward.shape, item);
  for (int64_t r = 0; r < item.rows; ++r, walk.Next()) {
    const int64_t row = walk.row(), head = walk.head();
    const float* dout = args.dout + row * args.dout_stride + head * d;
    CopyRow(forward.q + row * forward.q_stride + head * d, d, forward.shape.scale * kLog2E,
            scratch.q + r * width);
    CopyRow(dout, d, 1, scratch.dout + r * width);
    scratch.log_sum[r] = forward.log_sum[row * forward.shape.heads + head] * kLog2E;
    scratch.delta[r] = Dot(dout, forward.out + row * forward.out_stride + head * d, d);
  }
  std::fill_n(scratch.dq, item.rows * width, 0.0f);
}

// Scores to weights p = 2^(score - log_sum), and dp to p * (dp - delta), for the panels that hold
// a row's keys; what stands beside them is never read.
HWY_INLINE void Weights(const Range* keys, int rows, const float* log_sum, const float* delta,
                        float* p, float* ds) {
  for (int r = 0; r < rows; ++r, p += kKeyBlock, ds += kKeyBlock) {
    const Vec log = Constant(log_sum[r]), shift = Constant(delta[r]);
    for (int c = keys[r].begin / kPanel * kPanel; c < keys[r].end; c += kPanel) {
      Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
        const int at = c + j * kLanes;
        const Vec weight = Exp2(hn::Sub(hn::Load(kTag, p + at), log));
        hn::Store(weight, kTag, p + at);
        hn::Store(hn::Mul(weight, hn::Sub(hn::Load(kTag, ds + at), shift)), kTag, ds + at);
      });
    }
  }
}

// Rows [row, row + rows) against the block's keys (visible: as each row sees them). seen: by which
// of these rows each of the block's `count` keys is seen.
HWY_INLINE void ChunkOnBlock(const Range* visible, const Range* seen, int count, int64_t row,
                             int rows, int d, const BackwardScratch& scratch) {
  const size_t width = RoundUpToPanel(d);
  const int panels = static_cast<int>(width) / kPanel;
  const float* q = scratch.q + row * width;
  const float* dout = scratch.dout + row * width;
  Scores(visible, rows, q, width, scratch.kt, d, scratch.p);
  Scores(visible, rows, dout, width, scratch.vt, d, scratch.ds);
  Weights(visible, rows, scratch.log_sum + row, scratch.delta + row, scratch.p, scratch.ds);
  auto of_keys = [&](const float* weights, const float* x, float* to) PAWL_INLINE_LAMBDA {
    RangedProduct<Left::kColumns, Start::kStored>(seen, count, panels,
                                                  {.a = weights,
                                                   .a_stride = kKeyBlock,
                                                   .b = x,
                                                   .b_stride = width,
                                                   .c = to,
                                                   .c_stride = width});
  };
  of_keys(scratch.p, dout, scratch.dv);
  of_keys(scratch.ds, q, scratch.dk);
  RangedProduct<Left::kRows, Start::kStored>(visible, rows, panels,
                                             {.a = scratch.ds,
                                              .a_stride = kKeyBlock,
                                              .b = scratch.k,
                                              .b_stride = width,
                                              .c = scratch.dq + row * width,
                                              .c_stride = width});
}

// The block's keys against all rows that see them; writes their dk and dv.
HWY_INLINE void BackwardBlock(const AttentionBackwardArgs& args, const AttentionItem& item,
                              int64_t start, const BackwardScratch& scratch) {
  const AttentionForwardArgs& forward = args.forward;
  const AttentionShape& shape = forward.shape;
  const AttentionSequence& sequence = *item.sequence;
  const int d = static_cast<int>(shape.head_dim), width = RoundUpToPanel(d);
  const int64_t group = shape.heads / shape.kv_heads;
  const int count = static_cast<int>(std::min(sequence.queries - start, kKeyBlock));
  const int64_t offset = start * forward.kv_stride + item.kv_head * d;
  PackTransposed(sequence.k + offset, forward.kv_stride, {0, count}, d, scratch.kt);
  PackTransposed(sequence.v + offset, forward.kv_stride, {0, count}, d, scratch.vt);
  PackRows(sequence.k + offset, forward.kv_stride, {0, count}, d, scratch.k);
  std::fill_n(scratch.dk, count * width, 0.0f);
  std::fill_n(scratch.dv, count * width, 0.0f);
  const int64_t window = shape.window > 0 ? shape.window : sequence.queries;
  const int64_t end = std::min(item.rows, (start + count - 1 + window) * group);
  for (int64_t row = start * group; row < end; row += kChunkRows) {
    const int rows = static_cast<int>(std::min<int64_t>(end - row, kChunkRows));
    Range visible[kChunkRows], seen[kKeyBlock];
    RowWalk walk(shape, {&sequence, item.kv_head, row, rows});
    for (int r = 0; r < rows; ++r, walk.Next()) {
      visible[r] = VisibleKeys(walk.query(), shape.window, start);
    }
    for (int k = 0; k < count; ++k) {
      const int64_t position = start + k;
      auto local = [&](int64_t r) {
        return static_cast<int>(std::clamp<int64_t>(r - row, 0, rows));
      };
      seen[k] = {local(position * group), local((position + window) * group)};
    }
    ChunkOnBlock(visible, seen, count, row, rows, d, scratch);
  }
  for (int k = 0; k < count; ++k) {
    const int64_t to = (sequence.row + start + k) * args.dkv_stride + item.kv_head * d;
    // q carries log2(e)
    WriteRow(scratch.dk + k * width, d, kLn2, args.dk + to);
    WriteRow(scratch.dv + k * width, d, 1, args.dv + to);
  }
}

void BackwardItem(const AttentionBackwardArgs& args, const AttentionItem& item, int worker,
                  Team& team) {
  const AttentionShape& shape = args.forward.shape;
  const int d = static_cast<int>(shape.head_dim), width = RoundUpToPanel(d);
  const BackwardScratch scratch = Carve(d, item.rows, worker, team);
  StartRows(args, item, scratch);
  for (int64_t start = 0; start < item.sequence->queries; start += kKeyBlock) {
    BackwardBlock(args, item, start, scratch);
  }
  RowWalk walk(shape, item);
  for (int64_t r = 0; r < item.rows; ++r, walk.Next()) {
    WriteRow(scratch.dq + r * width, d, shape.scale,
             args.dq + walk.row() * args.dq_stride + walk.head() * d);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(BackwardItem);

void AttentionBackward(const AttentionBackwardArgs& args, Team& team) {
  const AttentionForwardArgs& forward = args.forward;
  const AttentionShape& shape = forward.shape;
  CheckAttention(forward);
  PAWL_CHECK(forward.log_sum != nullptr, "attention's backward pass needs log_sum");
  const int64_t q_width = shape.heads * shape.head_dim, kv_width = shape.kv_heads * shape.head_dim;
  PAWL_CHECK(
      args.dout_stride >= q_width && args.dq_stride >= q_width && args.dkv_stride >= kv_width,
      "a row stride is below the row's width: dout {}, dq {} of {}, dkv {} of {}", args.dout_stride,
      args.dq_stride, q_width, args.dkv_stride, kv_width);
  for (const AttentionSequence& sequence : forward.sequences) {
    PAWL_CHECK_EQ(sequence.first_position, 0, "attention's backward pass is of whole sequences");
  }
  const int64_t group = shape.heads / shape.kv_heads;
  const int64_t items = static_cast<int64_t>(forward.sequences.size()) * shape.kv_heads;
  team.Run(items, [&](int64_t i, int worker) {
    const AttentionSequence& sequence = forward.sequences[i / shape.kv_heads];
    const AttentionItem item = {.sequence = &sequence,
                                .kv_head = i % shape.kv_heads,
                                .first_row = 0,
                                .rows = sequence.queries * group};
    HWY_DYNAMIC_DISPATCH(BackwardItem)(args, item, worker, team);
  });
}

}  // namespace pawl::kernels
#endif
