#include "core/spin_pair.h"

#include "core/spin.h"

namespace pawl::core {
namespace {
// Waits until `counter` differs from `old`: spins, yields after 50 us (somebody else may need this
// core, perhaps the very thread waited for), sleeps after 1 ms.
void WaitForChange(const std::atomic<uint32_t>& counter, uint32_t old) {
  const auto changed = [&] { return counter.load(std::memory_order_acquire) != old; };
  const Clock::time_point start = Clock::now();
  if (SpinUntil(changed)) return;
  while (Clock::now() - start < std::chrono::milliseconds(1)) {
    if (changed()) return;
    std::this_thread::yield();
  }
  while (!changed()) counter.wait(old, std::memory_order_acquire);
}
}  // namespace

SpinPair::SpinPair(bool enabled) {
  if (enabled) thread_ = std::thread([this] { ThreadMain(); });
}

SpinPair::~SpinPair() {
  if (!enabled()) return;
  body_ = nullptr;
  started_.fetch_add(1, std::memory_order_release);
  started_.notify_one();
  thread_.join();
}

void SpinPair::RunBoth(void (*call)(const void*, int), const void* body) {
  if (!enabled()) {
    call(body, 0);
    call(body, 1);
    return;
  }
  call_ = call;
  body_ = body;
  const uint32_t round = started_.fetch_add(1, std::memory_order_release) + 1;
  started_.notify_one();
  std::exception_ptr failure;
  try {
    call(body, 0);
  } catch (...) {
    failure = std::current_exception();
  }
  // `body` is the caller's: even after a failure the other side must be done with it
  WaitForChange(finished_, round - 1);
  if (failure == nullptr) failure = failure_;
  failure_ = nullptr;
  if (failure) std::rethrow_exception(failure);
}

void SpinPair::ThreadMain() {
  for (uint32_t round = 0;; ++round) {
    WaitForChange(started_, round);
    if (body_ == nullptr) return;
    try {
      call_(body_, 1);
    } catch (...) {
      failure_ = std::current_exception();
    }
    finished_.store(round + 1, std::memory_order_release);
    finished_.notify_one();
  }
}

}  // namespace pawl::core
