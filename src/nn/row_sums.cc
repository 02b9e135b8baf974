#include "nn/row_sums.h"

#include <algorithm>
#include <cstring>

namespace pawl::nn {

std::span<const int32_t> RowSums::Slots(std::span<const int32_t> ids, int64_t num_ids,
                                        int64_t width) {
  slot_of_.resize(static_cast<size_t>(num_ids), -1);
  slots_.clear();
  for (const int32_t id : ids) {
    if (slot_of_[id] < 0) {
      slot_of_[id] = static_cast<int32_t>(id_of_.size());
      id_of_.push_back(id);
    }
    slots_.push_back(slot_of_[id]);
  }
  const size_t needed = id_of_.size() * static_cast<size_t>(width);
  if (needed > rows_.size()) {
    const size_t most = static_cast<size_t>(num_ids * width);
    core::Buffer<float> grown(std::min(most, std::max(needed, 2 * rows_.size())));
    if (rows_.size() > 0) std::memcpy(grown.data(), rows_.data(), rows_.size() * sizeof(float));
    rows_ = std::move(grown);
  }
  return slots_;
}

void RowSums::AddTo(float* table, int64_t width) {
  for (size_t slot = 0; slot < id_of_.size(); ++slot) {
    float* from = rows_.data() + static_cast<int64_t>(slot) * width;
    float* to = table + id_of_[slot] * width;
    for (int64_t i = 0; i < width; ++i) to[i] += from[i];
    std::fill_n(from, width, 0.0f);
    slot_of_[id_of_[slot]] = -1;
  }
  id_of_.clear();
}

}  // namespace pawl::nn
