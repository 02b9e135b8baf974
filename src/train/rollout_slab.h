// The memory of one rollout: every array that actors write and the learner reads, in one mapping.
// Thread actors share it within the process; process actors map the same memfd. Only plain numbers
// live here, no pointers, no locks: a dead writer cannot leave anything held. Pages that are never
// touched (final observations of steps that did not end) cost nothing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/error.h"
#include "rollout/trajectory_batch.h"

namespace pawl::train {

// The RunError of a system call (`what`, errno `code`) that gave no file descriptor; where the
// process may open no more of them, the hint says what to raise.
Error DescriptorError(const std::string& what, int code);

struct SlabShape {
  int time = 0;             // T
  int batch = 0;            // B
  int obs = 0;              // O
  int act = 0;              // numbers per stored action: A, or 1 (categorical)
  size_t weights = 0;       // floats of the flat weights
  size_t state_bytes = 0;   // room per environment for its saved state
  size_t record_slots = 0;  // finished episodes one environment can report per rollout
  bool operator==(const SlabShape&) const = default;
};

// One finished episode, as the actors report it: plain numbers of fixed layout.
struct EpisodeReport {
  int64_t step = 0;           // environment step (of that environment) at which it ended
  double episode_return = 0;  // unscaled
  int32_t env_idx = 0;
  int32_t length = 0;
  uint8_t success = 0;     // at the last step
  uint8_t divergence = 0;  // envs::Divergence
  uint8_t padding[6] = {};
};

// Seconds spent by the actors in one rollout, per worker summed.
struct PhaseSeconds {
  double physics = 0;      // Env::Step and Reset: simulation, reward, raw observation
  double observation = 0;  // normalisation, statistics, copies
  double inference = 0;    // policy forward and sampling
};

class RolloutSlab {
 public:
  // Anonymous shared mapping behind a memfd (so that it can be passed to a child process).
  explicit RolloutSlab(const SlabShape& shape);
  // Maps an existing memfd (in an actor process).
  RolloutSlab(const SlabShape& shape, int memfd);
  ~RolloutSlab();
  RolloutSlab(const RolloutSlab&) = delete;
  RolloutSlab& operator=(const RolloutSlab&) = delete;

  const SlabShape& shape() const { return shape_; }
  int memfd() const { return memfd_; }

  // written by the learner before a rollout
  float* weights = nullptr;         // [W]
  double* norm_mean = nullptr;      // [O] snapshot of the observation statistics
  double* norm_variance = nullptr;  // [O]
  // written by the actors
  double* raw_observation = nullptr;        // [B, O] what the policy sees next (raw)
  float* observation = nullptr;             // [T, B, O] normalised
  float* action = nullptr;                  // [T, B, A]
  float* log_prob = nullptr;                // [T, B]
  float* value = nullptr;                   // [T, B]
  double* raw_reward = nullptr;             // [T, B]
  uint8_t* terminated = nullptr;            // [T, B]
  uint8_t* truncated = nullptr;             // [T, B]
  double* raw_final_observation = nullptr;  // [T, B, O] valid where the episode ended
  double* moments =
      nullptr;  // [B, 1 + 2 O] per environment: count, mean, M2 of this segment's new observations
  EpisodeReport* records = nullptr;  // [B, record_slots]
  int32_t* record_count = nullptr;   // [B]
  PhaseSeconds* phases = nullptr;    // [B] (each block adds to its first environment's slot)
  uint64_t* heartbeat = nullptr;     // [B] steps, resets and loads done, ever (each block counts in
                                  // its first environment's slot): a slow actor is not a dead one
  std::byte* state =
      nullptr;  // [B, state_bytes] saved environment after the last collect that asked for it
  uint64_t* state_size = nullptr;  // [B]
  // written by the learner after a rollout
  float* reward = nullptr;             // [T, B] scaled
  float* final_observation = nullptr;  // [T, B, O] normalised where truncated
  float* final_value = nullptr;        // [T, B]
  float* last_observation = nullptr;   // [B, O]
  float* last_value = nullptr;         // [B]

  rollout::TrajectoryBatch View(int64_t version) const;

 private:
  void Map();
  SlabShape shape_;
  int memfd_ = -1;
  void* base_ = nullptr;
  size_t size_bytes_ = 0;
};

}  // namespace pawl::train
