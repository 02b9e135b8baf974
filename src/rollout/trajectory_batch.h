// The batch of control: a dense rollout [T, B], filled by actors in place (possibly in shared
// memory), read by learners. Plain views; whoever owns the memory (train::RolloutSlab) outlives
// them. Values are as the policy saw them.
#pragma once
#include <cstdint>

namespace pawl::rollout {

struct TrajectoryBatch {
  int time = 0;         // T
  int batch = 0;        // B environments
  int obs = 0;          // O
  int act = 0;          // A (1 for categorical)
  int64_t version = 0;  // weights that acted; synchronous mode: the learner's current ones
  int64_t lag = 0;      // learner version - version
  const float* observation = nullptr;   // [T, B, O] normalised
  const float* action = nullptr;        // [T, B, A] unclipped sample (u before tanh when squashed)
  const float* log_prob = nullptr;      // [T, B]
  const float* value = nullptr;         // [T, B]
  const float* reward = nullptr;        // [T, B] scaled by the reward normaliser
  const uint8_t* terminated = nullptr;  // [T, B]
  const uint8_t* truncated = nullptr;   // [T, B], never together with terminated
  const float* final_observation = nullptr;  // [T, B, O] normalised; valid where truncated
  const float* final_value = nullptr;        // [T, B] V(final observation); valid where truncated
  const float* last_observation = nullptr;   // [B, O] after the last step
  const float* last_value = nullptr;         // [B]
  int64_t rows() const { return int64_t{time} * batch; }
};

}  // namespace pawl::rollout
