#include "text/text_dataset.h"

#include <algorithm>

#include "core/error.h"
#include "core/file.h"

namespace pawl::text {
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

int64_t TextDataset::epoch_sequences(size_t) const {
  if (!lines_.empty()) return sequences_;
  const int64_t whole = (tokens_.size() - 1) / context_;
  PAWL_CHECK_GE(whole, 1, "a text shorter than a window");
  return std::max<int64_t>(1, whole - 1);
}

bool TextDataset::Add(size_t, int64_t index, uint64_t epoch_key, TokenBatch& batch) const {
  PAWL_CHECK(index >= 0 && index < sequences_, "sequence {} of {}", index, sequences_);
  int64_t begin = 0, end = 0, prompt = 1;
  if (lines_.empty()) {
    begin = index * context_;
    if (epoch_key != 0) {
      const int64_t slack = tokens_.size() - 1 - epoch_sequences(0) * context_;
      begin += static_cast<int64_t>(epoch_key % static_cast<uint64_t>(slack + 1));
    }
    end = std::min(begin + context_ + 1, tokens_.size());
  } else {
    const Line& line = lines_[static_cast<size_t>(index)];
    begin = line.begin;
    end = index + 1 < sequences_ ? lines_[static_cast<size_t>(index) + 1].begin : tokens_.size();
    prompt = line.prompt;
    batch.truncated += line.truncated ? 1 : 0;
  }
  const size_t first = batch.Begin(static_cast<size_t>(end - begin));
  tokens_.CopyTo(begin, std::span(batch.tokens).subspan(first));
  std::fill(batch.is_target.begin() + static_cast<int64_t>(first) + prompt, batch.is_target.end(),
            uint8_t{1});
  return true;
}

}  // namespace pawl::text
