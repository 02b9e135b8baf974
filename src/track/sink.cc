#include "track/sink.h"

#include <cmath>
#include <limits>

namespace pawl::track {

double Value(const Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics) {
    if (key == name && std::isfinite(value)) return value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace pawl::track
