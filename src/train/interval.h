// 95 % intervals of evaluation results. Pure functions.
#pragma once
#include <span>
#include <utility>

namespace pawl::train {

struct Interval {
  double low = 0, high = 0;
};

// Wilson score interval of a proportion (Wilson 1927), z = 1.96; [0, 1] for no trials.
Interval WilsonInterval(int successes, int trials);
// Percentile bootstrap of the mean (Efron 1979), 2000 resamples from a fixed stream; a single value
// gives itself.
Interval BootstrapMeanInterval(std::span<const double> values);
double Mean(std::span<const double> values);

}  // namespace pawl::train
