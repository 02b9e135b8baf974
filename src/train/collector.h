// The learner's side of a rollout: publishes weights and normaliser snapshot to the actors, has
// them fill the slab, then does what needs all environments at once, in environment order: rewards
// scaled, final and last observations valued, statistics merged, finished episodes counted. One
// object per run, learner's thread.
#pragma once
#include <memory>
#include <span>

#include "nn/normalizer.h"
#include "nn/policy_runner.h"
#include "train/actors.h"
#include "train/episode_window.h"

namespace pawl::train {

// Wall-clock seconds of all rollouts so far.
struct CollectSeconds {
  double physics = 0, observation = 0, inference = 0;
  double transport = 0;  // actors waiting for each other and for messages
  double finish = 0;     // the learner's share
};

class Collector {
 public:
  Collector(const TrainConfig& config, const envs::EnvSpec& spec, const kernels::MlpShape& shape,
            const std::string& dump_folder);

  // Resets every environment and, where observations or rewards are normalised, runs the counted
  // warm-up.
  void Start(std::span<const float> weights);
  // One rollout with these weights; the batch is valid until the next call.
  rollout::TrajectoryBatch Collect(std::span<const float> weights, int64_t version);

  // Environment steps taken so far, the warm-up's included.
  int64_t env_steps() const { return steps_per_env_ * config_.env.num_envs; }
  const EpisodeWindow& episodes() const { return episodes_; }
  const nn::Normalizer& normalizer() const { return normalizer_; }
  nn::Normalizer& normalizer() { return normalizer_; }
  const CollectSeconds& seconds() const { return seconds_; }
  int64_t diverged_episodes() const { return diverged_; }
  const ActorGroup& actors() const { return *actors_; }

  // Everything the next Collect reads: environments, statistics, counters.
  void Save(core::ArrayMap& out);
  void Load(const core::ArrayMap& in);

 private:
  void Publish(std::span<const float> weights);
  void RunSegment(int begin, int end);
  void MergeStatistics(int begin, int end);
  void ScaleAndValue(std::span<const float> weights, int begin, int end);
  void ValueLastObservations(std::span<const float> weights);
  void Value(std::span<const float> weights, std::vector<float*>& targets);
  void CountEpisodes();
  void CheckDivergence(const EpisodeReport& report);

  static constexpr size_t kValueRows =
      64;  // rows of one forward pass over final or last observations
  TrainConfig config_;
  kernels::MlpShape shape_;
  RolloutSlab slab_;
  std::unique_ptr<ActorGroup> actors_;
  nn::Normalizer normalizer_;
  nn::NormalizerSnapshot snapshot_;  // what the current rollout uses
  nn::PolicyRunner runner_;
  EpisodeWindow episodes_;
  CollectSeconds seconds_;
  int64_t steps_per_env_ = 0;
  int64_t diverged_ = 0;
  std::vector<float> head_, gathered_, values_;  // scratch of Value
};

}  // namespace pawl::train
