// The row passes of the language-model head over a chunk of logits: statistics, then the loss's
// gradient in place. With z = inverse_temperature cap tanh(logit / cap) (without a cap: the logit),
// p = softmax(z), target y:
//   log_prob = z_y - log sum exp z          entropy = -sum p log p
//   dz_j = dlog_prob ([j = y] - p_j) - dentropy p_j (log p_j + entropy)
//   dlogit = dz inverse_temperature (1 - tanh^2(logit / cap))
// A row is read once, in blocks of 256 columns: a block's sums are relative to its own largest z,
// as 16 partial sums; then block by block in double, relative to the row's (Milakov and Gimelshein
// 2018, by blocks). The bits depend on the row's own logits only, not on who keeps them: a row in
// memory, or blocks that were never all there (LogitBlocks). On the device: kernels/lm_head.cu.
#pragma once
#include <cstdint>
#include <span>

#include "kernels/team.h"

namespace pawl::kernels {

constexpr int kLogitState = 4;  // numbers the forward pass keeps of a row for the backward pass
constexpr int64_t kLogitBlock = 256;
constexpr int64_t NumLogitBlocks(int64_t vocab) { return (vocab + kLogitBlock - 1) / kLogitBlock; }

struct LogitRowsArgs {
  int64_t rows = 0, vocab = 0;
  float* f32 = nullptr;      // [rows, vocab] logits; the backward pass leaves their gradient here
  uint16_t* bf16 = nullptr;  // the same in bfloat16, instead; on the device only
  int64_t stride = 0;
  const int32_t* targets = nullptr;  // [rows]
  float inverse_temperature = 1;
  float soft_cap = 0;                // 0: none
  float* log_prob = nullptr;         // [rows]
  float* entropy = nullptr;          // [rows] or null: then dentropy is not read
  float* best_log_prob = nullptr;    // [rows] or null: of the most likely token
  double* state = nullptr;           // [rows, kLogitState] null: no backward pass follows
  float* tops = nullptr;             // [rows, NumLogitBlocks] with state; not on the device
  const float* dlog_prob = nullptr;  // [rows] backward only
  const float* dentropy = nullptr;   // [rows] backward only
};
// Logits to z in place, as the forward pass does first. Reads sizes, temperature and cap alone.
void ScaleLogits(const LogitRowsArgs& args, Team& team);
// On the CPU the pass before a backward one leaves exponentials, relative to their block's largest,
// where the logits were.
void LogitRowsForward(const LogitRowsArgs& args, Team& team);
void LogitRowsBackward(const LogitRowsArgs& args, Team& team);

// What a block of a row adds: sums of e = exp(z - top) and of (z - top) e over its columns.
struct LogitBlockSums {
  float top = 0, sum = 0, weighted = 0;
};
// Of one block: up to kLogitBlock logits, scaled in place. with_entropy: else weighted stays 0.
LogitBlockSums SumLogitBlock(const LogitRowsArgs& args, float* logits, int64_t columns,
                             bool with_entropy);
// Row r's results from its blocks; target: z of its target. Reads only sizes and results of `args`.
void FinishLogitRow(const LogitRowsArgs& args, int64_t row, std::span<const LogitBlockSums> blocks,
                    float target);

}  // namespace pawl::kernels
