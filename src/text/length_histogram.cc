#include "text/length_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace pawl::text {
namespace {
// one bucket a length below 32, then 16 for each doubling
constexpr int64_t kExact = 32;

size_t BucketOf(int64_t length) {
  if (length < kExact) return static_cast<size_t>(length);
  const int octave = std::bit_width(static_cast<uint64_t>(length)) - 6;  // 0 from 32 on
  return static_cast<size_t>(kExact + octave * 16 + (length >> (octave + 1)) - 16);
}
int64_t LastOf(size_t bucket) {
  const auto at = static_cast<int64_t>(bucket);
  if (at < kExact) return at;
  const int64_t octave = (at - kExact) / 16, step = (at - kExact) % 16;
  return ((16 + step + 1) << (octave + 1)) - 1;
}
}  // namespace

void LengthHistogram::Add(int64_t length) {
  const size_t bucket = BucketOf(length);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  least_ = count_ == 0 ? length : std::min(least_, length);
  most_ = std::max(most_, length);
  sum_ += length;
  ++count_;
}

int64_t LengthHistogram::Quantile(double share) const {
  auto left = static_cast<int64_t>(std::ceil(share * static_cast<double>(count_)));
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    left -= buckets_[bucket];
    if (left <= 0) return std::clamp(LastOf(bucket), least(), most_);
  }
  return most_;
}

int64_t LengthHistogram::CountWithin(int64_t low, int64_t high) const {
  int64_t within = 0;
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    const int64_t last = std::min(LastOf(bucket), most_);
    if (last >= low && last <= high) within += buckets_[bucket];
  }
  return within;
}

}  // namespace pawl::text
