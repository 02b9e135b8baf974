// Learns the merges of a byte-pair encoding from text, as the package's BpeTrainer does: the same
// vocabulary and merges in the same order. Words come from a splitting pattern (byte-level BPE) and
// are counted first; the texts are not kept.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pawl::text {

struct TrainBpeConfig {
  int64_t vocab_size = 30000;               // tokens at the end: special ones, alphabet, merges
  int64_t min_frequency = 0;                // pairs that are rarer are not merged
  std::vector<std::string> special_tokens;  // the first ids
  bool byte_alphabet = true;                // all 256 bytes are tokens, seen or not
  int threads = 2;
};

struct BpeMerges {
  std::vector<std::string> vocab;  // token of each id, in byte-level characters ("\u0120the")
  std::vector<std::pair<std::string, std::string>> merges;
};

// Byte-level BPE over the texts, each split by GPT-2's pattern.
BpeMerges TrainByteLevelBpe(const std::vector<std::string_view>& texts,
                            const TrainBpeConfig& config);
// The tokenizer.json of such a training.
std::string BpeTokenizerJson(const BpeMerges& bpe, const TrainBpeConfig& config);

}  // namespace pawl::text
