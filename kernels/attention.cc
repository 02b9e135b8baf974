#include "kernels/attention.h"

#include <algorithm>
#include <utility>

#include "kernels/attention_item.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// Rows whose softmax goes together: a few tiles, so that their scores stay in the first cache.
constexpr int kStripRows = 12;
constexpr float kLowest = std::numeric_limits<float>::lowest();

// Scratch of one item.
struct ForwardScratch {
  float* q;       // [rows, Dp] times scale * log2(e)
  float* acc;     // [rows, Dp]
  float* kt;      // 4 panels [d][16]
  float* v;       // [64, Dp]
  float* scores;  // [kStripRows, 64]
  float* top;     // [rows] running maximum of the scores, in powers of 2
  float* sum;     // [rows] running sum of 2^(score - top)
};

// The block's scores to weights 2^(score - top), over each row's own keys; moves the running maxima
// and sums on. factor [rows]: what the accumulators are scaled by.
HWY_INLINE void Softmax(const Range* keys, int rows, float* scores, float* top, float* sum,
                        float* factor) {
  HWY_ALIGN float next[kPanel] = {};
  for (int r = 0; r < rows; ++r) {
    const float* s = scores + r * kKeyBlock;
    const Range range = keys[r];
    Vec most = Constant(kLowest);
    if (range.begin == 0 && range.end == kKeyBlock) {
      Each<kKeyBlock / kLanes>(
          [&](auto j) PAWL_INLINE_LAMBDA { most = hn::Max(most, hn::Load(kTag, s + j * kLanes)); });
    } else {
      for (int c = range.begin / kLanes * kLanes; c < range.end; c += kLanes) {
        const Vec x = hn::Load(kTag, s + c);
        most = hn::Max(most, hn::IfThenElse(InRange(range, c), x, Constant(kLowest)));
      }
    }
    next[r] = std::max(top[r], hn::GetLane(hn::MaxOfLanes(kTag, most)));
  }
  for (int r = 0; r < rows; r += kLanes) {
    hn::StoreU(Exp2(hn::Sub(hn::LoadU(kTag, top + r), hn::Load(kTag, next + r))), kTag, factor + r);
  }
  for (int r = 0; r < rows; ++r) {
    float* s = scores + r * kKeyBlock;
    const Range range = keys[r];
    const Vec most = Constant(next[r]);
    // lane l adds keys l, l + 16, ... of the block; a hidden key is a 0, so the order is the same
    // whatever the row sees of the block
    Vec part[kVectors];
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA { part[j] = hn::Zero(kTag); });
    if (range.begin == 0 && range.end == kKeyBlock) {
      Each<kKeyBlock / kLanes>([&](auto j) PAWL_INLINE_LAMBDA {
        const Vec p = Exp2(hn::Sub(hn::Load(kTag, s + j * kLanes), most));
        hn::Store(p, kTag, s + j * kLanes);
        part[j % kVectors] = hn::Add(part[j % kVectors], p);
      });
    } else {
      for (int c = range.begin / kPanel * kPanel; c < range.end; c += kPanel) {
        Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
          float* at = s + c + j * kLanes;
          const Vec p = Exp2(hn::Sub(hn::Load(kTag, at), most));
          hn::Store(p, kTag, at);
          part[j] = hn::Add(part[j], hn::IfThenElseZero(InRange(range, c + j * kLanes), p));
        });
      }
    }
    top[r] = next[r];
    sum[r] = sum[r] * factor[r] + SumLanes(part);
  }
}

// out = acc / sum; log_sum in natural units.
HWY_INLINE void WriteOut(const AttentionForwardArgs& args, const AttentionItem& item,
                         const ForwardScratch& scratch) {
  const int d = static_cast<int>(args.shape.head_dim), width = RoundUpToPanel(d);
  for (int r = 0; r < item.rows; ++r) {
    const auto [row, head] = PlaceOf(args.shape, item, r);
    const Vec sum = Constant(scratch.sum[r]);
    float* acc = scratch.acc + r * width;
    for (int i = 0; i < width; i += kLanes) {
      hn::Store(hn::Div(hn::Load(kTag, acc + i), sum), kTag, acc + i);
    }
    WriteRow(acc, d, 1, args.out + row * args.out_stride + head * d);
  }
  if (args.log_sum == nullptr) return;
  constexpr float kLn2 = 0.693147181f;
  for (int r = 0; r < item.rows; r += kLanes) {
    const Vec log = Log(hn::Load(kTag, scratch.sum + r));
    hn::Store(hn::MulAdd(hn::Load(kTag, scratch.top + r), Constant(kLn2), log), kTag,
              scratch.sum + r);
  }
  for (int r = 0; r < item.rows; ++r) {
    const auto [row, head] = PlaceOf(args.shape, item, r);
    args.log_sum[row * args.shape.heads + head] = scratch.sum[r];
  }
}

// One strip of rows against one block of keys; v: key k of the block at v + k * v_stride.
HWY_INLINE void StripOnBlock(const Range* keys, int row, int rows, int d, const float* v,
                             size_t v_stride, const ForwardScratch& scratch) {
  const int width = RoundUpToPanel(d);
  HWY_ALIGN float factor[kPanel];
  Scores(keys, rows, scratch.q + row * width, width, scratch.kt, d, scratch.scores);
  Softmax(keys, rows, scratch.scores, scratch.top + row, scratch.sum + row, factor);
  RangedProduct<Left::kRows, Start::kScaled>(keys, rows, width / kPanel,
                                             {.a = scratch.scores,
                                              .a_stride = kKeyBlock,
                                              .b = v,
                                              .b_stride = v_stride,
                                              .c = scratch.acc + row * width,
                                              .c_stride = static_cast<size_t>(width),
                                              .factor = factor});
}

// Takes an item's scratch out of the worker's.
HWY_INLINE ForwardScratch Carve(int d, int rows, int worker, Team& team) {
  const size_t matrix = static_cast<size_t>(rows) * RoundUpToPanel(d);
  const size_t block = static_cast<size_t>(kKeyBlock) * RoundUpToPanel(d);
  const size_t vector = RoundUpToPanel(rows) + kPanel;
  float* memory =
      team.Scratch(worker, 2 * matrix + 2 * block + kStripRows * kKeyBlock + 2 * vector);
  auto take = [&](size_t count) { return std::exchange(memory, memory + count); };
  return {.q = take(matrix),
          .acc = take(matrix),
          .kt = take(block),
          .v = take(block),
          .scores = take(kStripRows * kKeyBlock),
          .top = take(vector),
          .sum = take(vector)};
}

// Reads the item's queries and starts its running values.
HWY_INLINE void StartRows(const AttentionForwardArgs& args, const AttentionItem& item,
                          const ForwardScratch& scratch) {
  const int d = static_cast<int>(args.shape.head_dim), width = RoundUpToPanel(d);
  constexpr float kLog2E = 1.44269504f;
  for (int r = 0; r < item.rows; ++r) {
    const auto [row, head] = PlaceOf(args.shape, item, r);
    CopyRow(args.q + row * args.q_stride + head * d, d, args.shape.scale * kLog2E,
            scratch.q + r * width);
  }
  std::fill_n(scratch.acc, item.rows * width, 0.0f);
  std::fill_n(scratch.top, item.rows + kPanel, kLowest);  // and padding, which is computed with
  std::fill_n(scratch.sum, item.rows + kPanel, 0.0f);
}

void ForwardRows(const AttentionForwardArgs& args, const AttentionItem& item, int worker,
                 Team& team) {
  const int rows = static_cast<int>(item.rows);
  const AttentionShape& shape = args.shape;
  const AttentionSequence& sequence = *item.sequence;
  const int d = static_cast<int>(shape.head_dim), width = RoundUpToPanel(d);
  const int64_t group = shape.heads / shape.kv_heads;
  const ForwardScratch scratch = Carve(d, rows, worker, team);
  StartRows(args, item, scratch);
  const int64_t first_position = sequence.first_position + item.first_row / group;
  const int64_t end_key = sequence.first_position + (item.first_row + item.rows - 1) / group + 1;
  const int64_t first_key =
      shape.window > 0 ? std::max<int64_t>(first_position - shape.window + 1, 0) : 0;
  // few rows do not pay for a copy of V
  const bool pack_v = d % kPanel != 0 || item.rows > kStripRows;
  for (int64_t start = first_key / kKeyBlock * kKeyBlock; start < end_key; start += kKeyBlock) {
    const Range block = {static_cast<int>(std::max(first_key - start, int64_t{0})),
                         static_cast<int>(std::min(end_key - start, kKeyBlock))};
    const int64_t offset = start * args.kv_stride + item.kv_head * d;
    const float* v = sequence.v + offset;
    PackTransposed(sequence.k + offset, args.kv_stride, block, d, scratch.kt);
    if (pack_v) PackRows(v, args.kv_stride, block, d, scratch.v);
    for (int row = 0; row < rows; row += kStripRows) {
      const int count = std::min(kStripRows, rows - row);
      Range keys[kStripRows];
      int end = 0;
      for (int r = 0; r < count; ++r) {
        const int64_t position = sequence.first_position + (item.first_row + row + r) / group;
        keys[r] = VisibleKeys(position, shape.window, start);
        end = std::max(end, keys[r].end);
      }
      if (end == 0) continue;
      StripOnBlock(keys, row, count, d, pack_v ? scratch.v : v, pack_v ? width : args.kv_stride,
                   scratch);
    }
  }
  WriteOut(args, item, scratch);
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(ForwardRows);
constexpr int64_t kItemRows = 96;  // enough to pay for packing K and V

void AttentionForward(const AttentionForwardArgs& args, Team& team) {
  CheckAttention(args);
  const int64_t group = args.shape.heads / args.shape.kv_heads;
  int64_t longest = 0, chunks = 0;
  for (const AttentionSequence& sequence : args.sequences) {
    longest = std::max(longest, sequence.queries * group);
  }
  chunks = (longest + kItemRows - 1) / kItemRows;
  // later chunks see more keys: they go first, so that the last items are short
  const int64_t pairs = static_cast<int64_t>(args.sequences.size()) * args.shape.kv_heads;
  team.Run(chunks * pairs, [&](int64_t i, int worker) {
    const AttentionSequence& sequence = args.sequences[i % pairs / args.shape.kv_heads];
    const int64_t first_row = (chunks - 1 - i / pairs) * kItemRows;
    const int64_t left = sequence.queries * group - first_row;
    if (left <= 0) return;
    const AttentionItem item = {.sequence = &sequence,
                                .kv_head = i % args.shape.kv_heads,
                                .first_row = first_row,
                                .rows = std::min(left, kItemRows)};
    HWY_DYNAMIC_DISPATCH(ForwardRows)(args, item, worker, team);
  });
}

}  // namespace pawl::kernels
#endif
