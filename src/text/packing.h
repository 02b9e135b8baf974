// Short sequences together in rows of bounded length. Pure function.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pawl::text {

// Best fit decreasing (TRL's "bfd"): the longest first, each into the row with the least room that
// still takes it, or a new one. Rows of indices of `lengths`, in the order in which they were
// begun; empty sequences are left out. Every length <= capacity.
std::vector<std::vector<int32_t>> PackBestFit(std::span<const int64_t> lengths, int64_t capacity);

}  // namespace pawl::text
