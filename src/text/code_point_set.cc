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

CharClass::CharClass(const CodePointSet& set) : index_((kMaxCodePoint + 1) >> kPageBits, 0) {
  constexpr char32_t kPageSize = 1 << kPageBits;
  pages_.resize(2);  // none and all of a page, which most pages are
  pages_[1].fill(~uint64_t{0});
  for (const CodePointRange& range : set.ranges()) {
    for (char32_t c = range.first; c <= range.last;) {
      const char32_t page_end = (c | (kPageSize - 1)) + 1;
      const char32_t end = std::min<char32_t>(range.last + 1, page_end);
      uint16_t& index = index_[c >> kPageBits];
      if (end - c == kPageSize) {
        index = 1;
      } else {
        if (index == 0) {
          index = static_cast<uint16_t>(pages_.size());
          pages_.emplace_back();
        }
        for (char32_t i = c; i < end; ++i) pages_[index][i >> 6 & 3] |= uint64_t{1} << (i & 63);
      }
      c = end;
    }
  }
  for (char32_t c = 0; c < 0x80; ++c) bytes_[c] = Contains(c) ? kYes : kNo;
  // a lead byte stands for a whole range of code points
  for (const CodePointRange& range : set.ranges()) {
    if (range.last < 0x80) continue;
    const std::string first = ToUtf8(std::max(range.first, char32_t{0x80}));
    const std::string last = ToUtf8(range.last);
    for (int b = static_cast<uint8_t>(first[0]); b <= static_cast<uint8_t>(last[0]); ++b) {
      bytes_[static_cast<size_t>(b)] = kLookUp;
    }
  }
}

}  // namespace pawl::text::internal
