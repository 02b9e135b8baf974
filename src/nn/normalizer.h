// Running normalisation of observations and rewards, saved with the policy. Statistics are float64:
// population mean and variance by Chan's merge, count 1e-4 at first (Gymnasium's and SB3's
// RunningMeanStd). A rollout uses one immutable snapshot; the learner's thread merges what the
// actors saw, in environment order, so the result does not depend on their number.
//   observation: clip((x - mean) / sqrt(variance + epsilon), +-clip_observation)
//   reward:      R <- gamma R + r per environment; clip(r / sqrt(Var(R) + epsilon), +-clip_reward);
//   no mean is subtracted
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/safetensors.h"

namespace pawl::nn {

enum class NormalizeUpdate : uint8_t { kRollout, kPerStep };
enum class NormalizeReset : uint8_t { kDone, kTerminated };

struct NormalizeConfig {
  bool observation = false;
  bool reward = false;
  double clip_observation = 10, clip_reward = 10;
  double epsilon = 1e-8;
  double gamma = 0.99;
  NormalizeUpdate update = NormalizeUpdate::kRollout;
  NormalizeReset reset = NormalizeReset::kDone;
  int warmup_steps = 32;
  template <class V>
  void Visit(V& v) {
    v.Field("observation", observation,
            {.help = "normalise observations by their running mean and variance"});
    v.Field("reward", reward,
            {.help = "scale rewards by the running deviation of the discounted return"});
    v.Field("clip_observation", clip_observation,
            {.help = "bound of a normalised observation", .min = 1e-3});
    v.Field("clip_reward", clip_reward, {.help = "bound of a scaled reward", .min = 1e-3});
    v.Field("epsilon", epsilon, {.help = "added to a variance", .min = 0});
    v.Field("gamma", gamma,
            {.help = "discount of the return whose deviation scales rewards", .min = 0, .max = 1});
    v.Field("update", update,
            {.help = "rollout: statistics stay fixed during a rollout; per_step: as SB3, with a "
                     "barrier per step"});
    v.Field("reset", reset,
            {.help = "when the discounted return restarts: at every end of an episode (SB3) or "
                     "only at termination (Gymnasium)"});
    v.Field("warmup_steps", warmup_steps,
            {.help = "steps per environment of the first policy that only feed the statistics "
                     "(counted; update = rollout)",
             .min = 0,
             .max = 1e6});
  }
};

// Running count, mean and sum of squared deviations of D numbers: [1 + 2 D] doubles (count, mean,
// M2), so that they can live in shared memory. All zero is empty.
void AddToMoments(std::span<const double> x, std::span<double> packed);

// Gymnasium's RunningMeanStd over [D].
class RunningMoments {
 public:
  explicit RunningMoments(int size) : mean_(size, 0.0), variance_(size, 1.0) {}
  // Merges packed moments [1 + 2 D]; an empty one changes nothing.
  void Merge(std::span<const double> packed);
  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& variance() const { return variance_; }
  double count() const { return count_; }
  void Set(std::span<const double> mean, std::span<const double> variance, double count);

 private:
  double count_ = 1e-4;
  std::vector<double> mean_, variance_;
};

// What a rollout, an evaluation or a saved policy uses: fixed numbers.
struct NormalizerSnapshot {
  bool observation = false, reward = false;
  double clip_observation = 10, clip_reward = 10, epsilon = 1e-8;
  std::vector<double> mean, variance;  // [O]
  double return_variance = 1;
  std::vector<double> scale;  // [O] 1 / sqrt(variance + epsilon), kept by Prepare

  void Prepare();
  // raw [rows, O] -> out [rows, O] float32 (a plain cast where observations are not normalised).
  void Observation(const double* raw, int rows, float* out) const;
  float Reward(double raw) const;
  // "normalizer/..." arrays and the settings as JSON, and back.
  void Save(core::ArrayMap& out) const;
  std::string SettingsJson() const;
  static NormalizerSnapshot FromArrays(const core::ArrayMap& arrays,
                                       const std::string& settings_json);
};

class Normalizer {
 public:
  Normalizer(const NormalizeConfig& config, int obs, int num_envs);
  NormalizerSnapshot Snapshot() const;
  // packed [B, 1 + 2 O]: each environment's moments of the observations it saw; merged in order.
  void MergeObservations(std::span<const double> packed);
  // Rewards [T, B] of some steps: advances every environment's discounted return, then merges its
  // variance, step by step (per_step) or environment by environment over the whole segment
  // (rollout).
  void AccumulateReturns(std::span<const double> reward, std::span<const uint8_t> terminated,
                         std::span<const uint8_t> truncated);
  // Begins from a saved policy's statistics, as if `count` observations had been seen.
  void StartFrom(const NormalizerSnapshot& snapshot, double count = 1e4);
  void Save(core::ArrayMap& out) const;
  void Load(const core::ArrayMap& in);

 private:
  NormalizeConfig config_;
  RunningMoments observations_, returns_;
  std::vector<double> discounted_;  // [B] running discounted return of each environment
};

}  // namespace pawl::nn

template <>
struct pawl::core::EnumNames<pawl::nn::NormalizeUpdate> {
  static constexpr std::pair<const char*, pawl::nn::NormalizeUpdate> kTable[] = {
      {"rollout", pawl::nn::NormalizeUpdate::kRollout},
      {"per_step", pawl::nn::NormalizeUpdate::kPerStep}};
};
template <>
struct pawl::core::EnumNames<pawl::nn::NormalizeReset> {
  static constexpr std::pair<const char*, pawl::nn::NormalizeReset> kTable[] = {
      {"done", pawl::nn::NormalizeReset::kDone},
      {"terminated", pawl::nn::NormalizeReset::kTerminated}};
};
