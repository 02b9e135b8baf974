// Sequences of tokens to learn from, by number: what a text's windows, its lines and files of
// records look like to the batches. Immutable; any thread may ask.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pawl::text {

// Sequences end to end: what a rollout::SequenceBatch views.
struct TokenBatch {
  std::vector<int32_t> tokens;     // [S]
  std::vector<int32_t> starts;     // [B + 1]
  std::vector<uint8_t> is_target;  // [S]
  int64_t truncated = 0;           // sequences that were cut to the context
  int64_t dropped = 0;             // sequences that were drawn but left out
  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }
  // Tokens the model is run on: all but the last of each sequence.
  int64_t inputs() const { return static_cast<int64_t>(tokens.size()) - sequences(); }
  // Adds a sequence without its targets; returns where its tokens begin.
  size_t Begin(size_t num_tokens);
};

class SequenceSource {
 public:
  virtual ~SequenceSource() = default;
  // Files that may have weights; a source without them is one part.
  virtual size_t parts() const { return 1; }
  // Sequences of a part in order, all of it.
  virtual int64_t part_sequences(size_t part) const = 0;
  // Those of one epoch of training.
  virtual int64_t epoch_sequences(size_t part) const { return part_sequences(part); }
  // Adds one. `epoch_key`: a random number of the epoch, 0 in order. False: it cannot be used, and
  // was counted in `batch`.
  virtual bool Add(size_t part, int64_t index, uint64_t epoch_key, TokenBatch& batch) const = 0;
  // Longest sequence, less one.
  virtual int64_t context() const = 0;
  // Of all that it gives.
  virtual uint32_t Checksum() const = 0;

  int64_t sequences() const;
  bool empty() const { return sequences() == 0; }
  // `count` sequences spread evenly over all, as batches of `per_batch`; count 0: every one.
  std::vector<TokenBatch> Spread(int64_t count, int64_t per_batch) const;
};

// The batches of Spread one by one, for what should not be in memory all at once.
class SpreadBatches {
 public:
  // The source must outlive this.
  SpreadBatches(const SequenceSource& source, int64_t count, int64_t per_batch);
  int64_t batches() const { return (chosen_ + per_batch_ - 1) / per_batch_; }
  // False at the end.
  bool Next(TokenBatch& batch);

 private:
  const SequenceSource& source_;
  int64_t all_, chosen_, per_batch_, next_ = 0;
};

}  // namespace pawl::text
