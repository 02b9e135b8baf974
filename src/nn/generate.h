// Plain cached generation: one prompt, one token at a time, on packed weights. For samples during
// training and tests; the generation engine comes with its own scheduler on the same forward.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nn/decoder_linear.h"

namespace pawl::nn {

struct GenerateOptions {
  int64_t tokens = 100;    // at most; ends at an end-of-sequence id
  double temperature = 1;  // 0: the most likely token
  uint64_t seed = 1;       // a token's noise is keyed by (seed, index, its number)
  uint64_t index = 0;      // of the sample, so that samples of one seed differ
  // Told of each new id; true ends the text with it.
  std::function<bool(int32_t id)> ends;
};
// The new ids, without the prompt; the end-of-sequence id, where one came, is the last. A text
// longer than the model's positions goes on from its last max_positions / 2 tokens as if they were
// all. Throws pawl::Error for an empty prompt and for ids outside the vocabulary.
std::vector<int32_t> Generate(const DecoderModel& model, std::span<const int32_t> prompt,
                              const GenerateOptions& options, kernels::Team& team);

}  // namespace pawl::nn
