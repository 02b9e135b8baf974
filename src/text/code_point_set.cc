#include "text/code_point_set.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "text/utf8.h"

namespace pawl::text::internal {

CodePointSet CodePointSet::Of(char32_t first, char32_t last) {
  CodePointSet set;
  set.ranges_.push_back({first, last});
  return set;
}

CodePointSet CodePointSet::OfRanges(std::span<const CodePointRange> ranges) {
  CodePointSet set;
  set.ranges_.assign(ranges.begin(), ranges.end());
  return set;
}

CodePointSet CodePointSet::OfCategories(CategorySet categories) {
  CodePointSet set;
  char32_t begin = 0;
  bool inside = false;
  for (const uint32_t run : CategoryRuns()) {
    const char32_t first = run >> 5;
    const bool member = (categories >> (run & 31) & 1) != 0;
    if (member && !inside) begin = first;
    if (!member && inside) set.ranges_.push_back({begin, first - 1});
    inside = member;
  }
  if (inside) set.ranges_.push_back({begin, kMaxCodePoint});
  return set;
}

CodePointSet CodePointSet::Union(const CodePointSet& other) const {
  std::vector<CodePointRange> all;
  all.reserve(ranges_.size() + other.ranges_.size());
  std::merge(ranges_.begin(), ranges_.end(), other.ranges_.begin(), other.ranges_.end(),
             std::back_inserter(all),
             [](const CodePointRange& a, const CodePointRange& b) { return a.first < b.first; });
  CodePointSet set;
  for (const CodePointRange& range : all) {
    if (!set.ranges_.empty() && range.first <= set.ranges_.back().last + 1) {
      set.ranges_.back().last = std::max(set.ranges_.back().last, range.last);
    } else {
      set.ranges_.push_back(range);
    }
  }
  return set;
}

CodePointSet CodePointSet::Intersection(const CodePointSet& other) const {
  CodePointSet set;
  size_t i = 0, j = 0;
  while (i < ranges_.size() && j < other.ranges_.size()) {
    const CodePointRange &a = ranges_[i], &b = other.ranges_[j];
    const char32_t first = std::max(a.first, b.first), last = std::min(a.last, b.last);
    if (first <= last) set.ranges_.push_back({first, last});
    a.last < b.last ? ++i : ++j;
  }
  return set;
}

CodePointSet CodePointSet::Complement() const {
  CodePointSet set;
  char32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (range.first > next) set.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kMaxCodePoint) set.ranges_.push_back({next, kMaxCodePoint});
  return set;
}

bool CodePointSet::Intersects(const CodePointSet& other) const {
  size_t i = 0, j = 0;
  while (i < ranges_.size() && j < other.ranges_.size()) {
    const CodePointRange &a = ranges_[i], &b = other.ranges_[j];
    if (std::max(a.first, b.first) <= std::min(a.last, b.last)) return true;
    a.last < b.last ? ++i : ++j;
  }
  return false;
}

bool CodePointSet::Contains(char32_t code_point) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), code_point,
                       [](char32_t c, const CodePointRange& r) { return c < r.first; });
  return after != ranges_.begin() && code_point <= std::prev(after)->last;
}

std::array<bool, 256> CodePointSet::FirstBytes() const {
  std::array<bool, 256> bytes{};
  for (const CodePointRange& range : ranges_) {
    for (char32_t c = range.first; c < 0x80 && c <= range.last; ++c) bytes[c] = true;
    if (range.last < 0x80) continue;
    // a lead byte stands for a whole range of code points
    const std::string first = ToUtf8(std::max(range.first, char32_t{0x80}));
    const std::string last = ToUtf8(range.last);
    const auto end = bytes.begin() + static_cast<uint8_t>(last[0]) + 1;
    std::fill(bytes.begin() + static_cast<uint8_t>(first[0]), end, true);
  }
  return bytes;
}

CharClass::CharClass(const CodePointSet& set) : index_((kMaxCodePoint + 1) >> kPageBits, 0) {
  constexpr char32_t kPageSize = 1 << kPageBits;
  pages_.resize(2);  // none and all of a page, which most pages are
  pages_[1].fill(~uint64_t{0});
  for (const CodePointRange& range : set.ranges()) {
    for (char32_t c = range.first; c <= range.last;) {
      const char32_t page_last = std::min<char32_t>(range.last, c | (kPageSize - 1));
      uint16_t& index = index_[c >> kPageBits];
      if (page_last - c == kPageSize - 1) {
        index = 1;
        c = page_last + 1;
        continue;
      }
      if (index == 0) {
        index = static_cast<uint16_t>(pages_.size());
        pages_.emplace_back();
      }
      // 64 code points at a time
      while (c <= page_last) {
        const char32_t last = std::min<char32_t>(page_last, c | 63);
        const uint64_t bits = ~uint64_t{0} >> (63 - (last - c)) << (c & 63);
        pages_[index][c >> 6 & 3] |= bits;
        c = last + 1;
      }
    }
  }
  const std::array<bool, 256> first = set.FirstBytes();
  for (size_t b = 0; b < 256; ++b) bytes_[b] = !first[b] ? kNo : b < 0x80 ? kYes : kLookUp;
}

}  // namespace pawl::text::internal
