#include "kernels/lm_head.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/logit_rows.h"
#include "kernels/norm.h"
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

// A chunk's buffers in the team's memory.
struct Workspace {
  static size_t Floats(int64_t rows, int64_t stride) {
    return rows * (stride + 2 * kLogitState + 3);
  }
  Workspace(int64_t rows, int64_t stride, Team& team)
      : logits(team.Shared(Floats(rows, stride), kSlot)),
        state(reinterpret_cast<double*>(logits + rows * stride)),
        entropy(logits + rows * (stride + 2 * kLogitState)),
        dlog_prob(entropy + rows),
        dentropy(dlog_prob + rows) {}
  float* logits;                          // [rows, stride]
  double* state;                          // [rows, kLogitState]
  float *entropy, *dlog_prob, *dentropy;  // [rows]
};

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
          .b = {.f32 = args.x + first * args.x_stride,
                .stride = args.x_stride,
                .round_to_bf16 = args.round_x_to_bf16},
          .c = args.dweight,
          .c_stride = args.width,
          .accumulate = true},
         team);
  }
  if (args.dbias) AddColumnSums(dlogits, n, args.vocab, stride, args.dbias, team);
}
}  // namespace

size_t LmHeadWorkspaceBytes(const LmHeadArgs& args) {
  return Workspace::Floats(ChunkRows(args), LogitStride(args.vocab)) * sizeof(float);
}

void LmHeadLoss(const LmHeadArgs& args, Team& team) {
  PAWL_CHECK(std::ssize(args.targets) == args.rows, "{} targets for {} rows", args.targets.size(),
             args.rows);
  for (int32_t target : args.targets) {
    PAWL_CHECK(target >= 0 && target < args.vocab, "target {} of {} tokens", target, args.vocab);
  }
  const int64_t chunk = ChunkRows(args), stride = LogitStride(args.vocab);
  const Workspace space(chunk, stride, team);
  MatrixRef weight = args.weight;
  weight.transposed = true;
  for (int64_t first = 0; first < args.rows; first += chunk) {
    const int64_t n = std::min(chunk, args.rows - first);
    Gemm({.m = n,
          .n = args.vocab,
          .k = args.width,
          .a = {.f32 = args.x + first * args.x_stride,
                .stride = args.x_stride,
                .round_to_bf16 = args.round_x_to_bf16},
          .b = weight,
          .c = space.logits,
          .c_stride = stride,
          .bias = args.bias},
         team);
    const LogitRowsArgs rows{
        .rows = n,
        .vocab = args.vocab,
        .f32 = space.logits,
        .stride = stride,
        .targets = args.targets.data() + first,
        .inverse_temperature = args.inverse_temperature,
        .soft_cap = args.soft_cap,
        .log_prob = args.log_prob + first,
        .entropy = args.entropy ? args.entropy + first : nullptr,
        .best_log_prob = args.best_log_prob ? args.best_log_prob + first : nullptr,
        .state = args.loss ? space.state : nullptr,
        .dlog_prob = space.dlog_prob,
        .dentropy = space.dentropy};
    LogitRowsForward(rows, team);
    if (!args.loss) continue;
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
