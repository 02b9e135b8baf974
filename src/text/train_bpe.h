// Learns the merges of a byte-level byte-pair encoding from texts: the vocabulary and merges of the
// package's BpeTrainer, in the same order. The texts are split into words by GPT-2's pattern, the
// words are counted, and the most frequent pair of neighbours becomes a token until there are
// enough.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pawl::text {

// Which of equally frequent pairs is merged first.
enum class BpeTies : uint8_t {
  kSmallestIds,   // the package's: the pair of the smallest ids
  kGreatestBytes  // the pair whose bytes are greatest, the left ones first (CS336's reference)
};

struct TrainBpeConfig {
  int64_t vocab_size = 30000;               // tokens at the end: special ones, bytes, merges
  int64_t min_frequency = 0;                // pairs that occur less often are not merged
  std::vector<std::string> special_tokens;  // the first ids; they do not split the texts
  bool all_bytes = true;                    // all 256 bytes are tokens, seen or not
  BpeTies ties = BpeTies::kSmallestIds;
  int threads = 2;  // that count words
};

struct BpeMerges {
  std::vector<std::string>
      vocab;  // [V] the token of each id, bytes as GPT-2 writes them ("\u0120a")
  std::vector<std::pair<std::string, std::string>> merges;  // in the order they are applied
};

// Each text by itself: no word goes over its end. Throws UserError where vocab_size is below the
// number of special tokens and bytes, and where a text is no UTF-8.
BpeMerges TrainBpe(std::span<const std::string_view> texts, const TrainBpeConfig& config);

// The tokenizer.json of such a training, as the package writes it.
std::string BpeTokenizerJson(const BpeMerges& bpe, const TrainBpeConfig& config);

}  // namespace pawl::text
