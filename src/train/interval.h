// 95 % intervals of evaluation results. Pure functions.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

namespace pawl::train {

struct Interval {
  double low = 0, high = 0;
};

// Wilson score interval of a proportion (Wilson 1927), z = 1.96; [0, 1] for no trials.
Interval WilsonInterval(int64_t successes, int64_t trials);
// Percentile bootstrap (Efron 1979) of any statistic of `items` >= 1 items, 2000 resamples from a
// fixed stream; `statistic` is given the numbers of a resample's items.
Interval BootstrapInterval(
    size_t items, const std::function<double(std::span<const uint32_t> sample)>& statistic);
// The same of the mean; a single value gives itself.
Interval BootstrapMeanInterval(std::span<const double> values);
double Mean(std::span<const double> values);

}  // namespace pawl::train
