// An axis of a plot: its range, its ticks at round numbers, and where a value stands on it. Plain
// values.
#pragma once
#include <string>
#include <vector>

namespace pawl::track {

struct Tick {
  double value = 0;
  std::string label;
};

struct Axis {
  double low = 0, high = 1;
  bool log = false;
  std::vector<Tick> ticks;
  // 0 at low, 1 at high.
  double Place(double value) const;
};

// A linear axis over [low, high] with about `num_ticks` ticks at multiples of 1, 2 or 5 times a
// power of ten. `round` widens the range to whole ticks. An empty range is widened. `percent`:
// labels in percent.
Axis LinearAxis(double low, double high, int num_ticks, bool round, bool percent = false);
// A logarithmic axis over [low, high], low > 0, ticks at powers of ten (and 2 and 5 times them
// where the range is short).
Axis LogAxis(double low, double high);

}  // namespace pawl::track
