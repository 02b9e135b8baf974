#include "text/shuffled_batches.h"

#include <algorithm>

#include "core/error.h"
#include "text/packing.h"

namespace pawl::text {
namespace {
constexpr uint64_t kPoolStream = UINT32_MAX - 1;  // beside those of draw_order.cc

std::vector<int64_t> EpochSizes(const SequenceSource& source) {
  std::vector<int64_t> sizes;
  for (size_t part = 0; part < source.parts(); ++part)
    sizes.push_back(source.epoch_sequences(part));
  return sizes;
}
}  // namespace

ShuffledBatches::ShuffledBatches(const SequenceSource& source, const BatchOptions& options)
    : source_(source),
      options_(options),
      order_(EpochSizes(source), options_.weights, options_.seed) {}

void ShuffledBatches::CountUnused(bool used) {
  unused_ = used ? 0 : unused_ + 1;
  if (unused_ <= order_.epoch_draws()) return;
  throw UserError({.what = "no record of a whole epoch can be used",
                   .where = "data.files",
                   .expected = "records within data.context, data.min_tokens and "
                               "data.max_prompt_tokens that leave something to learn",
                   .hint = "pawl data inspect shows their lengths"});
}

TokenBatch ShuffledBatches::Next() {
  if (options_.pack) return NextRows();
  TokenBatch batch;
  while (batch.starts.empty() || batch.sequences() < options_.sequences) {
    const Draw draw = order_.At(cursor_.draw++);
    CountUnused(source_.Add(draw.part, draw.index, draw.epoch_key, batch));
  }
  return batch;
}

void ShuffledBatches::FillPool(int64_t draw) {
  if (pool_draw_ == draw) return;
  pool_ = {};
  for (int64_t i = draw; i < draw + kPool; ++i) {
    const Draw at = order_.At(i);
    CountUnused(source_.Add(at.part, at.index, at.epoch_key, pool_));
  }
  std::vector<int64_t> lengths;
  for (size_t i = 1; i < pool_.starts.size(); ++i)
    lengths.push_back(pool_.starts[i] - pool_.starts[i - 1]);
  rows_ = PackBestFit(lengths, source_.context() + 1);
  // best fit has the longest sequences first: their order is drawn anew
  core::Philox rng(options_.seed, core::Role::kShuffle, kPoolStream, static_cast<uint64_t>(draw));
  for (auto i = static_cast<uint32_t>(rows_.size()); i > 1; --i)
    std::swap(rows_[i - 1], rows_[rng.Below(i)]);
  pool_draw_ = draw;
}

TokenBatch ShuffledBatches::NextRows() {
  TokenBatch batch;
  for (int64_t row = 0; row < options_.sequences;) {
    FillPool(cursor_.draw);
    if (cursor_.row == 0) {
      // counted once, by the batch that takes the first row
      batch.truncated += pool_.truncated;
      batch.dropped += pool_.dropped;
    }
    if (cursor_.row >= static_cast<int64_t>(rows_.size())) {
      cursor_ = {.draw = cursor_.draw + kPool};
      continue;
    }
    for (const int32_t index : rows_[static_cast<size_t>(cursor_.row)]) {
      const auto from = static_cast<size_t>(pool_.starts[static_cast<size_t>(index)]);
      const auto to = static_cast<size_t>(pool_.starts[static_cast<size_t>(index) + 1]);
      const auto first = static_cast<int64_t>(batch.Begin(to - from));
      std::copy_n(pool_.tokens.begin() + static_cast<int64_t>(from), to - from,
                  batch.tokens.begin() + first);
      std::copy_n(pool_.is_target.begin() + static_cast<int64_t>(from), to - from,
                  batch.is_target.begin() + first);
    }
    ++cursor_.row;
    ++row;
  }
  return batch;
}

}  // namespace pawl::text
