#include "text/line_index.h"

#include <algorithm>

#include "core/error.h"

namespace pawl::text {

bool IsHeldOut(int64_t number, double share) {
  // multiples of the golden ratio, modulo one: every stretch of lines has its share
  const uint64_t place = static_cast<uint64_t>(number) * 0x9E3779B97F4A7C15u;
  return static_cast<double>(place >> 11) * 0x1p-53 < share;
}

void LineIndex::Add(int64_t offset, bool used, Side side) {
  const auto at = static_cast<int>(lines_ % kBlockLines);
  if (at == 0) {
    PAWL_CHECK_LT(lines_, int64_t{UINT32_MAX} - kBlockLines, "lines of a file");
    blocks_.push_back(
        {.offset = offset,
         .before = {static_cast<uint32_t>(sizes_[0]), static_cast<uint32_t>(sizes_[1])}});
  }
  ++lines_;
  if (!used) return;
  const auto which = static_cast<size_t>(side);
  blocks_.back().bits[which] |= static_cast<uint16_t>(1u << at);
  ++sizes_[which];
}

LineIndex::Place LineIndex::Find(Side side, int64_t index) const {
  PAWL_CHECK(index >= 0 && index < size(side), "line {} of {}", index, size(side));
  const auto which = static_cast<size_t>(side);
  // the last block with no more than `index` lines before it
  const auto after = std::upper_bound(blocks_.begin(), blocks_.end(), index,
                                      [which](int64_t value, const Block& block) {
                                        return value < static_cast<int64_t>(block.before[which]);
                                      });
  const auto block = after - 1;
  unsigned bits = block->bits[which];
  for (int64_t left = index - block->before[which]; left > 0; --left) bits &= bits - 1;
  const int64_t first = (block - blocks_.begin()) * kBlockLines;
  return {block->offset, first + 1, __builtin_ctz(bits)};
}

}  // namespace pawl::text
