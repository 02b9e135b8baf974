#include "text/cut_points.h"

#include "text/utf8.h"

namespace pawl::text {
namespace {
constexpr uint64_t kEmpty = UINT64_MAX;

uint64_t KeyOf(char32_t left, char32_t right) { return static_cast<uint64_t>(left) << 32 | right; }

size_t PlaceOf(uint64_t key) { return (key ^ key >> 23) * 0x9E3779B97F4A7C15u >> 20; }

void Insert(std::vector<uint64_t>& table, uint64_t key, size_t& count) {
  const size_t mask = table.size() - 1;
  size_t at = PlaceOf(key) & mask;
  while (table[at] != kEmpty && table[at] != key) at = (at + 1) & mask;
  if (table[at] == kEmpty) ++count;
  table[at] = key;
}
}  // namespace

void CutPoints::AddJoin(char32_t left, char32_t right) {
  if (left < 256 && right < 256) {
    AddByteJoin(static_cast<uint8_t>(left), static_cast<uint8_t>(right));
    return;
  }
  if (2 * (wide_count_ + 1) > wide_joins_.size()) {
    std::vector<uint64_t> larger(std::max<size_t>(64, 2 * wide_joins_.size()), kEmpty);
    wide_count_ = 0;
    for (const uint64_t key : wide_joins_) {
      if (key != kEmpty) Insert(larger, key, wide_count_);
    }
    wide_joins_ = std::move(larger);
  }
  Insert(wide_joins_, KeyOf(left, right), wide_count_);
}

bool CutPoints::Joins(char32_t left, char32_t right) const {
  if (left < 256 && right < 256) return joins_.test(size_t{left} << 8 | right);
  if (wide_joins_.empty()) return false;
  const uint64_t key = KeyOf(left, right);
  const size_t mask = wide_joins_.size() - 1;
  size_t at = PlaceOf(key) & mask;
  while (wide_joins_[at] != kEmpty && wide_joins_[at] != key) at = (at + 1) & mask;
  return wide_joins_[at] == key;
}

size_t CutPoints::NextCut(std::string_view text, size_t begin, const CodePointMap& known) const {
  CodePoint left = CodePointAt(text, begin);
  bool left_known = known.Find(left.value) >= 0;
  for (size_t at = begin + left.size; at < text.size();) {
    const CodePoint right = CodePointAt(text, at);
    const bool right_known = known.Find(right.value) >= 0;
    if (left_known && right_known && !Joins(left.value, right.value)) return at;
    at += right.size;
    left = right;
    left_known = right_known;
  }
  return text.size();
}

size_t CutPoints::NextByteCut(std::string_view bytes, size_t begin) const {
  for (size_t at = begin + 1; at < bytes.size(); ++at) {
    const auto left = static_cast<uint8_t>(bytes[at - 1]);
    if (!joins_.test(size_t{left} << 8 | static_cast<uint8_t>(bytes[at]))) return at;
  }
  return bytes.size();
}

}  // namespace pawl::text
