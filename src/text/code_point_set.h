// Sets of code points: CodePointSet is the algebra (sorted ranges) in which a pattern is read,
// CharClass the table that a match looks into. Beneath regex.h. Values; a const one, any thread.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "text/unicode_tables.h"

namespace pawl::text::internal {

class CodePointSet {
 public:
  CodePointSet() = default;
  static CodePointSet Of(char32_t first, char32_t last);
  static CodePointSet All() { return Of(0, kMaxCodePoint); }
  static CodePointSet OfCategories(CategorySet categories);
  // Ascending ranges that do not touch.
  static CodePointSet OfRanges(std::span<const CodePointRange> ranges);

  CodePointSet Union(const CodePointSet& other) const;
  CodePointSet Intersection(const CodePointSet& other) const;
  CodePointSet Complement() const;
  bool Intersects(const CodePointSet& other) const;
  bool Contains(char32_t code_point) const;
  bool empty() const { return ranges_.empty(); }
  // The bytes with which the members begin in UTF-8.
  std::array<bool, 256> FirstBytes() const;
  // The only member, where there is exactly one.
  bool IsSingle() const { return ranges_.size() == 1 && ranges_[0].first == ranges_[0].last; }
  const std::vector<CodePointRange>& ranges() const { return ranges_; }
  bool operator==(const CodePointSet&) const = default;

 private:
  std::vector<CodePointRange> ranges_;  // ascending, neither overlapping nor adjacent
};

// Membership in two loads. Bytes of ASCII have a table of their own.
class CharClass {
 public:
  enum : uint8_t { kNo = 0, kYes = 1, kLookUp = 2 };
  explicit CharClass(const CodePointSet& set);
  // kYes or kNo for ASCII, kLookUp for the first byte of anything longer (kNo where no member is).
  const uint8_t* bytes() const { return bytes_.data(); }
  bool Contains(char32_t code_point) const {
    const Page& page = pages_[index_[code_point >> kPageBits]];
    return (page[code_point >> 6 & 3] >> (code_point & 63) & 1) != 0;
  }

 private:
  static constexpr int kPageBits = 8;
  using Page = std::array<uint64_t, 4>;
  std::array<uint8_t, 256> bytes_{};
  std::vector<uint16_t> index_;  // [0x1100] page of 256 code points
  std::vector<Page> pages_;
};

}  // namespace pawl::text::internal
