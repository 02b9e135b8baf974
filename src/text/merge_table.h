// The merges of a byte-pair encoding: as they are read (MergeList) and as they are looked up
// (MergeTable: a pair of ids to its rank and the id of the whole).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::text {

// Pairs of tokens in the order of their ranks, end to end in one buffer.
class MergeList {
 public:
  void Add(std::string_view left, std::string_view right);
  size_t size() const { return places_.size(); }
  std::string_view Left(size_t rank) const;
  std::string_view Right(size_t rank) const;

 private:
  struct Place {
    size_t begin = 0;
    uint32_t left = 0, right = 0;  // bytes
  };
  std::string text_;
  std::vector<Place> places_;
};

class MergeTable {
 public:
  static constexpr uint32_t kNoRank = UINT32_MAX;
  struct Merge {
    uint32_t rank = kNoRank;  // kNoRank: the pair is not merged
    int32_t id = -1;
  };
  explicit MergeTable(size_t merges = 0);
  // A pair that is there gets the new rank, as in the package.
  void Add(int32_t left, int32_t right, Merge merge);
  Merge Find(int32_t left, int32_t right) const {
    const uint64_t key = Key(left, right);
    for (size_t at = Hash(key) >> shift_;; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].merge;
      if (slots_[at].key == kEmpty) return {};
    }
  }
  bool empty() const { return empty_; }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  static uint64_t Hash(uint64_t key) {
    key ^= key >> 29;
    return key * 0x9E3779B97F4A7C15u;  // the upper bits are used
  }
  std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
  size_t mask_ = 0;
  int shift_ = 63;
  bool empty_ = true;
};

}  // namespace pawl::text
