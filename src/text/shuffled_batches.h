// The batches of a run, one after the other: sequences drawn from a source (draw_order.h), packed
// where the config says so. What comes next is a function of the seed and a cursor of two numbers,
// so that a run resumes exactly and at once. One thread at a time.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "text/draw_order.h"
#include "text/sequence_source.h"

namespace pawl::text {

// Where the next batch begins. A batch without packing and dropped sequences begins at draw
// update * sequences, row 0.
struct BatchCursor {
  int64_t draw = 0;
  int64_t row = 0;  // packing: rows of the pool at `draw` that are used up
  bool operator==(const BatchCursor&) const = default;
};

struct BatchOptions {
  uint64_t seed = 1;
  int64_t sequences = 1;  // of a batch; rows where packing
  bool pack = false;
  std::vector<double> weights;  // of the source's parts; empty: none
};

class ShuffledBatches {
 public:
  // Draws that are packed together.
  static constexpr int64_t kPool = 1000;

  // The source must outlive this and hold a sequence.
  ShuffledBatches(const SequenceSource& source, const BatchOptions& options);
  ShuffledBatches(const SequenceSource& source, uint64_t seed, int64_t sequences_per_batch)
      : ShuffledBatches(source, {.seed = seed, .sequences = sequences_per_batch, .weights = {}}) {}

  // Throws UserError where a whole epoch has nothing that can be used.
  TokenBatch Next();
  BatchCursor cursor() const { return cursor_; }
  void Seek(const BatchCursor& cursor) { cursor_ = cursor; }
  // The batch of an update, where nothing is packed or dropped.
  TokenBatch Batch(int64_t update) {
    Seek({.draw = update * options_.sequences});
    return Next();
  }
  // Draws of an epoch.
  int64_t epoch_sequences() const { return order_.epoch_draws(); }

 private:
  TokenBatch NextRows();
  void FillPool(int64_t draw);
  void CountUnused(bool used);
  const SequenceSource& source_;
  BatchOptions options_;
  DrawOrder order_;
  BatchCursor cursor_;
  int64_t unused_ = 0;  // draws in a row that gave nothing
  // packing: the sequences of kPool draws, and the rows that they fill
  int64_t pool_draw_ = -1;
  TokenBatch pool_;
  std::vector<std::vector<int32_t>> rows_;
};

}  // namespace pawl::text
