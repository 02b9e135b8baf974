#include "train/interval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/rng.h"

namespace pawl::train {

Interval WilsonInterval(int successes, int trials) {
  if (trials == 0) return {0, 1};
  constexpr double kZ = 1.959963984540054;
  const double n = trials, p = successes / n, z2 = kZ * kZ;
  const double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  // the ends are exact where rounding would leave a trace
  return {successes == 0 ? 0 : centre - half, successes == trials ? 1 : centre + half};
}

double Mean(std::span<const double> values) {
  double sum = 0;
  for (double v : values) sum += v;
  return values.empty() ? std::numeric_limits<double>::quiet_NaN()
                        : sum / static_cast<double>(values.size());
}

Interval BootstrapMeanInterval(std::span<const double> values) {
  constexpr int kResamples = 2000;
  if (values.size() < 2) return {Mean(values), Mean(values)};
  core::Philox rng(0, core::Role::kBootstrap, 0, 0);
  std::vector<double> means(kResamples);
  for (double& mean : means) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i)
      sum += values[rng.Below(static_cast<uint32_t>(values.size()))];
    mean = sum / static_cast<double>(values.size());
  }
  std::sort(means.begin(), means.end());
  return {means[static_cast<size_t>(0.025 * kResamples)],
          means[static_cast<size_t>(0.975 * kResamples) - 1]};
}

}  // namespace pawl::train
