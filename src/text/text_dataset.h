// Text files as sequences of tokens. LoadText reads the files once; TextDataset is one split of
// them in memory, immutable; ShuffledBatches gives the batch of an update as a pure function of
// (seed, update), so that a run resumes without any state of the data. The learner loop's thread.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/data_config.h"
#include "text/tokenizer.h"

namespace pawl::text {

// Token ids in 2 bytes where the vocabulary allows it, else in 4.
class TokenArray {
 public:
  explicit TokenArray(int64_t vocab_size = 0) : wide_(vocab_size > 65536) {}
  void Append(std::span<const int32_t> ids);
  void CopyTo(int64_t begin, std::span<int32_t> out) const;
  int64_t size() const {
    return static_cast<int64_t>(wide_ ? four_bytes_.size() : two_bytes_.size());
  }
  // Splits off everything from `begin` on.
  TokenArray SplitOff(int64_t begin);
  // CRC-32C of the ids as they are held.
  uint32_t Checksum() const;

 private:
  bool wide_;
  std::vector<uint16_t> two_bytes_;
  std::vector<int32_t> four_bytes_;
};

// Sequences end to end: what a rollout::SequenceBatch views.
struct TokenBatch {
  std::vector<int32_t> tokens;     // [S]
  std::vector<int32_t> starts;     // [B + 1]
  std::vector<uint8_t> is_target;  // [S]
  int64_t truncated = 0;           // sequences that were cut to the context
  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }
  // Tokens the model is run on: all but the last of each sequence.
  int64_t inputs() const { return static_cast<int64_t>(tokens.size()) - sequences(); }
};

// One split. Format "text": windows of context + 1 tokens, each a sequence, one beginning where the
// one before has its last token; the first token of a window is no target. "lines": a sequence per
// line of at most context + 1 tokens, its end marked by the tokenizer's end token or a line break.
class TextDataset {
 public:
  struct Line {
    int64_t begin = 0;   // first token
    int64_t prompt = 0;  // tokens before the first target, at least 1
    bool truncated = false;
  };
  TextDataset(TokenArray tokens, int64_t context);  // "text"
  TextDataset(TokenArray tokens, std::vector<Line> lines, int64_t context);

  bool empty() const { return sequences_ == 0; }
  // Sequences of one pass in order, all of it: the last window of a text may be shorter.
  int64_t sequences() const { return sequences_; }
  int64_t tokens() const { return tokens_.size(); }
  int64_t context() const { return context_; }
  bool is_lines() const { return !lines_.empty(); }
  uint32_t Checksum() const { return tokens_.Checksum(); }
  // Adds sequence `index`, its window moved on by `offset` tokens (text only).
  void AddSequence(int64_t index, int64_t offset, TokenBatch& batch) const;
  // `count` sequences spread evenly over all, as batches of `per_batch`; count 0: every one.
  std::vector<TokenBatch> Spread(int64_t count, int64_t per_batch) const;

 private:
  TokenArray tokens_;
  std::vector<Line> lines_;
  int64_t context_;
  int64_t sequences_;
};

// The batches of a run. An epoch is a permutation of the dataset's sequences; in a text the windows
// of an epoch are moved on by a random offset, so that they begin elsewhere each time. Update i has
// the sequences i B .. (i + 1) B - 1 of all epochs after each other.
class ShuffledBatches {
 public:
  // The dataset must outlive this and hold a sequence.
  ShuffledBatches(const TextDataset& data, uint64_t seed, int64_t sequences_per_batch);
  TokenBatch Batch(int64_t update);
  // Whole windows (lines) of an epoch.
  int64_t epoch_sequences() const { return epoch_sequences_; }

 private:
  void EnterEpoch(int64_t epoch);
  const TextDataset& data_;
  uint64_t seed_;
  int64_t per_batch_, epoch_sequences_, slack_ = 0;
  int64_t epoch_ = -1, offset_ = 0;  // of order_
  std::vector<int32_t> order_;
};

// What was read, for logs and the summary.
struct TextCounts {
  int64_t bytes = 0, replaced_utf8 = 0, empty_lines = 0, truncated_lines = 0, dropped_lines = 0;
};
struct LoadedText {
  std::unique_ptr<Tokenizer> tokenizer;
  TextDataset train, eval;  // eval is empty where nothing is held out
  TextCounts counts;
};

// Reads the files, makes or takes the tokenizer, cuts the text. Line breaks become \n. `given`: for
// tokenizer = "model". Throws UserError naming the file (and line) for what cannot be read or is
// too short.
LoadedText LoadText(const DataConfig& config, std::unique_ptr<Tokenizer> given);

// Other text with a tokenizer that is there: `pawl eval`. `config`: format, context, separator and
// the rest but the files.
TextDataset LoadTextFiles(const std::vector<std::string>& files, const DataConfig& config,
                          const Tokenizer& tokenizer, TextCounts& counts);

}  // namespace pawl::text
