#include "text/record_source.h"

#include <algorithm>

#include "core/error.h"

namespace pawl::text {

RecordSource::RecordSource(const RecordSet& records, Side side, TextCodec codec,
                           SequenceOptions options)
    : records_(records), side_(side), codec_(std::move(codec)), options_(std::move(options)) {}

bool RecordSource::Encode(size_t part, int64_t index, Sequence& sequence, Fit& fit) const {
  Record record;
  if (!records_.Read(part, side_, index, record)) return false;
  try {
    sequence = EncodeSequence(record, codec_, options_);
    fit = FitSequence(sequence, options_);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", records_.PlaceOf(part, side_, index), error.what()),
                error.exit_code());
  }
  return true;
}

bool RecordSource::Add(size_t part, int64_t index, uint64_t, TokenBatch& batch) const {
  Sequence sequence;
  Fit fit = Fit::kKept;
  if (!Encode(part, index, sequence, fit) || !IsKept(fit)) {
    ++batch.dropped;
    return false;
  }
  batch.truncated += fit == Fit::kTruncated ? 1 : 0;
  const auto first = static_cast<int64_t>(batch.Begin(sequence.tokens.size()));
  std::ranges::copy(sequence.tokens, batch.tokens.begin() + first);
  std::ranges::copy(sequence.is_target, batch.is_target.begin() + first);
  return true;
}

}  // namespace pawl::text
