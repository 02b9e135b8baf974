// A number of a task's result: what each item adds to it, so that its interval, and its difference
// between two models on the same items, come from the items. Pure functions.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/interval.h"

namespace pawl::train {

struct TaskMetric {
  std::string name;
  size_t width = 1;           // numbers of an item
  std::vector<double> items;  // [items, width]
  // From the sums of `count` items; empty: the mean of an item's one number.
  std::function<double(std::span<const double> sums)> of_sums = {};
  bool is_share = false;  // each item is 0 or 1

  size_t count() const { return items.size() / width; }
};

double ValueOf(const TaskMetric& metric);  // NaN without items
// 95 %: Wilson's of a share, else the bootstrap over items.
Interval IntervalOf(const TaskMetric& metric);

struct MetricDifference {
  double value = 0;
  std::optional<Interval> ci95;  // of paired items; nothing where the items are not the same
};
// `same_items`: item i of both is the same.
MetricDifference DifferenceOf(const TaskMetric& metric, const TaskMetric& against, bool same_items);

}  // namespace pawl::train
