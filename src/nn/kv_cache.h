// Keys and values of one sequence's positions so far, for generation: one contiguous array a layer.
// A pass appends its tokens' rows; the engine's paged cache will stand in the same place.
#pragma once
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "nn/model_config.h"

namespace pawl::nn {

class KvCache {
 public:
  KvCache(const ModelConfig& config, int64_t capacity) : capacity_(capacity) {
    const auto floats = static_cast<size_t>(capacity * config.kv_width());
    for (int64_t i = 0; i < config.layers; ++i) {
      k_.emplace_back(floats);
      v_.emplace_back(floats);
    }
  }
  int64_t capacity() const { return capacity_; }
  int64_t length() const { return length_; }
  void set_length(int64_t length) { length_ = length; }
  float* k(int64_t layer) { return k_[layer].data(); }  // [capacity, KVH * K]
  float* v(int64_t layer) { return v_[layer].data(); }

 private:
  int64_t capacity_;
  int64_t length_ = 0;  // positions filled in every layer
  std::vector<core::Buffer<float>> k_, v_;
};

}  // namespace pawl::nn
