// The row passes of the language-model head over a chunk of logits: statistics, then the loss's
// gradient in place. With z = inverse_temperature cap tanh(logit / cap) (without a cap: the logit),
// p = softmax(z), target y:
//   log_prob = z_y - log sum exp z          entropy = -sum p log p
//   dz_j = dlog_prob ([j = y] - p_j) - dentropy p_j (log p_j + entropy)
//   dlogit = dz inverse_temperature (1 - tanh^2(logit / cap))
// A row's sums go in blocks of 4096 columns: 16 partial sums each, then block by block in double.
// Its bits depend on its own logits only. On the device: kernels/lm_head.cu.
#pragma once
#include <cstdint>

#include "kernels/team.h"

namespace pawl::kernels {

constexpr int kLogitState = 4;  // numbers the forward pass keeps of a row for the backward pass

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
  const float* dlog_prob = nullptr;  // [rows] backward only
  const float* dentropy = nullptr;   // [rows] backward only
};
// Logits to z in place, as the forward pass does first. Reads sizes, temperature and cap alone.
void ScaleLogits(const LogitRowsArgs& args, Team& team);
// On the CPU the pass before a backward one leaves exponentials where the logits were.
void LogitRowsForward(const LogitRowsArgs& args, Team& team);
void LogitRowsBackward(const LogitRowsArgs& args, Team& team);

}  // namespace pawl::kernels
