// Proximal policy optimisation (Schulman et al. 2017) on dense rollouts, with the conventions of Stable-Baselines3 as
// defaults; docs/ppo.md gives the source of every detail. The learner loop's thread calls it; the minibatch step itself is a
// PpoBackend.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "algos/learner.h"
#include "algos/ppo_backend.h"
#include "core/config.h"
#include "nn/policy_config.h"

namespace pawl::algos {

enum class LearningRateSchedule : uint8_t { kLinear, kAdaptiveKl };
enum class AdvantageNormalization : uint8_t { kMinibatch, kBatch, kNone };
enum class UpdatePath : uint8_t { kAuto, kFused, kTorch };

struct PpoConfig {
  int horizon = 2048;
  int epochs = 10;
  int minibatch = 64;
  double learning_rate = 3e-4;
  double learning_rate_final = -1;
  LearningRateSchedule schedule = LearningRateSchedule::kLinear;
  double desired_kl = 0.01;
  double gamma = 0.99;
  double gae_lambda = 0.95;
  double clip_range = 0.2;
  double clip_range_final = -1;
  double clip_range_value = 0;
  double entropy_coef = 0;
  double value_coef = 0.5;
  double max_grad_norm = 0.5;
  double target_kl = 0;
  AdvantageNormalization normalize_advantage = AdvantageNormalization::kMinibatch;
  bool recompute_advantages = false;
  double adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-5;
  UpdatePath update_path = UpdatePath::kAuto;
  int update_threads = 2;
  template <class V>
  void Visit(V& v) {
    v.Field("horizon", horizon, {.help = "steps of each environment per update", .min = 1, .max = 1e6});
    v.Field("epochs", epochs, {.help = "passes over each rollout", .min = 1, .max = 1000});
    v.Field("minibatch", minibatch, {.help = "rows of a gradient step; the last one of an epoch may be shorter", .min = 1});
    v.Field("learning_rate", learning_rate, {.help = "Adam's step size at the start", .min = 0});
    v.Field("learning_rate_final", learning_rate_final,
            {.help = "step size at the end, reached linearly; below 0: constant", .min = -1});
    v.Field("schedule", schedule, {.help = "linear, or adaptive_kl: KL above 2 x desired_kl divides the rate by 1.5, below "
                                           "half of it multiplies by 1.5, within 1e-5 and 1e-2"});
    v.Field("desired_kl", desired_kl, {.help = "for adaptive_kl", .min = 0, .unit = "nats"});
    v.Field("gamma", gamma, {.help = "discount factor", .min = 0, .max = 1});
    v.Field("gae_lambda", gae_lambda, {.help = "lambda of generalised advantage estimation", .min = 0, .max = 1});
    v.Field("clip_range", clip_range, {.help = "clip of the probability ratio", .min = 0});
    v.Field("clip_range_final", clip_range_final, {.help = "clip at the end, reached linearly; below 0: constant", .min = -1});
    v.Field("clip_range_value", clip_range_value, {.help = "clip of the value's change; 0 = off", .min = 0});
    v.Field("entropy_coef", entropy_coef, {.help = "weight of the entropy bonus"});
    v.Field("value_coef", value_coef, {.help = "weight of the value's mean squared error", .min = 0});
    v.Field("max_grad_norm", max_grad_norm, {.help = "bound of the global gradient norm; 0 = none", .min = 0});
    v.Field("target_kl", target_kl, {.help = "stop the update when the KL passes 1.5 x this; 0 = never", .min = 0, .unit = "nats"});
    v.Field("normalize_advantage", normalize_advantage, {.help = "over each minibatch, the whole rollout, or not"});
    v.Field("recompute_advantages", recompute_advantages, {.help = "values and advantages anew before each epoch"});
    v.Field("adam_beta1", adam_beta1, {.help = "Adam's decay of the mean", .min = 0, .max = 1});
    v.Field("adam_beta2", adam_beta2, {.help = "Adam's decay of the square", .min = 0, .max = 1});
    v.Field("adam_epsilon", adam_epsilon, {.help = "Adam's epsilon", .min = 0});
    v.Field("update_path", update_path, {.help = "fused CPU kernel, LibTorch, or whichever serves (auto)"});
    v.Field("update_threads", update_threads, {.help = "threads of the fused kernel; same bits for both", .min = 1, .max = 2});
  }
};

class PpoLearner : public Learner {
 public:
  // Row order of one epoch: fills [N] with a permutation. The default shuffles with (seed, kShuffle, epoch, update).
  using Permutation = std::function<void(int64_t update, int epoch, std::span<int32_t> rows)>;

  PpoLearner(const PpoConfig& config, const nn::PolicyConfig& policy, const kernels::MlpShape& shape, uint64_t seed,
             const std::string& device);

  UpdateMetrics Update(const rollout::TrajectoryBatch& batch, int64_t update, double progress) override;
  std::span<const float> Weights() const override { return weights_.span(); }
  void Save(core::ArrayMap& out) const override;
  void Load(const core::ArrayMap& in) override;

  void SetWeights(std::span<const float> flat);
  void SetPermutation(Permutation permutation) { permutation_ = std::move(permutation); }
  int64_t gradient_steps() const { return gradient_steps_; }
  // Which path runs and why.
  std::string PathDescription() const;

 private:
  struct Sums;
  void ComputeAdvantages(const rollout::TrajectoryBatch& batch);
  void RecomputeValues(const rollout::TrajectoryBatch& batch);
  void CheckBatch(const rollout::TrajectoryBatch& batch) const;
  bool RunEpoch(std::span<const int32_t> rows, const kernels::PpoLossSettings& loss, Sums& sums);
  void CheckFirstMinibatch(const kernels::PpoStats& stats, const Sums& sums) const;
  void AdaptLearningRate(double kl);
  double ExplainedVariance(const rollout::TrajectoryBatch& batch) const;

  PpoConfig config_;
  kernels::MlpShape shape_;
  kernels::MlpLayout layout_;
  uint64_t seed_;
  std::string path_reason_;
  std::unique_ptr<PpoBackend> backend_;
  Permutation permutation_;
  kernels::AlignedBuffer weights_, adam_m_, adam_v_;
  int64_t gradient_steps_ = 0;
  double learning_rate_;            // of the present update
  std::vector<float> advantage_, returns_;   // [N]
  std::vector<float> value_, final_value_, last_value_;  // recomputed, where wanted
};

}  // namespace pawl::algos

template <>
struct pawl::core::EnumNames<pawl::algos::LearningRateSchedule> {
  static constexpr std::pair<const char*, pawl::algos::LearningRateSchedule> kTable[] = {
      {"linear", pawl::algos::LearningRateSchedule::kLinear},
      {"adaptive_kl", pawl::algos::LearningRateSchedule::kAdaptiveKl}};
};
template <>
struct pawl::core::EnumNames<pawl::algos::AdvantageNormalization> {
  static constexpr std::pair<const char*, pawl::algos::AdvantageNormalization> kTable[] = {
      {"minibatch", pawl::algos::AdvantageNormalization::kMinibatch},
      {"batch", pawl::algos::AdvantageNormalization::kBatch},
      {"none", pawl::algos::AdvantageNormalization::kNone}};
};
template <>
struct pawl::core::EnumNames<pawl::algos::UpdatePath> {
  static constexpr std::pair<const char*, pawl::algos::UpdatePath> kTable[] = {
      {"auto", pawl::algos::UpdatePath::kAuto},
      {"fused", pawl::algos::UpdatePath::kFused},
      {"torch", pawl::algos::UpdatePath::kTorch}};
};
