#include "text/sequence_source.h"

#include <algorithm>

namespace pawl::text {

size_t TokenBatch::Begin(size_t num_tokens) {
  if (starts.empty()) starts.push_back(0);
  const size_t first = tokens.size();
  tokens.resize(first + num_tokens);
  is_target.resize(first + num_tokens, 0);
  starts.push_back(static_cast<int32_t>(tokens.size()));
  return first;
}

int64_t SequenceSource::sequences() const {
  int64_t all = 0;
  for (size_t part = 0; part < parts(); ++part) all += part_sequences(part);
  return all;
}

std::vector<TokenBatch> SequenceSource::Spread(int64_t count, int64_t per_batch) const {
  std::vector<TokenBatch> batches;
  SpreadBatches spread(*this, count, per_batch);
  TokenBatch batch;
  while (spread.Next(batch)) batches.push_back(std::move(batch));
  return batches;
}

SpreadBatches::SpreadBatches(const SequenceSource& source, int64_t count, int64_t per_batch)
    : source_(source),
      all_(source.sequences()),
      chosen_(count == 0 ? all_ : std::min(count, all_)),
      per_batch_(per_batch) {}

bool SpreadBatches::Next(TokenBatch& batch) {
  batch = {};
  while (next_ < chosen_ && (batch.starts.empty() || batch.sequences() < per_batch_)) {
    int64_t index = next_++ * all_ / chosen_;
    size_t part = 0;
    while (index >= source_.part_sequences(part)) index -= source_.part_sequences(part++);
    source_.Add(part, index, /*epoch_key=*/0, batch);
  }
  return !batch.starts.empty();
}

}  // namespace pawl::text
