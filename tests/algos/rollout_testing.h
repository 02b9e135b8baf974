// Rollouts for the learner's tests, made as actors make them: random observations, actions sampled
// and valued by the CPU row kernels from the weights given, episodes that end both ways.
#pragma once
#include <functional>
#include <vector>

#include "kernels/mlp.h"
#include "rollout/trajectory_batch.h"

namespace pawl::algos {

struct TestRollout {
  int time = 0, batch = 0, obs = 0, act = 0;
  std::vector<float> observation, action, log_prob, value, reward;  // [T, B, ...]
  std::vector<uint8_t> terminated, truncated;                       // [T, B]
  std::vector<float> final_observation, final_value;                // [T, B, O], [T, B]
  std::vector<float> last_observation, last_value;                  // [B, O], [B]
  rollout::TrajectoryBatch View() const;
};

// Reward of one row; the default is a random number.
using RowReward = std::function<float(const float* obs, const float* action)>;

// One row in ten ends its episode, half of those by truncation.
TestRollout MakeTestRollout(const kernels::MlpShape& shape, std::span<const float> weights,
                            int time, int batch, uint64_t seed, const RowReward& row_reward = {});

// Normal weights of unit gain in every layer, so that no head is near zero as after initialisation.
kernels::AlignedBuffer RandomWeights(const kernels::MlpShape& shape, uint64_t seed);

// The largest difference of two weight buffers.
double MaxDifference(std::span<const float> a, std::span<const float> b);

}  // namespace pawl::algos
