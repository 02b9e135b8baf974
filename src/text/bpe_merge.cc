#include "text/bpe_merge.h"

#include <algorithm>
#include <array>
#include <functional>

namespace pawl::text {
namespace {
// up to here moving the rest of a word costs less than a heap
constexpr size_t kShortWord = 40;
constexpr uint32_t kNone = UINT32_MAX;

void MergeShort(const MergeTable& table, std::vector<BpeSymbol>& symbols) {
  std::array<MergeTable::Merge, kShortWord> merge;  // of symbols i and i + 1
  size_t size = symbols.size();
  for (size_t i = 0; i + 1 < size; ++i) merge[i] = table.Find(symbols[i].id, symbols[i + 1].id);
  while (size > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i) {
      if (merge[i].rank < merge[best].rank) best = i;
    }
    if (merge[best].rank == MergeTable::kNoRank) break;
    symbols[best] = {merge[best].id, symbols[best].size + symbols[best + 1].size};
    for (size_t i = best + 1; i + 1 < size; ++i) {
      symbols[i] = symbols[i + 1];
      merge[i - 1] = merge[i];
    }
    --size;
    if (best > 0) merge[best - 1] = table.Find(symbols[best - 1].id, symbols[best].id);
    if (best + 1 < size) merge[best] = table.Find(symbols[best].id, symbols[best + 1].id);
  }
  symbols.resize(size);
}
}  // namespace

void BpeMerger::Merge(const MergeTable& table, std::vector<BpeSymbol>& symbols) {
  if (symbols.size() < 2 || table.empty()) return;
  if (symbols.size() <= kShortWord) {
    MergeShort(table, symbols);
  } else {
    MergeLong(table, symbols);
  }
}

void BpeMerger::Offer(uint32_t at) {
  if (merge_[at].rank == MergeTable::kNoRank) return;
  heap_.push_back({static_cast<uint64_t>(merge_[at].rank) << 32 | at});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

void BpeMerger::MergeLong(const MergeTable& table, std::vector<BpeSymbol>& symbols) {
  const auto size = static_cast<uint32_t>(symbols.size());
  merge_.assign(size, {});
  next_.resize(size);
  previous_.resize(size);
  heap_.clear();
  for (uint32_t i = 0; i < size; ++i) {
    next_[i] = i + 1 < size ? i + 1 : kNone;
    previous_[i] = i > 0 ? i - 1 : kNone;
    if (i + 1 == size) break;
    merge_[i] = table.Find(symbols[i].id, symbols[i + 1].id);
    if (merge_[i].rank != MergeTable::kNoRank)
      heap_.push_back({static_cast<uint64_t>(merge_[i].rank) << 32 | i});
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  const auto look_up = [&](uint32_t at) {
    const uint32_t right = next_[at];
    merge_[at] =
        right == kNone ? MergeTable::Merge{} : table.Find(symbols[at].id, symbols[right].id);
    Offer(at);
  };
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const uint64_t order = heap_.back().order;
    heap_.pop_back();
    const auto at = static_cast<uint32_t>(order);
    // the pair may be gone, or another one may stand there by now
    if (merge_[at].rank != order >> 32) continue;
    const uint32_t right = next_[at];
    symbols[at] = {merge_[at].id, symbols[at].size + symbols[right].size};
    symbols[right].id = -1;
    merge_[right] = {};
    next_[at] = next_[right];
    if (next_[at] != kNone) previous_[next_[at]] = at;
    look_up(at);
    if (previous_[at] != kNone) look_up(previous_[at]);
  }
  std::erase_if(symbols, [](const BpeSymbol& symbol) { return symbol.id < 0; });
}

}  // namespace pawl::text
