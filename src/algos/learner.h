// The waist of learning: turns batches into updates. One template for both kinds of batch:
// rollout::TrajectoryBatch (control) and rollout::SequenceBatch (language). Called by the learner
// loop's thread only.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/safetensors.h"

namespace pawl::algos {

// Metrics of one update in order; NaN = undefined.
using UpdateMetrics = std::vector<std::pair<std::string, double>>;

template <class Batch>
class Learner {
 public:
  virtual ~Learner() = default;
  // Learns from one batch. `update` counts from 0 (it keys the shuffles and schedules); progress
  // in [0, 1) is the share of the whole run done before this update. Throws RunError naming the
  // tensor when a loss or gradient is not finite; the weights are then as before that minibatch.
  virtual UpdateMetrics Update(const Batch& batch, int64_t update, double progress) = 0;
  // Current weights, flat, in the learner's own layout: kernels::MlpLayout or the module's
  // parameters (control), nn::DecoderLayout (language).
  virtual std::span<const float> Weights() const = 0;
  // Weights, optimizer, counters. What it puts may view the learner's memory until its next call.
  virtual void Save(core::ArrayMap& out) const = 0;
  virtual void Load(const core::ArrayMap& in) = 0;
};

}  // namespace pawl::algos
