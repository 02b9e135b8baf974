// A measured quantity over the rounds of a benchmark.
#pragma once
#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace pawl {

inline double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Median and range.
struct Figure {
  std::vector<double> samples;
  double Median() const { return pawl::Median(samples); }
  nlohmann::json Json() const {
    if (samples.empty()) return nullptr;
    const auto [low, high] = std::minmax_element(samples.begin(), samples.end());
    return {{"median", Median()}, {"min", *low}, {"max", *high}};
  }
};

}  // namespace pawl
