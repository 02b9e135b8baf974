#include "text/packing.h"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>

#include "core/error.h"

namespace pawl::text {

std::vector<std::vector<int32_t>> PackBestFit(std::span<const int64_t> lengths, int64_t capacity) {
  std::vector<int32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<int32_t>> rows;
  std::map<int64_t, std::deque<size_t>> with_room;  // rows by their room, the oldest first
  for (const int32_t index : order) {
    const int64_t length = lengths[index];
    PAWL_CHECK(length >= 0 && length <= capacity, "a sequence of {} in rows of {}", length,
               capacity);
    if (length == 0) continue;
    const auto fit = with_room.lower_bound(length);
    size_t row = rows.size();
    int64_t room = capacity;
    if (fit == with_room.end()) {
      rows.emplace_back();
    } else {
      room = fit->first;
      row = fit->second.front();
      fit->second.pop_front();
      if (fit->second.empty()) with_room.erase(fit);
    }
    rows[row].push_back(index);
    if (room > length) with_room[room - length].push_back(row);
  }
  return rows;
}

}  // namespace pawl::text
