// The batch of language: sequences of tokens laid end to end, without padding. Plain views; whoever
// made the batch outlives it. Read by learners; the order of sequences is the canonical order in
// which gradients are summed, however the batch is cut into micro-batches.
#pragma once
#include <cstdint>
#include <span>

namespace pawl::rollout {

struct SequenceBatch {
  std::span<const int32_t> tokens;     // [S] all sequences
  std::span<const int32_t> starts;     // [B + 1] first token of each sequence; starts[B] = S
  std::span<const uint8_t> is_target;  // [S] 1: this token is learned (predicted from those before
                                       // it); the first token of a sequence never is
  int64_t version = 0;                 // weights that generated it; 0 for data
  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }
};

}  // namespace pawl::rollout
