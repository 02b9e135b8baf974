// Causal attention with grouped key/value heads over packed sequences, forward and backward,
// without a score matrix (FlashAttention, Dao et al. 2022: running maximum and sum). The law of
// docs/numerics.md: keys go in blocks of 64 aligned to the sequence's own position 0; per query one
// running (maximum, sum, accumulator) in block order; a score is one accumulator over the head's
// width ascending, the output one accumulator over keys ascending; keys that a query may not see
// are selected away, never multiplied by 0, whatever their memory holds. So a query's bits are the
// same in training, prefill in any chunks, decode, and at any place of a packed batch. Exponentials
// are powers of 2: each query element is multiplied by float32(scale * log2(e)), one rounding, as
// it is read. A block's sum is 16 partial sums (key k of the block in sum k % 16), halves added to
// halves; running sum = sum * correction + block's sum, rounded twice.
#pragma once
#include <cstdint>
#include <span>

#include "kernels/team.h"

namespace pawl::kernels {

constexpr int64_t kKeyBlock = 64;

struct AttentionShape {
  int64_t heads = 0, kv_heads = 0;  // kv_heads divides heads: head h reads kv head h / (heads / kv)
  int64_t head_dim = 0;             // any from 1 to 256
  float scale = 1;                  // multiplies the scores
  int64_t window = 0;  // a query at position p sees keys in (p - window, p]; 0: all up to p
};

// One sequence: queries at positions [first_position, first_position + queries), rows [row, row +
// queries) of the query matrix; keys of positions [0, first_position + queries).
struct AttentionSequence {
  int64_t row = 0;
  int64_t queries = 0;
  int64_t first_position = 0;
  const float* k = nullptr;  // [positions, KVH * K], rows kv_stride floats apart
  const float* v = nullptr;
};

struct AttentionForwardArgs {
  AttentionShape shape;
  std::span<const AttentionSequence> sequences;
  const float* q = nullptr;  // [T, H * K]
  int64_t q_stride = 0;
  int64_t kv_stride = 0;
  float* out = nullptr;  // [T, H * K]
  int64_t out_stride = 0;
  float* log_sum =
      nullptr;  // [T, H] log of the sum of exponentials, for the backward pass; or null
};
void AttentionForward(const AttentionForwardArgs& args, Team& team);

// Gradients of whole sequences (first_position 0). dq, dk, dv are written, not added to; every sum
// goes over ascending positions (and heads of a group), so its bits do not depend on the packing.
struct AttentionBackwardArgs {
  AttentionForwardArgs forward;  // as it ran, out and log_sum filled
  const float* dout = nullptr;   // [T, H * K]
  int64_t dout_stride = 0;
  float* dq = nullptr;  // [T, H * K]
  int64_t dq_stride = 0;
  float* dk = nullptr;  // [T, KVH * K]: row of a sequence's position p is sequence.row + p
  float* dv = nullptr;
  int64_t dkv_stride = 0;
};
void AttentionBackward(const AttentionBackwardArgs& args, Team& team);

}  // namespace pawl::kernels
