// Proximal policy optimisation (Schulman et al. 2017) on dense rollouts, with the conventions of
// Stable-Baselines3 as defaults; docs/ppo.md gives the source of every detail. The learner loop's
// thread calls it. The minibatch step itself is a PpoBackend: the fused CPU kernel or LibTorch.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "algos/learner.h"
#include "algos/ppo_backend.h"
#include "algos/ppo_config.h"
#include "nn/policy_config.h"
#include "rollout/trajectory_batch.h"

namespace pawl::algos {

// Fills rows [N] with the order of one epoch, a permutation of 0 .. N-1 drawn from
// (seed, kShuffle, epoch, update).
void ShuffleRows(uint64_t seed, int64_t update, int epoch, std::span<int32_t> rows);

// The adaptive schedule's rate after an epoch whose mean KL was `kl` nats: divided by 1.5 above
// 2 x desired_kl, multiplied by 1.5 below half of it, within [1e-5, 1e-2] (rsl_rl). A KL of 0 says
// nothing and changes nothing.
double AdaptedLearningRate(double rate, double kl, double desired_kl);

class PpoLearner : public Learner<rollout::TrajectoryBatch> {
 public:
  // Row order of one epoch: fills [N] with a permutation of 0 .. N-1.
  using Permutation = std::function<void(int64_t update, int epoch, std::span<int32_t> rows)>;

  // Weights start from (seed, kInit), rows are taken in the order of ShuffleRows(seed, ...).
  // device: "cpu" or "cuda". Throws UserError where the config contradicts itself, the shape or the
  // device.
  PpoLearner(const PpoConfig& config, const nn::PolicyConfig& policy,
             const kernels::MlpShape& shape, uint64_t seed, const std::string& device);

  // One update; metrics as docs/metrics.md describes them. Throws RunError naming the array or
  // parameter that is not finite, or when the first minibatch finds that the actors'
  // log-probability is not this policy's; the weights are then as before that minibatch.
  UpdateMetrics Update(const rollout::TrajectoryBatch& batch, int64_t update,
                       double progress) override;
  std::span<const float> Weights() const override { return weights_.span(); }
  void Save(core::ArrayMap& out) const override;
  void Load(const core::ArrayMap& in) override;

  // Starts from these weights; the optimizer keeps its moments.
  void SetWeights(std::span<const float> flat);
  // For rollouts recorded by another program: its row order, and its log-probabilities, which are
  // not compared with ours.
  void ReplayPermutation(Permutation permutation);
  // Optimizer steps so far.
  int64_t gradient_steps() const { return gradient_steps_; }
  // Advantages and returns of the last update, [T, B]; normalised where that is over the rollout.
  std::span<const float> advantage() const { return advantage_; }
  std::span<const float> returns() const { return returns_; }
  // Which path runs and why: "LibTorch autograd on cpu: 4 hidden layers (...)".
  std::string PathDescription() const;

 private:
  struct Sums;
  void CheckBatch(const rollout::TrajectoryBatch& batch) const;
  void ComputeAdvantages(const rollout::TrajectoryBatch& batch);
  void RecomputeValues(const rollout::TrajectoryBatch& batch);
  void BeginEpochs(const rollout::TrajectoryBatch& batch);
  kernels::PpoLossSettings LossSettings(double progress) const;
  void RunEpoch(std::span<const int32_t> rows, const kernels::PpoLossSettings& loss, Sums& sums);
  void CheckStep(const kernels::PpoStats& stats, std::span<const int32_t> index,
                 const kernels::PpoLossSettings& loss, bool first);
  void KeepParameters();
  void RestoreParameters();
  float MinLogStd() const;
  double MeanStd() const;
  double ExplainedVariance(const rollout::TrajectoryBatch& batch) const;

  PpoConfig config_;
  kernels::MlpShape shape_;
  kernels::MlpLayout layout_;
  std::string path_reason_;
  std::unique_ptr<PpoBackend> backend_;
  Permutation permutation_;
  bool replayed_ = false;
  kernels::AlignedBuffer weights_, adam_m_, adam_v_;
  std::vector<float> kept_;  // the three as they were before the update
  int64_t gradient_steps_ = 0, epochs_ = 0;
  double learning_rate_;                                 // of the next step
  std::vector<float> advantage_, returns_;               // [N]
  std::vector<float> value_, final_value_, last_value_;  // recomputed, where wanted
};

}  // namespace pawl::algos
