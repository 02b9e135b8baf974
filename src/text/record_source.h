// One side of a record set as sequences of tokens, each read, rendered and tokenised when it is
// asked for. Immutable; any thread may ask.
#pragma once
#include "text/record_encoder.h"
#include "text/record_set.h"
#include "text/sequence_source.h"

namespace pawl::text {

class RecordSource : public SequenceSource {
 public:
  // The records must outlive this, and so must what the codec refers to.
  RecordSource(const RecordSet& records, Side side, TextCodec codec, SequenceOptions options);
  size_t parts() const override { return records_.files(); }
  int64_t part_sequences(size_t part) const override { return records_.size(part, side_); }
  // Throws UserError with the record's file and line for what EncodeSequence or FitSequence refuse.
  bool Add(size_t part, int64_t index, uint64_t epoch_key, TokenBatch& batch) const override;
  int64_t context() const override { return options_.max_tokens - 1; }
  // Of the bytes of the files.
  uint32_t Checksum() const override { return records_.checksum(); }
  // One sequence as it is before it is cut, and what becomes of it. False: a bad line.
  bool Encode(size_t part, int64_t index, Sequence& sequence, Fit& fit) const;

 private:
  const RecordSet& records_;
  Side side_;
  TextCodec codec_;
  SequenceOptions options_;
};

}  // namespace pawl::text
