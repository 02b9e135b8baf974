// Runs blocks of environments through a segment of a rollout: normalise, policy forward, sample,
// step, write into the slab. One object per actor thread or process; each block is stepped by one
// thread at a time. Inference runs on a whole block (a fixed number of environments), and every
// stream is keyed by environment index, so the numbers do not depend on how many actors there are.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "envs/env_block.h"
#include "nn/policy_runner.h"
#include "train/rollout_slab.h"
#include "train/train_config.h"

namespace pawl::train {

// What every actor needs to know, fixed for the run.
struct ActorSetup {
  envs::EnvConfig env;
  kernels::MlpShape policy;
  ActorConfig actors;
  uint64_t seed = 1;
  bool normalize_observation = false;
  double clip_observation = 10, normalize_epsilon = 1e-8;
  std::string dump_folder;  // where a bad environment's state is written
};

// One request: steps [begin, end) of the rollout.
struct CollectRequest {
  int32_t begin = 0, end = 0;
  int64_t first_step = 0;  // steps every environment took before slab row 0 (keys the action noise)
};

class RolloutWorker {
 public:
  // Serves the blocks [first_block, first_block + num_blocks) of ceil(num_envs / actors.block).
  RolloutWorker(const ActorSetup& setup, RolloutSlab& slab, int first_block, int num_blocks);
  ~RolloutWorker();
  int num_blocks() const { return static_cast<int>(blocks_.size()); }
  int first_env() const { return first_env_; }
  int num_envs() const { return num_envs_; }

  // Starts episode 0 of every environment; writes raw_observation and its moments.
  void ResetBlock(int block);
  // Steps [begin, end). first: the segment's first part (its episode records and statistics start
  // empty).
  void CollectBlock(int block, const CollectRequest& request, bool first);
  // Copies every environment's state into / out of the slab.
  void SaveBlock(int block);
  void LoadBlock(int block);

 private:
  struct Block;
  void StepBlock(Block& block, const CollectRequest& request, int t);
  void Act(Block& block, int64_t step, size_t row);
  void ClearReports(Block& block);
  void CountObservations(Block& block);
  void ReportEpisodes(Block& block, int64_t step);
  void ShowLife(const Block& block);
  ActorSetup setup_;
  RolloutSlab& slab_;
  int first_env_ = 0, num_envs_ = 0;
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace pawl::train
