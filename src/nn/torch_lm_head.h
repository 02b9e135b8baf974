// The language-model head in LibTorch: log-probability of the target and entropy of every row
// without ever holding [N, V], chunk by chunk of rows. The composition for CUDA and the reference
// for kernels/lm_head.h, whose semantics it shares. Sums are float32 whatever the products'
// operands are. One thread at a time.
#pragma once
#include <torch/types.h>

#include "kernels/lm_head.h"

namespace pawl::nn {

struct LmHeadSettings {
  torch::Dtype compute = at::kFloat;  // operands of the products: kFloat, kBFloat16 or kDouble
  double inverse_temperature = 1;     // logits times this (after the cap)
  double soft_cap = 0;                // logits = cap tanh(logits / cap); 0: none
  int64_t chunk_rows = 0;             // rows at once; 0: chosen so that the workspace stays small
};

struct LmHeadRows {
  torch::Tensor hidden;   // [N, D] final hidden states, float32 (float64 under kDouble)
  torch::Tensor weight;   // [V, D] of hidden's dtype: the master weights
  torch::Tensor targets;  // [N] int64 in [0, V)
};

struct LmHeadResult {
  torch::Tensor log_prob;       // [N] of the target, nats
  torch::Tensor entropy;        // [N] nats
  torch::Tensor best_log_prob;  // [N] of the most likely token; of LmHeadScore alone
};

// [N, V] of the scaled and capped distribution, for short N only; no gradient.
torch::Tensor LmHeadLogits(const LmHeadRows& rows, const LmHeadSettings& settings);

// Differentiable in hidden and weight, for losses that are not token-local: backward computes the
// logits again, chunk by chunk.
LmHeadResult LmHeadLogProb(const LmHeadRows& rows, const LmHeadSettings& settings);

// Without a gradient.
LmHeadResult LmHeadScore(const LmHeadRows& rows, const LmHeadSettings& settings);

// For token-local losses: computes the gradient beside the forward pass, from one and the same
// logits. Calls `loss` once a chunk, rows ascending; writes *dhidden [N, D] and adds to *dweight
// [V, D] (nullptr: the head is frozen). Records nothing for autograd.
LmHeadResult LmHeadLoss(const LmHeadRows& rows, const LmHeadSettings& settings,
                        const kernels::TokenLoss& loss, torch::Tensor* dhidden,
                        torch::Tensor* dweight);

}  // namespace pawl::nn
