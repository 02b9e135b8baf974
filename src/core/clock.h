// Time: a monotonic clock, deadlines, and the phase timer behind "where the time went". No wall
// clock: nothing that is saved or compared may depend on the date. Clock functions are thread-safe;
// a PhaseTimer belongs to one thread and is merged by another one once that thread is done with it.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>

namespace pawl::core {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

// Seconds since an arbitrary start, never going back.
inline double MonotonicSeconds() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}
// The point `seconds` from now; a negative number has passed already, a huge one never comes.
Deadline After(double seconds);

// What a thread is doing. A thread is in exactly one phase at a time, so the phases of a thread add
// up to its time.
enum class Phase : uint8_t {
  kOther,
  kPhysics,      // mj_step and what the environment computes from it
  kObservation,  // gathering, normalising, copying observations
  kInference,    // policy forward and sampling
  kLearning,     // advantages, losses, gradients, optimizer
  kTransport,    // moving batches and weights, waiting for them
  kEvaluation,
  kCheckpoint,
  kCount
};
const char* Name(Phase phase);  // "physics", ...

// Adds up the time between calls of Switch, by phase. One switch costs a read of the processor's
// time stamp counter (about 10 ns), or of the monotonic clock where that counter does not run at a
// constant rate.
class PhaseTimer {
 public:
  PhaseTimer() : last_(Ticks()) {}

  // The time since the last switch belongs to the phase so far; from now on this thread is in
  // `next`. Returns the old.
  Phase Switch(Phase next) {
    const uint64_t now = Ticks();
    // counters of two cores may differ by a few ticks after a migration
    if (now > last_) ticks_[static_cast<size_t>(current_)] += now - last_;
    last_ = now;
    const Phase previous = current_;
    current_ = next;
    return previous;
  }
  // Adds another timer's finished phases (its current one counts up to its last Switch).
  void Merge(const PhaseTimer& other);
  // Seconds spent in a phase up to the last Switch.
  double seconds(Phase phase) const;
  double total_seconds() const;
  // Forgets everything, as if new; the current phase stays.
  void Restart();

 private:
  static uint64_t Ticks();

  uint64_t last_;
  Phase current_ = Phase::kOther;
  std::array<uint64_t, static_cast<size_t>(Phase::kCount)> ticks_{};
};

// Puts a thread into a phase until the end of the scope, then back into the one before.
class ScopedPhase {
 public:
  ScopedPhase(PhaseTimer& timer, Phase phase) : timer_(timer), previous_(timer.Switch(phase)) {}
  ~ScopedPhase() { timer_.Switch(previous_); }
  ScopedPhase(const ScopedPhase&) = delete;
  ScopedPhase& operator=(const ScopedPhase&) = delete;

 private:
  PhaseTimer& timer_;
  Phase previous_;
};

}  // namespace pawl::core
