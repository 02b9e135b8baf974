// Two threads for fork-join sections of tens of microseconds (the two halves of a minibatch
// update), where waking a thread through the kernel would cost as much as the work. The second
// thread spins between calls; idle for 50 us it yields its core, idle for 1 ms it sleeps. Several
// Run calls in a row take the place of a barrier.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>

namespace pawl::core {

class SpinPair {
 public:
  // Without `enabled` there is no second thread: Run calls f(0), then f(1).
  explicit SpinPair(bool enabled);
  ~SpinPair();
  SpinPair(const SpinPair&) = delete;
  SpinPair& operator=(const SpinPair&) = delete;

  bool enabled() const { return thread_.joinable(); }

  // Calls f(0) here and f(1) on the second thread; returns when both are done. What was written
  // before Run is visible in both, what both wrote is visible after it. If they throw, the
  // exception of f(0) goes first; without a second thread f(1) is then not called. One caller at a
  // time; no Run from inside f.
  template <class F>
  void Run(const F& f) {
    RunBoth([](const void* body, int who) { (*static_cast<const F*>(body))(who); }, &f);
  }

 private:
  void RunBoth(void (*call)(const void*, int), const void* body);
  void ThreadMain();

  void (*call_)(const void*, int) = nullptr;
  const void* body_ = nullptr;  // nullptr: stop
  std::exception_ptr failure_;  // of f(1)
  // each on its own cache line: one side spins on what the other writes
  alignas(64) std::atomic<uint32_t> started_{0};
  alignas(64) std::atomic<uint32_t> finished_{0};
  alignas(64) std::thread thread_;
};

}  // namespace pawl::core
