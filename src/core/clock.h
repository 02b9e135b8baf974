// Time: a monotonic clock and deadlines, thread-safe. Wall clocks are for logs and names of files
// only: nothing that is compared or computed with may depend on the date.
#pragma once
#include <algorithm>
#include <chrono>

namespace pawl::core {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

// Seconds since an arbitrary start, never going back.
inline double MonotonicSeconds() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

// The point `seconds` from now; a negative number has passed already, a huge one never comes.
inline Deadline After(double seconds) {
  constexpr double kYear = 365 * 86400.0;  // longer ones would overflow the clock's 64-bit count
  const std::chrono::duration<double> wait(std::clamp(seconds, -kYear, kYear));
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
}

}  // namespace pawl::core
