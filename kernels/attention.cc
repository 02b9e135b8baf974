#include "kernels/attention.h"

#include <hwy/cache_control.h>

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
  int64_t position[kAttentionItemRows];
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

// Reads the queries of a strip, `row` rows into the scratch, and asks memory for the next strip's.
HWY_INLINE void StartStrip(const AttentionForwardArgs& args, const AttentionItem& strip, int row,
                           const ForwardScratch& scratch) {
  const int d = static_cast<int>(args.shape.head_dim), width = RoundUpToPanel(d);
  constexpr float kLog2E = 1.44269504f;
  RowWalk walk(args.shape, strip);
  for (int64_t r = row; r < row + strip.rows; ++r, walk.Next()) {
    CopyRow(args.q + walk.row() * args.q_stride + walk.head() * d, d, args.shape.scale * kLog2E,
            scratch.q + r * width);
  }
  std::fill_n(scratch.acc + row * width, strip.rows * width, 0.0f);
  for (int64_t r = 0; r < strip.rows; ++r, walk.Next()) {
    const float* next = args.q + walk.row() * args.q_stride + walk.head() * d;
    for (int i = 0; i < d; i += kPanel) hwy::Prefetch(next + i);
  }
}

// out = acc / sum; log_sum in natural units.
HWY_INLINE void WriteStrip(const AttentionForwardArgs& args, const AttentionItem& strip, int row,
                           const ForwardScratch& scratch) {
  const int d = static_cast<int>(args.shape.head_dim), width = RoundUpToPanel(d);
  constexpr float kLn2 = 0.693147181f;
  HWY_ALIGN float log_sum[kPanel];
  if (args.log_sum != nullptr) {
    for (int r = 0; r < strip.rows; r += kLanes) {
      const Vec log = Log(hn::LoadU(kTag, scratch.sum + row + r));
      const Vec top = hn::LoadU(kTag, scratch.top + row + r);
      hn::Store(hn::MulAdd(top, Constant(kLn2), log), kTag, log_sum + r);
    }
  }
  RowWalk walk(args.shape, strip);
  for (int r = 0; r < strip.rows; ++r, walk.Next()) {
    const Vec sum = Constant(scratch.sum[row + r]);
    float* acc = scratch.acc + (row + r) * width;
    for (int i = 0; i < width; i += kLanes) {
      hn::Store(hn::Div(hn::Load(kTag, acc + i), sum), kTag, acc + i);
    }
    WriteRow(acc, d, 1, args.out + walk.row() * args.out_stride + walk.head() * d);
    if (args.log_sum != nullptr) {
      args.log_sum[walk.row() * args.shape.heads + walk.head()] = log_sum[r];
    }
  }
}

// Asks memory for the next block's keys, some after every tile: rows of one head lie too far apart
// for the processor to foresee, and all at once would wait for memory.
struct Ahead {
  const float* k;
  const float* v;
  int64_t stride;
  int keys, d;
  int step;  // keys a tile
  int key = 0;
  HWY_INLINE void operator()() {
    for (const int end = std::min(key + step, keys); key < end; ++key) {
      for (int i = 0; i < d; i += kPanel) {
        hwy::Prefetch(k + key * stride + i);
        hwy::Prefetch(v + key * stride + i);
      }
    }
  }
};

// One strip of rows against one block of keys; v: key k of the block at v + k * v_stride.
HWY_INLINE void StripOnBlock(const Range* keys, int row, int rows, int d, const float* v,
                             size_t v_stride, Ahead& ahead, const ForwardScratch& scratch) {
  const int width = RoundUpToPanel(d);
  HWY_ALIGN float factor[kPanel];
  Scores(keys, rows, scratch.q + row * width, width, scratch.kt, d, scratch.scores, ahead);
  Softmax(keys, rows, scratch.scores, scratch.top + row, scratch.sum + row, factor);
  RangedProduct<Left::kRows, Start::kScaled>(keys, rows, width / kPanel,
                                             {.a = scratch.scores,
                                              .a_stride = kKeyBlock,
                                              .b = v,
                                              .b_stride = v_stride,
                                              .c = scratch.acc + row * width,
                                              .c_stride = static_cast<size_t>(width),
                                              .factor = factor},
                                             ahead);
}

// Takes an item's scratch out of the worker's.
HWY_INLINE void Carve(int d, int rows, int worker, Team& team, ForwardScratch& scratch) {
  const size_t matrix = static_cast<size_t>(rows) * RoundUpToPanel(d);
  const size_t block = static_cast<size_t>(kKeyBlock) * RoundUpToPanel(d);
  const size_t vector = RoundUpToPanel(rows) + kPanel;
  float* memory =
      team.Scratch(worker, 2 * matrix + 2 * block + kStripRows * kKeyBlock + 2 * vector);
  auto take = [&](size_t count) { return std::exchange(memory, memory + count); };
  scratch.q = take(matrix);
  scratch.acc = take(matrix);
  scratch.kt = take(block);
  scratch.v = take(block);
  scratch.scores = take(kStripRows * kKeyBlock);
  scratch.top = take(vector);
  scratch.sum = take(vector);
}

// All strips against the block of keys from `start` on; a strip is read at the item's first block
// and written at its own last one, so that memory works while others compute.
HWY_INLINE void RowsOnBlock(const AttentionForwardArgs& args, const AttentionItem& item,
                            int64_t start, bool first, const float* v, size_t v_stride,
                            Ahead& ahead, const ForwardScratch& scratch) {
  const int rows = static_cast<int>(item.rows), d = static_cast<int>(args.shape.head_dim);
  for (int row = 0; row < rows; row += kStripRows) {
    const int count = std::min(kStripRows, rows - row);
    const int64_t* position = scratch.position + row;
    const AttentionItem strip = {item.sequence, item.kv_head, item.first_row + row, count};
    if (first) StartStrip(args, strip, row, scratch);
    Range keys[kStripRows];
    int end = 0;
    for (int r = 0; r < count; ++r) {
      keys[r] = VisibleKeys(position[r], args.shape.window, start);
      end = std::max(end, keys[r].end);
    }
    if (end == 0) continue;
    StripOnBlock(keys, row, count, d, v, v_stride, ahead, scratch);
    if (position[count - 1] < start + kKeyBlock) WriteStrip(args, strip, row, scratch);
  }
}

void ForwardRows(const AttentionForwardArgs& args, const AttentionItem& item, int worker,
                 Team& team) {
  const AttentionShape& shape = args.shape;
  const AttentionSequence& sequence = *item.sequence;
  const int rows = static_cast<int>(item.rows);
  const int d = static_cast<int>(shape.head_dim), width = RoundUpToPanel(d);
  ForwardScratch scratch;
  Carve(d, rows, worker, team, scratch);
  RowWalk walk(shape, item);
  for (int r = 0; r < rows; ++r, walk.Next()) {
    scratch.position[r] = sequence.first_position + walk.query();
  }
  // and their padding, which is computed with
  std::fill_n(scratch.top, rows + kPanel, kLowest);
  std::fill_n(scratch.sum, rows + kPanel, 0.0f);
  const int64_t end_key = scratch.position[rows - 1] + 1;
  const int64_t first_key =
      shape.window > 0 ? std::max<int64_t>(scratch.position[0] - shape.window + 1, 0) : 0;
  auto keys_of = [&](int64_t start) -> Range {
    return {static_cast<int>(std::max(first_key - start, int64_t{0})),
            static_cast<int>(std::clamp<int64_t>(end_key - start, 0, kKeyBlock))};
  };
  // few rows do not pay for a copy of V
  const bool pack_v = d % kPanel != 0 || rows > kStripRows;
  // two tiles a strip, each with a panel of keys and one of columns at least
  const int ahead_step = static_cast<int>(kKeyBlock) / (rows / kStripRows * 16 + 15) + 1;
  for (int64_t start = first_key / kKeyBlock * kKeyBlock; start < end_key; start += kKeyBlock) {
    const Range block = keys_of(start);
    const int64_t offset = start * args.kv_stride + item.kv_head * d;
    const int64_t next = offset + kKeyBlock * args.kv_stride;
    const float* v = sequence.v + offset;
    if (start <= first_key) {
      Ahead all = {.k = sequence.k + offset,
                   .v = v,
                   .stride = args.kv_stride,
                   .keys = block.end,
                   .d = d,
                   .step = block.end,
                   .key = block.begin};
      all();
    }
    PackTransposed(sequence.k + offset, args.kv_stride, block, d, scratch.kt);
    if (pack_v) PackRows(v, args.kv_stride, block, d, scratch.v);
    Ahead ahead = {.k = sequence.k + next,
                   .v = sequence.v + next,
                   .stride = args.kv_stride,
                   .keys = keys_of(start + kKeyBlock).end,
                   .d = d,
                   .step = ahead_step};
    RowsOnBlock(args, item, start, start <= first_key, pack_v ? scratch.v : v,
                pack_v ? width : args.kv_stride, ahead, scratch);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(ForwardRows);

void AttentionForward(const AttentionForwardArgs& args, Team& team) {
  CheckAttention(args);
  const int64_t group = args.shape.heads / args.shape.kv_heads;
  int64_t longest = 0, total = 0;
  for (const AttentionSequence& sequence : args.sequences) {
    longest = std::max(longest, sequence.queries * group);
    total += sequence.queries * args.shape.heads;
  }
  // rows of an item: many, to pay for packing K and V; fewer where threads would be idle
  const int64_t item_rows =
      std::clamp<int64_t>(total / (4 * team.size()), 24, kAttentionItemRows) / 12 * 12;
  const int64_t chunks = (longest + item_rows - 1) / item_rows;
  const int64_t kv_heads = args.shape.kv_heads;
  const int64_t sequences = static_cast<int64_t>(args.sequences.size());
  team.Run(sequences * chunks * kv_heads, [&](int64_t i, int worker) {
    const AttentionSequence& sequence = args.sequences[i / (chunks * kv_heads)];
    // a sequence's later chunks see more keys: they go first, so that the last items are short
    const int64_t first_row = (chunks - 1 - i / kv_heads % chunks) * item_rows;
    const int64_t left = sequence.queries * group - first_row;
    if (left <= 0) return;
    const AttentionItem item = {.sequence = &sequence,
                                .kv_head = i % kv_heads,
                                .first_row = first_row,
                                .rows = std::min(left, item_rows)};
    HWY_DYNAMIC_DISPATCH(ForwardRows)(args, item, worker, team);
  });
}

}  // namespace pawl::kernels
#endif
