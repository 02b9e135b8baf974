#include "track/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "track/number_text.h"

namespace pawl::track {
namespace {

// The one of 1, 2, 5 times a power of ten that is nearest to `size` in ratio.
double RoundStep(double size) {
  const double power = std::pow(10, std::floor(std::log10(size)));
  const double mantissa = size / power;
  // between the geometric means of 1, 2, 5 and 10
  if (mantissa < std::sqrt(2.0)) return power;
  if (mantissa < std::sqrt(10.0)) return 2 * power;
  return (mantissa < std::sqrt(50.0) ? 5 : 10) * power;
}

// Decimals that tell multiples of `step` apart.
int Decimals(double step) {
  return std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
}

std::string Label(double value, double step, bool percent) {
  if (std::fabs(value) < step * 1e-6) value = 0;
  if (percent) return fmt::format("{:.{}f} %", value * 100, Decimals(step * 100));
  if (std::fabs(value) >= 1e4 || step >= 1e3) return CountText(value);
  if (step < 1e-4) return fmt::format("{:.3g}", value);
  return fmt::format("{:.{}f}", value, Decimals(step));
}
}  // namespace

double Axis::Place(double value) const {
  if (log) return std::log(std::max(value, low) / low) / std::log(high / low);
  return (value - low) / (high - low);
}

Axis LinearAxis(double low, double high, int num_ticks, bool round, bool percent) {
  if (!(high > low)) {
    const double margin = low == 0 ? 1 : std::fabs(low) * 0.1;
    low -= margin;
    high += margin;
  }
  const double step = RoundStep((high - low) / num_ticks);
  Axis axis{.low = low, .high = high};
  // a value within a millionth of a tick counts as on it
  double first = std::ceil(low / step - 1e-6), last = std::floor(high / step + 1e-6);
  if (round) {
    first = std::floor(low / step + 1e-6);
    last = std::ceil(high / step - 1e-6);
    axis.low = first * step;
    axis.high = last * step;
  }
  for (double i = first; i <= last; ++i)
    axis.ticks.push_back({i * step, Label(i * step, step, percent)});
  return axis;
}

Axis LogAxis(double low, double high) {
  Axis axis{.low = low, .high = std::max(high, low * 1.01), .log = true};
  const double decades = std::log10(axis.high / axis.low);
  const int stride = std::max(1, static_cast<int>(std::ceil(decades / 6)));
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(axis.high)));
  for (int exponent = first; exponent <= last; ++exponent) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor > 1 && decades > 2) break;
      const double value = factor * std::pow(10, exponent);
      const bool inside = value >= axis.low * (1 - 1e-9) && value <= axis.high * (1 + 1e-9);
      if (!inside || (exponent - first) % stride != 0) continue;
      axis.ticks.push_back({value, value >= 1e4 ? CountText(value) : fmt::format("{:g}", value)});
    }
  }
  return axis;
}

}  // namespace pawl::track
