#include "text/text_dataset.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/file.h"
#include "core/rng.h"

namespace pawl::text {
namespace {
// [data] has no stream of its own among the minibatches' (core/rng.h): a language run shuffles
// nothing else. The offset is drawn first, the permutation follows on the same stream.
core::Philox EpochStream(uint64_t seed, int64_t epoch) {
  return {seed, core::Role::kShuffle, /*index=*/0, static_cast<uint64_t>(epoch)};
}
}  // namespace

void TokenArray::Append(std::span<const int32_t> ids) {
  if (wide_) {
    four_bytes_.insert(four_bytes_.end(), ids.begin(), ids.end());
  } else {
    for (const int32_t id : ids) two_bytes_.push_back(static_cast<uint16_t>(id));
  }
}

void TokenArray::CopyTo(int64_t begin, std::span<int32_t> out) const {
  PAWL_CHECK(begin >= 0 && begin + static_cast<int64_t>(out.size()) <= size(),
             "tokens {} to {} of {}", begin, begin + static_cast<int64_t>(out.size()), size());
  if (wide_) {
    std::copy_n(four_bytes_.begin() + begin, out.size(), out.begin());
  } else {
    std::copy_n(two_bytes_.begin() + begin, out.size(), out.begin());
  }
}

TokenArray TokenArray::SplitOff(int64_t begin) {
  TokenArray tail;
  tail.wide_ = wide_;
  const auto split = [begin](auto& from, auto& to) {
    to.assign(from.begin() + begin, from.end());
    from.resize(static_cast<size_t>(begin));
  };
  if (wide_) {
    split(four_bytes_, tail.four_bytes_);
  } else {
    split(two_bytes_, tail.two_bytes_);
  }
  return tail;
}

uint32_t TokenArray::Checksum() const {
  return wide_ ? core::Crc32c(std::as_bytes(std::span(four_bytes_)))
               : core::Crc32c(std::as_bytes(std::span(two_bytes_)));
}

TextDataset::TextDataset(TokenArray tokens, int64_t context)
    : tokens_(std::move(tokens)),
      context_(context),
      sequences_(std::max<int64_t>(0, (tokens_.size() - 1 + context - 1) / context)) {}

TextDataset::TextDataset(TokenArray tokens, std::vector<Line> lines, int64_t context)
    : tokens_(std::move(tokens)),
      lines_(std::move(lines)),
      context_(context),
      sequences_(static_cast<int64_t>(lines_.size())) {}

void TextDataset::AddSequence(int64_t index, int64_t offset, TokenBatch& batch) const {
  PAWL_CHECK(index >= 0 && index < sequences_, "sequence {} of {}", index, sequences_);
  int64_t begin = 0, end = 0, prompt = 1;
  if (lines_.empty()) {
    begin = index * context_ + offset;
    end = std::min(begin + context_ + 1, tokens_.size());
  } else {
    const Line& line = lines_[static_cast<size_t>(index)];
    begin = line.begin;
    end = index + 1 < sequences_ ? lines_[static_cast<size_t>(index) + 1].begin : tokens_.size();
    prompt = line.prompt;
    batch.truncated += line.truncated ? 1 : 0;
  }
  if (batch.starts.empty()) batch.starts.push_back(0);
  const size_t first = batch.tokens.size();
  const auto count = static_cast<size_t>(end - begin);
  batch.tokens.resize(first + count);
  tokens_.CopyTo(begin, std::span(batch.tokens).subspan(first));
  batch.is_target.resize(first + count, 1);
  std::fill_n(batch.is_target.begin() + static_cast<int64_t>(first), prompt, uint8_t{0});
  batch.starts.push_back(static_cast<int32_t>(batch.tokens.size()));
}

std::vector<TokenBatch> TextDataset::Spread(int64_t count, int64_t per_batch) const {
  const int64_t chosen = count == 0 ? sequences_ : std::min(count, sequences_);
  std::vector<TokenBatch> batches;
  for (int64_t i = 0; i < chosen; ++i) {
    if (i % per_batch == 0) batches.emplace_back();
    AddSequence(i * sequences_ / chosen, 0, batches.back());
  }
  return batches;
}

ShuffledBatches::ShuffledBatches(const TextDataset& data, uint64_t seed,
                                 int64_t sequences_per_batch)
    : data_(data),
      seed_(seed),
      per_batch_(sequences_per_batch),
      epoch_sequences_(data.sequences()) {
  PAWL_CHECK(!data.empty(), "no sequence to learn from");
  if (data.is_lines()) return;
  // all but one of the whole windows, so that the offset has room: slack_ of 1 to 2 contexts
  const int64_t whole = (data.tokens() - 1) / data.context();
  PAWL_CHECK_GE(whole, 1, "a text shorter than a window");
  epoch_sequences_ = std::max<int64_t>(1, whole - 1);
  slack_ = data.tokens() - 1 - epoch_sequences_ * data.context();
}

void ShuffledBatches::EnterEpoch(int64_t epoch) {
  if (epoch == epoch_) return;
  core::Philox rng = EpochStream(seed_, epoch);
  offset_ = slack_ > 0 ? rng.Below(static_cast<uint32_t>(slack_ + 1)) : 0;
  order_.resize(static_cast<size_t>(epoch_sequences_));
  std::iota(order_.begin(), order_.end(), 0);
  // Fisher-Yates
  for (auto i = static_cast<uint32_t>(order_.size()); i > 1; --i) {
    std::swap(order_[i - 1], order_[rng.Below(i)]);
  }
  epoch_ = epoch;
}

TokenBatch ShuffledBatches::Batch(int64_t update) {
  TokenBatch batch;
  for (int64_t i = update * per_batch_; i < (update + 1) * per_batch_; ++i) {
    EnterEpoch(i / epoch_sequences_);
    data_.AddSequence(order_[static_cast<size_t>(i % epoch_sequences_)], offset_, batch);
  }
  return batch;
}

}  // namespace pawl::text
