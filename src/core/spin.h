// Waiting by spinning, for what is expected within microseconds.
#pragma once
#include <chrono>

#include "core/clock.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pawl::core {

// Spins for about 50 us, or until done() holds; whether it does.
template <class F>
bool SpinUntil(const F& done) {
  const Clock::time_point start = Clock::now();
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
#if defined(__x86_64__)
      _mm_pause();
#endif
    }
  } while (Clock::now() - start < std::chrono::microseconds(50));
  return false;
}

}  // namespace pawl::core
