// The batch of language: sequences of tokens laid end to end, without padding. Plain views; whoever
// made the batch outlives it. Read by learners; the order of sequences is the canonical order in
// which gradients are summed, however the batch is cut into micro-batches.
#pragma once
#include <cstdint>

#include "nn/token_sequences.h"

namespace pawl::rollout {

struct SequenceBatch : nn::TokenSequences {
  int64_t version = 0;  // weights that generated it; 0 for data
  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }
};

}  // namespace pawl::rollout
