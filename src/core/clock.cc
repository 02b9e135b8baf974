#include "core/clock.h"

#include <algorithm>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

namespace pawl::core {
namespace {
uint64_t ClockTicks() { return static_cast<uint64_t>(Clock::now().time_since_epoch().count()); }

#if defined(__x86_64__)
// Constant rate in all power states: leaf 0x80000007, EDX bit 8 (both vendors).
bool HasInvariantCounter() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d >> 8 & 1) != 0;
}
const bool kUseCounter = HasInvariantCounter();
uint64_t RawTicks() { return kUseCounter ? __rdtsc() : ClockTicks(); }
#else
uint64_t RawTicks() { return ClockTicks(); }
#endif

struct Anchor {
  uint64_t ticks = RawTicks();
  Clock::time_point time = Clock::now();
};
const Anchor kStart;  // both clocks at the start of the process

// The counter's rate, from both clocks since the start. In a process younger than 5 ms it waits
// until then: the two readings of a clock (about 50 ns apart) then matter by 1e-5.
double SecondsPerTick() {
  while (Clock::now() - kStart.time < std::chrono::milliseconds(5)) {
  }
  const Anchor now;
  return std::chrono::duration<double>(now.time - kStart.time).count() /
         static_cast<double>(now.ticks - kStart.ticks);
}
}  // namespace

Deadline After(double seconds) {
  constexpr double kYear =
      365 * 86400.0;  // longer ones would overflow the clock's 64-bit nanoseconds
  const std::chrono::duration<double> wait(std::clamp(seconds, -kYear, kYear));
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
}

const char* Name(Phase phase) {
  static constexpr const char* kNames[] = {"other",    "physics",   "observation", "inference",
                                           "learning", "transport", "evaluation",  "checkpoint"};
  static_assert(std::size(kNames) == static_cast<size_t>(Phase::kCount));
  return kNames[static_cast<size_t>(phase)];
}

uint64_t PhaseTimer::Ticks() { return RawTicks(); }

void PhaseTimer::Merge(const PhaseTimer& other) {
  for (size_t i = 0; i < ticks_.size(); ++i) ticks_[i] += other.ticks_[i];
}

double PhaseTimer::seconds(Phase phase) const {
  const uint64_t ticks = ticks_[static_cast<size_t>(phase)];
  return ticks == 0 ? 0.0 : static_cast<double>(ticks) * SecondsPerTick();
}

double PhaseTimer::total_seconds() const {
  uint64_t ticks = 0;
  for (const uint64_t one : ticks_) ticks += one;
  return ticks == 0 ? 0.0 : static_cast<double>(ticks) * SecondsPerTick();
}

void PhaseTimer::Restart() {
  ticks_ = {};
  last_ = Ticks();
}

}  // namespace pawl::core
