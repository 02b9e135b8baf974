#include "train/task_metric.h"

#include <cmath>
#include <limits>

namespace pawl::train {
namespace {

double FromSums(const TaskMetric& metric, std::span<const double> sums, size_t count) {
  return metric.of_sums ? metric.of_sums(sums) : sums[0] / static_cast<double>(count);
}

double OfSample(const TaskMetric& metric, std::span<const uint32_t> sample) {
  std::vector<double> sums(metric.width);
  for (const uint32_t item : sample) {
    for (size_t k = 0; k < metric.width; ++k) sums[k] += metric.items[item * metric.width + k];
  }
  return FromSums(metric, sums, sample.size());
}
}  // namespace

double ValueOf(const TaskMetric& metric) {
  if (metric.count() == 0) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> sums(metric.width);
  for (size_t i = 0; i < metric.items.size(); ++i) sums[i % metric.width] += metric.items[i];
  return FromSums(metric, sums, metric.count());
}

Interval IntervalOf(const TaskMetric& metric) {
  const size_t count = metric.count();
  const double value = ValueOf(metric);
  if (metric.is_share) {
    return WilsonInterval(std::llround(value * static_cast<double>(count)),
                          static_cast<int64_t>(count));
  }
  if (count < 2) return {value, value};
  return BootstrapInterval(
      count, [&](std::span<const uint32_t> sample) { return OfSample(metric, sample); });
}

MetricDifference DifferenceOf(const TaskMetric& metric, const TaskMetric& against,
                              bool same_items) {
  MetricDifference difference{.value = ValueOf(metric) - ValueOf(against)};
  if (!same_items || metric.count() != against.count() || metric.count() < 2) return difference;
  difference.ci95 = BootstrapInterval(metric.count(), [&](std::span<const uint32_t> sample) {
    return OfSample(metric, sample) - OfSample(against, sample);
  });
  return difference;
}

}  // namespace pawl::train
