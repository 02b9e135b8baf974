// Where a word can be cut before it is merged. No merge ever reaches across two neighbours a b
// unless some merge's left token ends in a and its right one begins with b: then the parts on both
// sides are encoded each for itself, and whole texts (SentencePiece's words) become short words.
// Exact, not a guess.
#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/code_point_map.h"

namespace pawl::text {

class CutPoints {
 public:
  // Some merge joins these two: bytes or code points.
  void AddByteJoin(uint8_t left, uint8_t right) { joins_.set(size_t{left} << 8 | right); }
  void AddJoin(char32_t left, char32_t right);

  // The end of the part that begins at `begin`: the nearest place where the word may be cut, or its
  // end. `known`: the characters that are tokens; others stay with their neighbours.
  size_t NextCut(std::string_view text, size_t begin, const CodePointMap& known) const;
  size_t NextByteCut(std::string_view bytes, size_t begin) const;

 private:
  bool Joins(char32_t left, char32_t right) const;
  std::bitset<65536> joins_;          // of bytes, or of code points below 256
  std::vector<uint64_t> wide_joins_;  // of the others: open addressing, a power of two
  size_t wide_count_ = 0;
};

}  // namespace pawl::text
