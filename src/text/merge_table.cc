#include "text/merge_table.h"

#include <bit>

namespace pawl::text {

void MergeList::Add(std::string_view left, std::string_view right) {
  places_.push_back(
      {text_.size(), static_cast<uint32_t>(left.size()), static_cast<uint32_t>(right.size())});
  text_ += left;
  text_ += right;
}

std::string_view MergeList::Left(size_t rank) const {
  const Place& place = places_[rank];
  return std::string_view(text_).substr(place.begin, place.left);
}

std::string_view MergeList::Right(size_t rank) const {
  const Place& place = places_[rank];
  return std::string_view(text_).substr(place.begin + place.left, place.right);
}

MergeTable::MergeTable(size_t merges) {
  slots_.resize(std::bit_ceil(2 * merges + 2));
  mask_ = slots_.size() - 1;
  shift_ = 64 - std::countr_zero(slots_.size());
}

void MergeTable::Add(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = Key(left, right);
  size_t at = Hash(key) >> shift_;
  while (slots_[at].key != kEmpty && slots_[at].key != key) at = (at + 1) & mask_;
  slots_[at] = {key, merge};
  empty_ = false;
}

}  // namespace pawl::text
