// Lengths counted in buckets a few per cent wide, so that any number of them takes the same little
// memory. Plain value.
#pragma once
#include <cstdint>
#include <vector>

namespace pawl::text {

class LengthHistogram {
 public:
  void Add(int64_t length);
  int64_t count() const { return count_; }
  int64_t least() const { return count_ == 0 ? 0 : least_; }
  int64_t most() const { return most_; }
  int64_t sum() const { return sum_; }
  double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }
  // A length that this share of all do not exceed: exact up to 32, else at most 1/16 too long.
  int64_t Quantile(double share) const;
  // Lengths from `low` to `high`.
  int64_t CountWithin(int64_t low, int64_t high) const;

 private:
  std::vector<int64_t> buckets_;
  int64_t count_ = 0, sum_ = 0, least_ = 0, most_ = 0;
};

}  // namespace pawl::text
