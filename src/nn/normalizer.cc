#include "nn/normalizer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace pawl::nn {

void AddToMoments(std::span<const double> x, std::span<double> packed) {
  const size_t d = x.size();
  PAWL_DCHECK(packed.size() == 1 + 2 * d);
  const double count = packed[0] += 1;
  double* mean = packed.data() + 1;
  double* m2 = mean + d;
  const double share = 1 / count;
  for (size_t i = 0; i < d; ++i) {
    // Welford 1962
    const double delta = x[i] - mean[i];
    mean[i] += delta * share;
    m2[i] += delta * (x[i] - mean[i]);
  }
}

void RunningMoments::Merge(std::span<const double> packed) {
  const size_t d = mean_.size();
  PAWL_CHECK_EQ(packed.size(), 1 + 2 * d);
  const double n = packed[0];
  if (n == 0) return;
  const double total = count_ + n;
  for (size_t i = 0; i < d; ++i) {
    // Chan, Golub and LeVeque 1983
    const double delta = packed[1 + i] - mean_[i];
    const double m2 =
        variance_[i] * count_ + packed[1 + d + i] + delta * delta * count_ * n / total;
    mean_[i] += delta * n / total;
    variance_[i] = m2 / total;
  }
  count_ = total;
}

void RunningMoments::Set(std::span<const double> mean, std::span<const double> variance,
                         double count) {
  PAWL_CHECK_EQ(mean.size(), mean_.size(), "saved statistics have another size");
  PAWL_CHECK_EQ(variance.size(), variance_.size(), "saved statistics have another size");
  std::copy(mean.begin(), mean.end(), mean_.begin());
  std::copy(variance.begin(), variance.end(), variance_.begin());
  count_ = count;
}

void NormalizerSnapshot::Prepare() {
  scale.resize(variance.size());
  for (size_t i = 0; i < variance.size(); ++i) scale[i] = 1 / std::sqrt(variance[i] + epsilon);
}

void NormalizerSnapshot::Observation(const double* raw, int rows, float* out) const {
  const size_t d = mean.size();
  if (!observation) {
    for (size_t i = 0; i < rows * d; ++i) out[i] = static_cast<float>(raw[i]);
    return;
  }
  for (int row = 0; row < rows; ++row) {
    for (size_t i = 0; i < d; ++i) {
      const double x = (raw[row * d + i] - mean[i]) * scale[i];
      out[row * d + i] = static_cast<float>(std::clamp(x, -clip_observation, clip_observation));
    }
  }
}

float NormalizerSnapshot::Reward(double raw) const {
  if (!reward) return static_cast<float>(raw);
  const double scaled = raw / std::sqrt(return_variance + epsilon);
  return static_cast<float>(std::clamp(scaled, -clip_reward, clip_reward));
}

void NormalizerSnapshot::Save(core::ArrayMap& out) const {
  const auto d = static_cast<int64_t>(mean.size());
  out.Put<double>("normalizer/mean", mean, {d});
  out.Put<double>("normalizer/variance", variance, {d});
  out.PutScalar<double>("normalizer/return_variance", return_variance);
}

std::string NormalizerSnapshot::SettingsJson() const {
  return nlohmann::json{{"observation", observation},
                        {"reward", reward},
                        {"clip_observation", clip_observation},
                        {"clip_reward", clip_reward},
                        {"epsilon", epsilon}}
      .dump();
}

NormalizerSnapshot NormalizerSnapshot::FromArrays(const core::ArrayMap& arrays,
                                                  const std::string& settings_json) {
  const auto settings = nlohmann::json::parse(settings_json);
  NormalizerSnapshot snapshot{.observation = settings.at("observation"),
                              .reward = settings.at("reward"),
                              .clip_observation = settings.at("clip_observation"),
                              .clip_reward = settings.at("clip_reward"),
                              .epsilon = settings.at("epsilon")};
  const auto mean = arrays.Get<double>("normalizer/mean");
  const auto variance = arrays.Get<double>("normalizer/variance");
  PAWL_CHECK_EQ(mean.size(), variance.size(), "saved statistics");
  snapshot.mean.assign(mean.begin(), mean.end());
  snapshot.variance.assign(variance.begin(), variance.end());
  snapshot.return_variance = arrays.GetScalar<double>("normalizer/return_variance");
  snapshot.Prepare();
  return snapshot;
}

Normalizer::Normalizer(const NormalizeConfig& config, int obs, int num_envs)
    : config_(config), observations_(obs), returns_(1), discounted_(num_envs, 0.0) {}

NormalizerSnapshot Normalizer::Snapshot() const {
  NormalizerSnapshot snapshot{.observation = config_.observation,
                              .reward = config_.reward,
                              .clip_observation = config_.clip_observation,
                              .clip_reward = config_.clip_reward,
                              .epsilon = config_.epsilon,
                              .mean = observations_.mean(),
                              .variance = observations_.variance(),
                              .return_variance = returns_.variance()[0]};
  snapshot.Prepare();
  return snapshot;
}

void Normalizer::MergeObservations(std::span<const double> packed) {
  const size_t width = 1 + 2 * observations_.mean().size();
  PAWL_CHECK_EQ(packed.size(), discounted_.size() * width);
  for (size_t env = 0; env < discounted_.size(); ++env)
    observations_.Merge(packed.subspan(env * width, width));
}

void Normalizer::AccumulateReturns(std::span<const double> reward,
                                   std::span<const uint8_t> terminated,
                                   std::span<const uint8_t> truncated) {
  const size_t b = discounted_.size();
  for (size_t env = 0; env < b; ++env) {
    double packed[3] = {};
    double& discounted = discounted_[env];
    for (size_t row = env; row < reward.size(); row += b) {
      // Gymnasium drops what came before at the terminating step itself, so that its reward counts
      // into the next episode; SB3 restarts after the step
      if (config_.reset == NormalizeReset::kTerminated && terminated[row]) discounted = 0;
      discounted = config_.gamma * discounted + reward[row];
      AddToMoments({&discounted, 1}, packed);
      if (config_.reset == NormalizeReset::kDone && (terminated[row] || truncated[row]))
        discounted = 0;
    }
    returns_.Merge(packed);
  }
}

void Normalizer::StartFrom(const NormalizerSnapshot& snapshot, double count) {
  if (snapshot.observation) observations_.Set(snapshot.mean, snapshot.variance, count);
  if (!snapshot.reward) return;
  returns_.Set(std::vector<double>{0.0}, std::vector<double>{snapshot.return_variance}, count);
}

void Normalizer::Save(core::ArrayMap& out) const {
  const auto d = static_cast<int64_t>(observations_.mean().size());
  out.Put<double>("statistics/mean", observations_.mean(), {d});
  out.Put<double>("statistics/variance", observations_.variance(), {d});
  out.PutScalar<double>("statistics/count", observations_.count());
  out.PutScalar<double>("statistics/return_mean", returns_.mean()[0]);
  out.PutScalar<double>("statistics/return_variance", returns_.variance()[0]);
  out.PutScalar<double>("statistics/return_count", returns_.count());
  out.Put<double>("statistics/discounted_return", discounted_,
                  {static_cast<int64_t>(discounted_.size())});
}

void Normalizer::Load(const core::ArrayMap& in) {
  observations_.Set(in.Get<double>("statistics/mean"), in.Get<double>("statistics/variance"),
                    in.GetScalar<double>("statistics/count"));
  const double mean = in.GetScalar<double>("statistics/return_mean");
  const double variance = in.GetScalar<double>("statistics/return_variance");
  returns_.Set({&mean, 1}, {&variance, 1}, in.GetScalar<double>("statistics/return_count"));
  in.CopyTo<double>("statistics/discounted_return", discounted_);
}

}  // namespace pawl::nn
