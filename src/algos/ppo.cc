#include "algos/ppo.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/advantage.h"
#include "nn/policy_runner.h"

namespace pawl::algos {
namespace {
constexpr double kMinAdaptiveRate = 1e-5, kMaxAdaptiveRate = 1e-2;
constexpr float kTorchLogRatioTolerance = 1e-5f;
constexpr int kValueRows = 64;

void Shuffle(uint64_t seed, int64_t update, int epoch, std::span<int32_t> rows) {
  std::iota(rows.begin(), rows.end(), 0);
  core::Philox rng(seed, core::Role::kShuffle, epoch, update);
  for (uint32_t i = static_cast<uint32_t>(rows.size()); i > 1; --i) std::swap(rows[i - 1], rows[rng.Below(i)]);
}

void CheckFinite(const float* values, int64_t count, const char* name) {
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) {
      throw RunError({.what = fmt::format("the rollout's {} is {} at row {}", name, values[i], i),
                      .expected = "finite numbers",
                      .hint = "the weights are those of the last good update; a smaller learning rate?"});
    }
  }
}

double Interpolate(double first, double last, double progress) {
  return last < 0 ? first : first + (last - first) * progress;
}
}  // namespace

// Sums of the minibatch statistics of one update.
struct PpoLearner::Sums {
  int minibatches = 0;
  double policy_loss = 0, value_loss = 0, entropy = 0, kl = 0, clip_fraction = 0, grad_norm = 0;
  float first_max_log_ratio = 0;
  bool stopped = false;
};

PpoLearner::PpoLearner(const PpoConfig& config, const nn::PolicyConfig& policy, const kernels::MlpShape& shape,
                       uint64_t seed, const std::string& device)
    : config_(config),
      shape_(shape),
      layout_(shape),
      seed_(seed),
      weights_(nn::InitialWeights(policy, shape, seed)),
      adam_m_(layout_.size()),
      adam_v_(layout_.size()),
      learning_rate_(config.learning_rate) {
  const std::string unsupported = kernels::FusedUnsupportedReason(shape);
  if (config.update_path == UpdatePath::kFused && (!unsupported.empty() || device != "cpu")) {
    throw UserError({.what = "ppo.update_path = \"fused\" does not serve this run: " +
                             (unsupported.empty() ? "the device is " + device : unsupported),
                     .where = "ppo.update_path",
                     .hint = "\"auto\" takes LibTorch then"});
  }
  if (config.update_path == UpdatePath::kTorch) path_reason_ = "as configured";
  else if (device != "cpu") path_reason_ = "the device is " + device;
  else path_reason_ = unsupported;
  if (path_reason_.empty()) {
    backend_ = MakeFusedBackend(shape, config.minibatch, config.update_threads);
  } else {
    backend_ = MakeTorchBackend(shape, device);
  }
  permutation_ = [this](int64_t update, int epoch, std::span<int32_t> rows) { Shuffle(seed_, update, epoch, rows); };
}

std::string PpoLearner::PathDescription() const {
  return path_reason_.empty() ? backend_->Description() : fmt::format("{}: {}", backend_->Description(), path_reason_);
}

void PpoLearner::SetWeights(std::span<const float> flat) {
  PAWL_CHECK_EQ(flat.size(), weights_.size());
  std::copy(flat.begin(), flat.end(), weights_.data());
}

UpdateMetrics PpoLearner::Update(const rollout::TrajectoryBatch& batch, int64_t update, double progress) {
  const int64_t n = batch.rows();
  CheckBatch(batch);
  value_.assign(batch.value, batch.value + n);
  final_value_.assign(batch.final_value, batch.final_value + n);
  last_value_.assign(batch.last_value, batch.last_value + batch.batch);
  ComputeAdvantages(batch);
  const double explained_variance = ExplainedVariance(batch);
  if (config_.schedule == LearningRateSchedule::kLinear) {
    learning_rate_ = Interpolate(config_.learning_rate, config_.learning_rate_final, progress);
  }
  kernels::PpoLossSettings loss{
      .clip_range = static_cast<float>(Interpolate(config_.clip_range, config_.clip_range_final, progress)),
      .clip_range_value = static_cast<float>(config_.clip_range_value),
      .entropy_coef = static_cast<float>(config_.entropy_coef),
      .value_coef = static_cast<float>(config_.value_coef),
      .max_grad_norm = static_cast<float>(config_.max_grad_norm),
      .target_kl = static_cast<float>(config_.target_kl),
      .normalize_advantage = config_.normalize_advantage == AdvantageNormalization::kMinibatch};
  backend_->Begin({.obs = batch.observation,
                   .action = batch.action,
                   .log_prob = batch.log_prob,
                   .advantage = advantage_.data(),
                   .returns = returns_.data(),
                   .value = batch.value},
                  n, {weights_.span(), adam_m_.span(), adam_v_.span()});
  Sums sums;
  std::vector<int32_t> rows(n);
  int epochs = 0;
  for (; epochs < config_.epochs && !sums.stopped; ++epochs) {
    if (epochs > 0 && config_.recompute_advantages) {
      backend_->End();
      RecomputeValues(batch);
      ComputeAdvantages(batch);
      backend_->Begin({.obs = batch.observation, .action = batch.action, .log_prob = batch.log_prob,
                       .advantage = advantage_.data(), .returns = returns_.data(), .value = batch.value},
                      n, {weights_.span(), adam_m_.span(), adam_v_.span()});
    }
    permutation_(update, epochs, rows);
    RunEpoch(rows, loss, sums);
  }
  backend_->End();
  const double count = std::max(1, sums.minibatches);
  if (config_.schedule == LearningRateSchedule::kAdaptiveKl) AdaptLearningRate(sums.kl / count);
  double std_mean = std::numeric_limits<double>::quiet_NaN();
  if (shape_.head != kernels::PolicyHead::kCategorical) {
    std_mean = 0;
    const float* log_std = weights_.data() + layout_.Find("log_std").offset;
    for (int a = 0; a < shape_.act; ++a) std_mean += std::exp(log_std[a]) / shape_.act;
  }
  return {{"gradient_steps", static_cast<double>(gradient_steps_)},
          {"approx_kl", sums.kl / count},
          {"clip_fraction", sums.clip_fraction / count},
          {"explained_variance", explained_variance},
          {"policy_loss", sums.policy_loss / count},
          {"value_loss", sums.value_loss / count},
          {"entropy", sums.entropy / count},
          {"learning_rate", learning_rate_},
          {"clip_range", loss.clip_range},
          {"grad_norm", sums.grad_norm / count},
          {"policy_std", std_mean},
          {"epochs", static_cast<double>(epochs)},
          {"first_minibatch_max_log_ratio", sums.first_max_log_ratio}};
}

void PpoLearner::CheckBatch(const rollout::TrajectoryBatch& batch) const {
  const int64_t n = batch.rows();
  PAWL_CHECK_EQ(batch.obs, shape_.obs);
  CheckFinite(batch.observation, n * batch.obs, "observation");
  CheckFinite(batch.action, n * batch.act, "action");
  CheckFinite(batch.log_prob, n, "log-probability");
  CheckFinite(batch.value, n, "value");
  CheckFinite(batch.reward, n, "reward");
  CheckFinite(batch.final_value, n, "value of a final observation");
  CheckFinite(batch.last_value, batch.batch, "value of a last observation");
}

void PpoLearner::ComputeAdvantages(const rollout::TrajectoryBatch& batch) {
  const int64_t n = batch.rows();
  advantage_.resize(n);
  returns_.resize(n);
  kernels::GaeCpu({.time = batch.time,
                   .batch = batch.batch,
                   .reward = batch.reward,
                   .value = value_.data(),
                   .final_value = final_value_.data(),
                   .last_value = last_value_.data(),
                   .terminated = batch.terminated,
                   .truncated = batch.truncated,
                   .gamma = static_cast<float>(config_.gamma),
                   .lambda = static_cast<float>(config_.gae_lambda),
                   .advantage = advantage_.data(),
                   .returns = returns_.data()});
  if (config_.normalize_advantage != AdvantageNormalization::kBatch || n < 2) return;
  const double mean = std::accumulate(advantage_.begin(), advantage_.end(), 0.0) / n;
  double squares = 0;
  for (float a : advantage_) squares += (a - mean) * (a - mean);
  const double scale = 1 / (std::sqrt(squares / (n - 1)) + 1e-8);
  for (float& a : advantage_) a = static_cast<float>((a - mean) * scale);
}

// Values of every observation of the rollout under the present weights.
void PpoLearner::RecomputeValues(const rollout::TrajectoryBatch& batch) {
  nn::PolicyRunner runner(shape_, kValueRows);
  std::vector<float> head(size_t{kValueRows} * shape_.act);
  auto run = [&](const float* obs, int64_t rows, float* out) {
    for (int64_t at = 0; at < rows; at += kValueRows) {
      const int count = static_cast<int>(std::min<int64_t>(kValueRows, rows - at));
      runner.Forward(weights_.span(), obs + at * shape_.obs, count, head.data(), out + at);
    }
  };
  run(batch.observation, batch.rows(), value_.data());
  run(batch.last_observation, batch.batch, last_value_.data());
  for (int64_t row = 0; row < batch.rows(); ++row) {
    if (batch.truncated[row]) run(batch.final_observation + row * shape_.obs, 1, &final_value_[row]);
  }
}

// False: the target KL stopped it.
bool PpoLearner::RunEpoch(std::span<const int32_t> rows, const kernels::PpoLossSettings& loss, Sums& sums) {
  const kernels::AdamSettings adam{.learning_rate = static_cast<float>(learning_rate_),
                                   .beta1 = static_cast<float>(config_.adam_beta1),
                                   .beta2 = static_cast<float>(config_.adam_beta2),
                                   .epsilon = static_cast<float>(config_.adam_epsilon)};
  for (size_t at = 0; at < rows.size(); at += config_.minibatch) {
    const auto index = rows.subspan(at, std::min<size_t>(config_.minibatch, rows.size() - at));
    const auto stats = backend_->Step(index, loss, adam, gradient_steps_ + 1);
    if (!stats.finite) {
      backend_->End();
      throw RunError({.what = fmt::format("loss or gradient is not finite (policy loss {}, value loss {}, gradient norm {}) "
                                          "at gradient step {}",
                                          stats.policy_loss, stats.value_loss, stats.grad_norm, gradient_steps_ + 1),
                      .hint = "no step was taken; the last checkpoint holds good weights; a smaller learning rate?"});
    }
    if (sums.minibatches == 0) CheckFirstMinibatch(stats, sums);
    if (sums.minibatches == 0) sums.first_max_log_ratio = stats.max_abs_log_ratio;
    ++sums.minibatches;
    sums.policy_loss += stats.policy_loss;
    sums.value_loss += stats.value_loss;
    sums.entropy += stats.entropy;
    sums.kl += stats.approx_kl;
    sums.clip_fraction += stats.clip_fraction;
    sums.grad_norm += stats.grad_norm;
    if (stats.stopped) {
      sums.stopped = true;
      return false;
    }
    ++gradient_steps_;
  }
  return true;
}

// On-policy means on-policy: before the first step the learner must find the actors' log-probabilities.
void PpoLearner::CheckFirstMinibatch(const kernels::PpoStats& stats, const Sums&) const {
  const float allowed = backend_->exact_log_prob() ? 0.0f : kTorchLogRatioTolerance;
  PAWL_CHECK(stats.max_abs_log_ratio <= allowed,
             "the learner's log-probability differs from the actors' by {} before the first step (allowed {}): "
             "observations, normaliser or weights differ between them",
             stats.max_abs_log_ratio, allowed);
}

void PpoLearner::AdaptLearningRate(double kl) {
  if (kl > 2 * config_.desired_kl) learning_rate_ = std::max(kMinAdaptiveRate, learning_rate_ / 1.5);
  if (kl < 0.5 * config_.desired_kl) learning_rate_ = std::min(kMaxAdaptiveRate, learning_rate_ * 1.5);
}

// 1 - Var(returns - values) / Var(returns); NaN where the returns do not vary.
double PpoLearner::ExplainedVariance(const rollout::TrajectoryBatch& batch) const {
  const int64_t n = batch.rows();
  double mean_return = 0, mean_error = 0;
  for (int64_t i = 0; i < n; ++i) {
    mean_return += returns_[i];
    mean_error += returns_[i] - batch.value[i];
  }
  mean_return /= n;
  mean_error /= n;
  double var_return = 0, var_error = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double error = returns_[i] - batch.value[i] - mean_error;
    var_return += (returns_[i] - mean_return) * (returns_[i] - mean_return);
    var_error += error * error;
  }
  return var_return > 0 ? 1 - var_error / var_return : std::numeric_limits<double>::quiet_NaN();
}

void PpoLearner::Save(core::ArrayMap& out) const {
  // weights too, though the policy has them: training state is whole by itself
  nn::FlatToNamed(shape_, weights_.span(), out);
  const auto size = static_cast<int64_t>(layout_.size());
  out.Put<float>("adam/m", adam_m_.span(), {size});
  out.Put<float>("adam/v", adam_v_.span(), {size});
  out.PutScalar<int64_t>("adam/step", gradient_steps_);
  out.PutScalar<double>("learning_rate", learning_rate_);
}

void PpoLearner::Load(const core::ArrayMap& in) {
  nn::NamedToFlat(shape_, in, weights_.span());
  in.CopyTo<float>("adam/m", adam_m_.span());
  in.CopyTo<float>("adam/v", adam_v_.span());
  gradient_steps_ = in.GetScalar<int64_t>("adam/step");
  learning_rate_ = in.GetScalar<double>("learning_rate");
}

}  // namespace pawl::algos
