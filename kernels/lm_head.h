// The language-model head and its loss in one pass, never holding [tokens, vocabulary]: chunk by
// chunk of tokens it computes logits, log-probability of the target, entropy, asks a token-local
// function for the loss's derivatives, turns the logits into their gradient in place, and adds the
// products dX and dW (the fused linear cross entropy of Wijmans et al. 2024 and Liger, with any
// token-local loss). Without a loss no chunk is held either: logits live in blocks of 256 columns,
// as long as a thread needs to add them up. Rows whose target is masked are not passed in at all.
// Bits do not depend on the chunk size: every product is kernels/gemm.h, dW adds tokens in
// ascending order.
#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "kernels/gemm.h"

namespace pawl::kernels {

// Tokens [first, first + n): log_prob and entropy [n] (nats, of the scaled distribution) in,
// dlog_prob and dentropy [n] out: derivatives of the loss. dentropy arrives as zeros.
using TokenLoss = std::function<void(int64_t first, std::span<const float> log_prob,
                                     std::span<const float> entropy, std::span<float> dlog_prob,
                                     std::span<float> dentropy)>;

struct LmHeadArgs {
  int64_t rows = 0, width = 0, vocab = 0;
  const float* x = nullptr;  // [rows, width] final hidden states
  int64_t x_stride = 0;
  MatrixRef weight;                  // [vocab, width], not transposed; float32 or bfloat16
  bool round_x_to_bf16 = false;      // as kernels/linear.h does where weights are bfloat16
  const float* bias = nullptr;       // [vocab] or null
  std::span<const int32_t> targets;  // [rows] in [0, vocab)
  float inverse_temperature = 1;     // logits times this (after the cap)
  float soft_cap = 0;                // logits = cap tanh(logits / cap) (Gemma 2); 0: none
  float* log_prob = nullptr;         // [rows] of the target
  float* entropy = nullptr;          // [rows] or null (then the loss sees zeros, dentropy unused)
  float* best_log_prob = nullptr;    // [rows] or null: of the most likely token
  const TokenLoss* loss = nullptr;   // null: forward only
  float* dx = nullptr;               // [rows, width] written; null: not wanted
  int64_t dx_stride = 0;
  float* dweight = nullptr;  // [vocab, width] added to; null: frozen
  float* dbias = nullptr;    // [vocab] added to; null
  int64_t chunk_rows = 0;    // tokens at once; 0: chosen so that the workspace stays small
};
// Workspace: with a loss chunk_rows * vocab floats and little else (LmHeadWorkspaceBytes), without
// one 3 floats per 256 columns of a row; kept by the team.
// The loss is called on the caller's thread, once a chunk, ascending. A row whose derivatives are
// both 0 adds exact zeros, whatever its logits. Throws where a target is no token.
void LmHeadLoss(const LmHeadArgs& args, Team& team);
size_t LmHeadWorkspaceBytes(const LmHeadArgs& args);

}  // namespace pawl::kernels
