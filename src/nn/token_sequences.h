// Sequences of tokens laid end to end, as every path through a language model takes them: plain
// views (rollout::SequenceBatch adds where they come from).
#pragma once
#include <cstdint>
#include <numeric>
#include <span>

namespace pawl::nn {

// Token t of a sequence is predicted from what stands before it, so a sequence's first token is
// never a target. Target i of the batch is the i-th token with is_target set, sequences in order.
struct TokenSequences {
  std::span<const int32_t> tokens;     // [S] all sequences
  std::span<const int32_t> starts;     // [B + 1] first token of each; starts[B] = S
  std::span<const uint8_t> is_target;  // [S]; may be empty where only hidden states are wanted
};

inline int64_t CountTargets(const TokenSequences& batch) {
  return std::accumulate(batch.is_target.begin(), batch.is_target.end(), int64_t{0});
}

}  // namespace pawl::nn
