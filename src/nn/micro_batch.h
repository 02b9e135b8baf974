// Cuts a batch of sequences into passes of whole sequences, and lays out what a pass needs: the
// rows that run through the model and the rows whose next token is a target. Pure.
#pragma once
#include <functional>
#include <vector>

#include "nn/decoder.h"
#include "nn/token_sequences.h"

namespace pawl::nn {

struct MicroBatch {
  std::vector<int32_t> tokens, positions;  // [T]
  std::vector<DecoderSequence> sequences;
  std::vector<int32_t> targets;      // [N] the tokens to predict
  std::vector<int64_t> target_rows;  // [N] the row that predicts each
  int64_t first_target = 0;          // index in the whole batch of this part's first target
};

// Calls f for each part, in order. A part has as many sequences as fit into max_tokens rows, at
// least one; sequences without a target are left out. Throws pawl::Error, before the first call,
// where starts or is_target contradict tokens, for a token outside the vocabulary, and for a
// sequence that needs more positions than the model has learned (rotary ones have no end).
void ForEachMicroBatch(const TokenSequences& batch, const ModelConfig& config, int64_t max_tokens,
                       const std::function<void(const MicroBatch&)>& f);

// Throws pawl::Error naming the first id that is not in [0, vocab); `what` has the tokens.
void CheckTokens(std::span<const int32_t> tokens, int64_t vocab, const char* what);

}  // namespace pawl::nn
