// Pass@k: the probability that one of k samples solves a task, estimated from n samples.
#pragma once
#include <cstdint>

namespace pawl::text {

// The unbiased estimate (Chen et al. 2021, equation 1): 1 - C(n - c, k) / C(n, k) for c correct of
// n samples; 0 <= c <= n, 1 <= k <= n. As a product, so that nothing overflows.
inline double PassAtK(int64_t n, int64_t c, int64_t k) {
  if (n - c < k) return 1;
  double all_wrong = 1;
  for (int64_t i = n - c + 1; i <= n; ++i) {
    all_wrong *= 1 - static_cast<double>(k) / static_cast<double>(i);
  }
  return 1 - all_wrong;
}

}  // namespace pawl::text
