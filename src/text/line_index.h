// Where the lines of a file stand, in one and a half bytes a line: the offset of every 16th, and
// for each line to which side of the hold-out it belongs, if to any. Filled once, then immutable.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pawl::text {

enum class Side : uint8_t { kTrain, kHeldOut };

// Whether line `number` (from 1) is held out: spread evenly over the file, a function of the number
// and the share alone, so that lines added at the end move no other.
bool IsHeldOut(int64_t number, double share);

class LineIndex {
 public:
  static constexpr int kBlockLines = 16;
  // Where to find a line: `skip` lines after that at `offset`, whose number is `number`.
  struct Place {
    int64_t offset = 0, number = 0;
    int skip = 0;
  };
  // The next line, in order; `used`: it is a record.
  void Add(int64_t offset, bool used, Side side);
  int64_t lines() const { return lines_; }
  int64_t size(Side side) const { return sizes_[static_cast<size_t>(side)]; }
  // The index-th line of a side, index < size(side).
  Place Find(Side side, int64_t index) const;
  int64_t bytes() const { return static_cast<int64_t>(blocks_.capacity() * sizeof(Block)); }

 private:
  struct Block {
    int64_t offset = 0;
    std::array<uint32_t, 2> before{};  // lines of each side before the block
    std::array<uint16_t, 2> bits{};    // lines of each side in it
  };
  std::vector<Block> blocks_;
  int64_t lines_ = 0;
  std::array<int64_t, 2> sizes_{};
};

}  // namespace pawl::text
