// Merges the symbols of one word: the pair of the lowest rank first, of equal ones the leftmost,
// until none is left. What byte-pair encoding is, on any model's tables.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "text/merge_table.h"

namespace pawl::text {

struct BpeSymbol {
  int32_t id = -1;
  uint32_t size = 0;  // bytes of the word
};

// Memory that is used again from word to word; one thread at a time.
class BpeMerger {
 public:
  // Merges in place; time O(n log n) in the number of symbols (at most 2^31).
  void Merge(const MergeTable& table, std::vector<BpeSymbol>& symbols);

 private:
  struct Candidate {
    uint64_t order = 0;  // rank, then place
    bool operator>(const Candidate& other) const { return order > other.order; }
  };
  void MergeLong(const MergeTable& table, std::vector<BpeSymbol>& symbols);
  void Offer(uint32_t at);

  std::vector<MergeTable::Merge> merge_;  // of the pair that begins at a place
  std::vector<uint32_t> next_, previous_;
  std::vector<Candidate> heap_;
};

}  // namespace pawl::text
