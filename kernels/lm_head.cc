#include "kernels/lm_head.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/logit_rows.h"
#include "kernels/norm.h"
#include "kernels/panel_product.h"
#include "kernels/row_blocks.h"

namespace pawl::kernels {
namespace {
constexpr int kSlot = 1;  // of Team::Shared: the kernels called here use 0

// Tokens at once. Large chunks keep the products efficient and read W seldom; the workspace aims at
// 256 MiB and 3/10 of the logits (a tenth of the three buffers of an eager loss), but does not fall
// below 256 rows while these fit in 256 MB.
int64_t ChunkRows(const LmHeadArgs& args) {
  const int64_t rows = std::max<int64_t>(args.rows, 1);
  if (args.chunk_rows > 0) return std::min(args.chunk_rows, rows);
  const int64_t row_bytes = std::max<int64_t>(args.vocab, 1) * 4;
  const int64_t wanted = std::min((int64_t(256) << 20) / row_bytes, rows * 3 / 10);
  const int64_t least = std::min<int64_t>(256, 256'000'000 / row_bytes);
  const int64_t chunk = std::clamp<int64_t>(wanted, std::max<int64_t>(least, 1), rows + 256);
  // chunks of about the same size, so that no product is left with a few rows
  const int64_t even = CeilDiv(rows, CeilDiv(rows, chunk));
  return std::min(rows, std::min(chunk, CeilDiv(even, 16) * 16));
}

// Floats between rows of logits: not a multiple of 4 KiB, which would crowd the cache's sets.
int64_t LogitStride(int64_t vocab) {
  const int64_t stride = CeilDiv(vocab, 16) * 16;
  return stride % 1024 == 0 ? stride + 16 : stride;
}

// A chunk's buffers in the team's memory, in floats a row.
struct Workspace {
  static int64_t RowFloats(const LmHeadArgs& args) {
    return LogitStride(args.vocab) + 2 * kLogitState + NumLogitBlocks(args.vocab) + 3;
  }
  Workspace(const LmHeadArgs& args, int64_t rows, Team& team)
      : logits(team.Shared(static_cast<size_t>(rows * RowFloats(args)), kSlot)),
        state(reinterpret_cast<double*>(logits + rows * LogitStride(args.vocab))),
        tops(reinterpret_cast<float*>(state + rows * kLogitState)),
        entropy(tops + rows * NumLogitBlocks(args.vocab)),
        dlog_prob(entropy + rows),
        dentropy(dlog_prob + rows) {}
  float* logits;                          // [rows, stride]
  double* state;                          // [rows, kLogitState]
  float* tops;                            // [rows, blocks]
  float *entropy, *dlog_prob, *dentropy;  // [rows]
};

// What the row passes read of the arguments, for tokens [first, first + rows).
LogitRowsArgs RowArgs(const LmHeadArgs& args, int64_t first, int64_t rows) {
  return {.rows = rows,
          .vocab = args.vocab,
          .targets = args.targets.data() + first,
          .inverse_temperature = args.inverse_temperature,
          .soft_cap = args.soft_cap,
          .log_prob = args.log_prob + first,
          .entropy = args.entropy ? args.entropy + first : nullptr,
          .best_log_prob = args.best_log_prob ? args.best_log_prob + first : nullptr};
}
MatrixRef RowsFrom(const LmHeadArgs& args, int64_t first) {
  return {.f32 = args.x + first * args.x_stride,
          .stride = args.x_stride,
          .round_to_bf16 = args.round_x_to_bf16};
}

// dX, dW and dbias of tokens [first, first + n) from the gradient of their logits.
void AddGradients(const LmHeadArgs& args, int64_t first, int64_t n, const float* dlogits,
                  int64_t stride, Team& team) {
  if (args.dx) {
    Gemm({.m = n,
          .n = args.width,
          .k = args.vocab,
          .a = {.f32 = dlogits, .stride = stride},
          .b = args.weight,
          .c = args.dx + first * args.dx_stride,
          .c_stride = args.dx_stride},
         team);
  }
  if (args.dweight) {
    Gemm({.m = args.vocab,
          .n = args.width,
          .k = n,
          .a = {.f32 = dlogits, .stride = stride, .transposed = true},
          .b = RowsFrom(args, first),
          .c = args.dweight,
          .c_stride = args.width,
          .accumulate = true},
         team);
  }
  if (args.dbias) AddColumnSums(dlogits, n, args.vocab, stride, args.dbias, team);
}

// Tokens that are scored together, without a loss: the weights are packed once for all of them.
constexpr int64_t kScoredRows = 4096;
constexpr int64_t kStripPanels = kLogitBlock / 16;  // of a block of logits

// Sums of some blocks of a few rows, as their logits come.
struct ScoredItem {
  int64_t row, rows;  // of the chunk
  int64_t first_block;
};
struct ScoreSpace {
  LogitBlockSums* sums;  // [rows, NumLogitBlocks]
  float* target;         // [rows] z of the target
};
void ScoreItem(const LmHeadArgs& args, int64_t first, const ScoredItem& item,
               const PanelProductArgs& product, const ScoreSpace& space, float* scratch) {
  const int64_t all_blocks = NumLogitBlocks(args.vocab);
  PanelProductArgs strip = product;
  strip.m = item.rows;
  strip.a = RowsFrom(args, first + item.row);
  strip.c = scratch;
  strip.c_stride = kLogitBlock;
  const LogitRowsArgs rows = RowArgs(args, first, item.rows);
  ProductInStrips(strip, kStripPanels, scratch + item.rows * kLogitBlock,
                  [&](int64_t column, int64_t columns) {
                    const int64_t block = item.first_block + column / kLogitBlock;
                    for (int64_t r = 0; r < item.rows; ++r) {
                      float* const logits = scratch + r * kLogitBlock;
                      const int64_t row = item.row + r;
                      space.sums[row * all_blocks + block] =
                          SumLogitBlock(rows, logits, columns, args.entropy != nullptr);
                      const int64_t at = args.targets[first + row] - block * kLogitBlock;
                      if (at >= 0 && at < columns) space.target[row] = logits[at];
                    }
                  });
}

// Log-probabilities of tokens [first, first + rows), whose logits are nowhere all together.
void ScoreRows(const LmHeadArgs& args, int64_t first, int64_t rows, Team& team) {
  const int64_t blocks = NumLogitBlocks(args.vocab);
  float* const memory = team.Shared(static_cast<size_t>(rows * (blocks * 3 + 1)), kSlot);
  const ScoreSpace space{.sums = reinterpret_cast<LogitBlockSums*>(memory),
                         .target = memory + rows * blocks * 3};
  static_assert(sizeof(LogitBlockSums) == 3 * sizeof(float));
  MatrixRef weight = args.weight;
  weight.transposed = true;
  const int64_t at_once = std::clamp<int64_t>(
      kPackedFloats / std::max<int64_t>(args.width, 1) / kLogitBlock, 1, blocks);
  const int64_t panel_bytes = static_cast<int64_t>(PanelBytes(WeightType::kF32, args.width));
  auto* const panels = reinterpret_cast<std::byte*>(
      team.Shared(static_cast<size_t>(at_once * kLogitBlock * std::max<int64_t>(args.width, 1))));
  const int64_t row_items = CeilDiv(rows, kItemRows), even_rows = CeilDiv(rows, row_items);
  for (int64_t block = 0; block < blocks; block += at_once) {
    const int64_t column = block * kLogitBlock;
    const int64_t columns = std::min(at_once * kLogitBlock, args.vocab - column);
    PackPanels({.b = Advance(weight, 0, column), .k = args.width, .n = columns, .panels = panels},
               team);
    // few rows: threads share the columns, too
    const int64_t packed = NumLogitBlocks(columns);
    const int64_t parts = std::clamp<int64_t>(CeilDiv(3 * team.size(), row_items), 1, packed);
    const int64_t part = CeilDiv(packed, parts);
    team.Run(row_items * CeilDiv(packed, part), [&](int64_t i, int worker) {
      const int64_t row = i % row_items * even_rows, from = i / row_items * part;
      const int64_t item_rows = std::min(even_rows, rows - row);
      if (item_rows <= 0) return;
      const int64_t from_column = from * kLogitBlock;
      const PanelProductArgs product{
          .n = std::min(part * kLogitBlock, columns - from_column),
          .k = args.width,
          .panels = panels + from_column / 16 * panel_bytes,
          .panel_bytes = static_cast<size_t>(panel_bytes),
          .bias = args.bias ? args.bias + column + from_column : nullptr};
      float* const scratch = team.Scratch(worker, static_cast<size_t>(item_rows * kLogitBlock) +
                                                      StripScratchFloats(item_rows, args.width));
      ScoreItem(args, first, {.row = row, .rows = item_rows, .first_block = block + from}, product,
                space, scratch);
    });
  }
  const LogitRowsArgs results = RowArgs(args, first, rows);
  ForRowBlocks(team, rows, blocks * 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      FinishLogitRow(results, r, {space.sums + r * blocks, static_cast<size_t>(blocks)},
                     space.target[r]);
    }
  });
}
}  // namespace

size_t LmHeadWorkspaceBytes(const LmHeadArgs& args) {
  return static_cast<size_t>(ChunkRows(args) * Workspace::RowFloats(args)) * sizeof(float);
}

void LmHeadLoss(const LmHeadArgs& args, Team& team) {
  PAWL_CHECK(std::ssize(args.targets) == args.rows, "{} targets for {} rows", args.targets.size(),
             args.rows);
  for (int32_t target : args.targets) {
    PAWL_CHECK(target >= 0 && target < args.vocab, "target {} of {} tokens", target, args.vocab);
  }
  if (args.loss == nullptr) {
    for (int64_t first = 0; first < args.rows; first += kScoredRows) {
      ScoreRows(args, first, std::min(kScoredRows, args.rows - first), team);
    }
    return;
  }
  const int64_t chunk = ChunkRows(args), stride = LogitStride(args.vocab);
  const Workspace space(args, chunk, team);
  MatrixRef weight = args.weight;
  weight.transposed = true;
  for (int64_t first = 0; first < args.rows; first += chunk) {
    const int64_t n = std::min(chunk, args.rows - first);
    Gemm({.m = n,
          .n = args.vocab,
          .k = args.width,
          .a = RowsFrom(args, first),
          .b = weight,
          .c = space.logits,
          .c_stride = stride,
          .bias = args.bias},
         team);
    LogitRowsArgs rows = RowArgs(args, first, n);
    rows.f32 = space.logits;
    rows.stride = stride;
    rows.state = space.state;
    rows.tops = space.tops;
    rows.dlog_prob = space.dlog_prob;
    rows.dentropy = space.dentropy;
    LogitRowsForward(rows, team);
    const size_t count = n;
    std::fill_n(space.dlog_prob, n, 0.0f);
    std::fill_n(space.dentropy, n, 0.0f);
    if (!args.entropy) std::fill_n(space.entropy, n, 0.0f);
    (*args.loss)(first, {rows.log_prob, count},
                 {args.entropy ? rows.entropy : space.entropy, count}, {space.dlog_prob, count},
                 {space.dentropy, count});
    LogitRowsBackward(rows, team);
    AddGradients(args, first, n, space.logits, stride, team);
  }
}

}  // namespace pawl::kernels
