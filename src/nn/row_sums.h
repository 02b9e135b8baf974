// Sums of rows by id, kept apart from the table they belong to: only the ids that occur have a row.
// For the gradient of a tied embedding.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/buffer.h"

namespace pawl::nn {

class RowSums {
 public:
  // The slots [n] of ids, new ones with a zero row; valid until the next call. ids in [0, num_ids).
  std::span<const int32_t> Slots(std::span<const int32_t> ids, int64_t num_ids, int64_t width);
  float* data() { return rows_.data(); }  // [slots, width]
  // table [num_ids, width] += the rows; then none is left.
  void AddTo(float* table, int64_t width);

 private:
  std::vector<int32_t> slot_of_;  // [num_ids]; -1: none
  std::vector<int32_t> id_of_;    // [slots]
  std::vector<int32_t> slots_;    // of the last call
  core::Buffer<float> rows_;
};

}  // namespace pawl::nn
