#include "train/interval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/rng.h"

namespace pawl::train {

Interval WilsonInterval(int64_t successes, int64_t trials) {
  if (trials == 0) return {0, 1};
  constexpr double kZ = 1.959963984540054;
  const double n = static_cast<double>(trials), p = static_cast<double>(successes) / n,
               z2 = kZ * kZ;
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

Interval BootstrapInterval(
    size_t items, const std::function<double(std::span<const uint32_t> sample)>& statistic) {
  constexpr int kResamples = 2000;
  core::Philox rng(0, core::Role::kBootstrap, 0, 0);
  std::vector<double> values(kResamples);
  std::vector<uint32_t> sample(items);
  for (double& value : values) {
    for (uint32_t& item : sample) item = rng.Below(static_cast<uint32_t>(items));
    value = statistic(sample);
  }
  std::sort(values.begin(), values.end());
  return {values[static_cast<size_t>(0.025 * kResamples)],
          values[static_cast<size_t>(0.975 * kResamples) - 1]};
}

Interval BootstrapMeanInterval(std::span<const double> values) {
  if (values.size() < 2) return {Mean(values), Mean(values)};
  return BootstrapInterval(values.size(), [values](std::span<const uint32_t> sample) {
    double sum = 0;
    for (const uint32_t item : sample) sum += values[item];
    return sum / static_cast<double>(values.size());
  });
}

}  // namespace pawl::train
