// How the row kernels split their work over a team. Nothing of a result depends on the split.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/team.h"

namespace pawl::kernels {

constexpr int64_t CeilDiv(int64_t n, int64_t by) { return (n + by - 1) / by; }

// Calls f(first, last) for blocks of rows of about 16 Ki elements: long beside the start of a
// parallel loop (1 us), and many enough to even out a thread that comes late.
template <class F>
void ForRowBlocks(Team& team, int64_t rows, int64_t width, const F& f) {
  const int64_t block = std::clamp<int64_t>((1 << 14) / std::max<int64_t>(width, 1), 1, 1 << 14);
  team.Run(CeilDiv(rows, block), [&](int64_t i) { f(i * block, std::min(rows, (i + 1) * block)); });
}

// Calls f(first, last) for one part of the columns a thread, multiples of 16 wide: sums over rows
// then have one owner and one order.
template <class F>
void ForColumnParts(Team& team, int64_t width, const F& f) {
  const int64_t part = std::max<int64_t>(CeilDiv(CeilDiv(width, team.size()), 16) * 16, 16);
  team.Run(CeilDiv(width, part), [&](int64_t i) { f(i * part, std::min(width, (i + 1) * part)); });
}

}  // namespace pawl::kernels
