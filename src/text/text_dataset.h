// Text files as sequences of tokens. LoadText reads the files once; TextDataset is one split of
// them in memory, immutable. Files of records stay on the disk instead (record_source.h); LoadData
// (load_data.h) takes either.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/data_config.h"
#include "text/sequence_source.h"
#include "text/shuffled_batches.h"
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

// One split. Format "text": windows of context + 1 tokens, each a sequence, one beginning where the
// one before has its last token; the first token of a window is no target. "lines": a sequence per
// line of at most context + 1 tokens, its end marked by the tokenizer's end token or a line break.
class TextDataset : public SequenceSource {
 public:
  struct Line {
    int64_t begin = 0;   // first token
    int64_t prompt = 0;  // tokens before the first target, at least 1
    bool truncated = false;
  };
  TextDataset(TokenArray tokens, int64_t context);  // "text"
  TextDataset(TokenArray tokens, std::vector<Line> lines, int64_t context);

  // The last window of a text may be shorter.
  int64_t part_sequences(size_t) const override { return sequences_; }
  // Of a text all but one of the whole windows: an epoch's windows are moved on by an offset of its
  // own, so that they begin elsewhere each time, and need room for it.
  int64_t epoch_sequences(size_t part) const override;
  bool Add(size_t part, int64_t index, uint64_t epoch_key, TokenBatch& batch) const override;
  int64_t context() const override { return context_; }
  uint32_t Checksum() const override { return tokens_.Checksum(); }
  int64_t tokens() const { return tokens_.size(); }

 private:
  TokenArray tokens_;
  std::vector<Line> lines_;
  int64_t context_;
  int64_t sequences_;
};

// What was read, for logs and the summary.
struct TextCounts {
  int64_t bytes = 0, replaced_utf8 = 0, empty_lines = 0, truncated_lines = 0, dropped_lines = 0;
  int64_t bad_lines = 0;  // of records
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
