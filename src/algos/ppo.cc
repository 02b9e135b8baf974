#include "algos/ppo.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/rng.h"
#include "core/thread_pool.h"
#include "kernels/advantage.h"
#include "nn/policy_runner.h"

namespace pawl::algos {
namespace {
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kMinAdaptiveRate = 1e-5, kMaxAdaptiveRate = 1e-2;  // rsl_rl's bounds
constexpr int kValueRows = 64;  // of one forward pass over recomputed values

// values: [T, B, width]; the first bad number's place is told by step and environment.
void CheckFinite(const float* values, int64_t rows, int width, int batch, const char* name) {
  for (int64_t i = 0; i < rows * width; ++i) {
    if (std::isfinite(values[i])) continue;
    const int64_t row = i / width;
    throw RunError({.what = fmt::format("{} is {} in a rollout", name, values[i]),
                    .where = fmt::format("step {} of environment {}", row / batch, row % batch),
                    .expected = "finite numbers",
                    .hint = "no step was taken; the weights are those of the last good update"});
  }
}

double Interpolate(double first, double last, double progress) {
  return last < 0 ? first : first + (last - first) * progress;
}

// Why the fused kernel does not serve the run, or "".
std::string TorchReason(const PpoConfig& config, const kernels::MlpShape& shape,
                        const std::string& device) {
  std::string reason = kernels::FusedUnsupportedReason(shape);
  if (device != "cpu") reason = "the device is " + device;
  if (config.update_path == UpdatePath::kFused && !reason.empty()) {
    throw UserError({.what = fmt::format("the fused kernel does not serve this run ({})", reason),
                     .where = "ppo.update_path",
                     .expected = "\"auto\" or \"torch\""});
  }
  return config.update_path == UpdatePath::kTorch ? "as configured" : reason;
}
}  // namespace

void CheckPpoConfig(const PpoConfig& config) {
  if (config.schedule == LearningRateSchedule::kAdaptiveKl && config.learning_rate_final >= 0) {
    throw UserError({.what = "ppo.schedule = \"adaptive_kl\" beside ppo.learning_rate_final",
                     .where = "ppo.learning_rate_final",
                     .expected = "one of the two",
                     .hint = "an adaptive rate has no planned end"});
  }
}

void ShuffleRows(uint64_t seed, int64_t update, int epoch, std::span<int32_t> rows) {
  std::iota(rows.begin(), rows.end(), 0);
  core::Philox rng(seed, core::Role::kShuffle, epoch, update);
  // Fisher-Yates
  for (auto i = static_cast<uint32_t>(rows.size()); i > 1; --i) {
    std::swap(rows[i - 1], rows[rng.Below(i)]);
  }
}

double AdaptedLearningRate(double rate, double kl, double desired_kl) {
  if (kl > 2 * desired_kl) return std::max(kMinAdaptiveRate, rate / 1.5);
  if (kl < 0.5 * desired_kl && kl > 0) return std::min(kMaxAdaptiveRate, rate * 1.5);
  return rate;
}

// Sums of the minibatch statistics of one update.
struct PpoLearner::Sums {
  int minibatches = 0, steps = 0;
  double policy_loss = 0, value_loss = 0, entropy = 0, kl = 0, clip_fraction = 0, grad_norm = 0;
  double last_rate = kNaN;
  float first_max_log_ratio = 0;
  bool stopped = false;
};

PpoLearner::PpoLearner(const PpoConfig& config, const nn::PolicyConfig& policy,
                       const kernels::MlpShape& shape, uint64_t seed, const std::string& device)
    : config_(config),
      shape_(shape),
      layout_(shape),
      path_reason_(TorchReason(config, shape, device)),
      permutation_([seed](int64_t update, int epoch, std::span<int32_t> rows) {
        ShuffleRows(seed, update, epoch, rows);
      }),
      weights_(nn::InitialWeights(policy, shape, seed)),
      adam_m_(layout_.size()),
      adam_v_(layout_.size()),
      learning_rate_(config.learning_rate) {
  CheckPpoConfig(config);
  if (path_reason_.empty()) {
    // two threads on one core would only wait for each other
    const int threads =
        config.update_threads > 0 ? config.update_threads : std::min(2, core::NumCores());
    backend_ = MakeFusedBackend(shape, config.minibatch, threads);
  } else {
    backend_ = MakeTorchBackend(shape, device);
  }
}

std::string PpoLearner::PathDescription() const {
  return path_reason_.empty() ? backend_->Description()
                              : fmt::format("{}: {}", backend_->Description(), path_reason_);
}

void PpoLearner::SetWeights(std::span<const float> flat) {
  PAWL_CHECK_EQ(flat.size(), weights_.size());
  std::copy(flat.begin(), flat.end(), weights_.data());
}

void PpoLearner::ReplayPermutation(Permutation permutation) {
  permutation_ = std::move(permutation);
  replayed_ = true;
}

void PpoLearner::KeepParameters() {
  kept_.clear();
  for (const auto* buffer : {&weights_, &adam_m_, &adam_v_}) {
    kept_.insert(kept_.end(), buffer->data(), buffer->data() + buffer->size());
  }
}

void PpoLearner::RestoreParameters() {
  const float* from = kept_.data();
  for (auto* buffer : {&weights_, &adam_m_, &adam_v_}) {
    std::copy_n(from, buffer->size(), buffer->data());
    from += buffer->size();
  }
}

UpdateMetrics PpoLearner::Update(const rollout::TrajectoryBatch& batch, int64_t update,
                                 double progress) {
  CheckBatch(batch);
  value_.assign(batch.value, batch.value + batch.rows());
  final_value_.assign(batch.final_value, batch.final_value + batch.rows());
  last_value_.assign(batch.last_value, batch.last_value + batch.batch);
  ComputeAdvantages(batch);
  const double explained_variance = ExplainedVariance(batch);
  if (config_.schedule == LearningRateSchedule::kLinear) {
    learning_rate_ = Interpolate(config_.learning_rate, config_.learning_rate_final, progress);
  }
  const kernels::PpoLossSettings loss = LossSettings(progress);
  KeepParameters();
  Sums sums;
  std::vector<int32_t> rows(batch.rows());
  for (int epoch = 0; epoch < config_.epochs && !sums.stopped; ++epoch) {
    if (epoch > 0 && config_.recompute_advantages) {
      RecomputeValues(batch);
      ComputeAdvantages(batch);
    }
    BeginEpochs(batch);
    permutation_(update, epoch, rows);
    const Sums before = sums;
    RunEpoch(rows, loss, sums);
    backend_->End();
    ++epochs_;
    if (config_.schedule == LearningRateSchedule::kAdaptiveKl) {
      // once an epoch, as the KL of one small minibatch is mostly noise (rl_games' "standard"
      // schedule; rsl_rl, whose rule this is, has large minibatches and does it in each)
      const double kl = (sums.kl - before.kl) / (sums.minibatches - before.minibatches);
      learning_rate_ = AdaptedLearningRate(learning_rate_, kl, config_.desired_kl);
    }
  }
  const double count = sums.minibatches;
  const double policy_loss = sums.policy_loss / count, value_loss = sums.value_loss / count;
  const double entropy = sums.entropy / count;
  return {{"gradient_steps", static_cast<double>(gradient_steps_)},
          {"epochs", static_cast<double>(epochs_)},
          {"approx_kl", sums.kl / count},
          {"clip_fraction", sums.clip_fraction / count},
          {"clip_range", Interpolate(config_.clip_range, config_.clip_range_final, progress)},
          {"explained_variance", explained_variance},
          {"policy_loss", policy_loss},
          {"value_loss", value_loss},
          {"loss", policy_loss + config_.value_coef * value_loss - config_.entropy_coef * entropy},
          {"entropy", entropy},
          {"learning_rate", sums.last_rate},
          {"policy_std", MeanStd()},
          {"grad_norm", sums.steps > 0 ? sums.grad_norm / sums.steps : kNaN},
          {"first_minibatch_max_log_ratio", sums.first_max_log_ratio}};
}

void PpoLearner::CheckBatch(const rollout::TrajectoryBatch& batch) const {
  const int64_t n = batch.rows();
  const int b = batch.batch;
  PAWL_CHECK_GT(n, 0, "an empty rollout");
  PAWL_CHECK_EQ(batch.obs, shape_.obs, "observation width");
  PAWL_CHECK_EQ(batch.act, shape_.head == kernels::PolicyHead::kCategorical ? 1 : shape_.act,
                "action width");
  CheckFinite(batch.observation, n, batch.obs, b, "observation");
  CheckFinite(batch.action, n, batch.act, b, "action");
  CheckFinite(batch.log_prob, n, 1, b, "log_prob");
  CheckFinite(batch.value, n, 1, b, "value");
  CheckFinite(batch.reward, n, 1, b, "reward");
  CheckFinite(batch.last_value, b, 1, b, "last_value");
  for (int64_t row = 0; row < n; ++row) {
    if (!batch.truncated[row] || std::isfinite(batch.final_value[row])) continue;
    throw RunError({.what = fmt::format("final_value is {} in a rollout", batch.final_value[row]),
                    .where = fmt::format("step {} of environment {}", row / b, row % b)});
  }
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
  CheckFinite(advantage_.data(), n, 1, batch.batch, "advantage");
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
    if (batch.truncated[row]) {
      run(batch.final_observation + row * shape_.obs, 1, &final_value_[row]);
    }
  }
}

// The value clip keeps to the values of the policy that acted, also where advantages are anew.
void PpoLearner::BeginEpochs(const rollout::TrajectoryBatch& batch) {
  backend_->Begin({.obs = batch.observation,
                   .action = batch.action,
                   .log_prob = batch.log_prob,
                   .advantage = advantage_.data(),
                   .returns = returns_.data(),
                   .value = batch.value},
                  batch.rows(), {weights_.span(), adam_m_.span(), adam_v_.span()});
}

kernels::PpoLossSettings PpoLearner::LossSettings(double progress) const {
  return {.clip_range = static_cast<float>(
              Interpolate(config_.clip_range, config_.clip_range_final, progress)),
          .clip_range_value = static_cast<float>(config_.clip_range_value),
          .entropy_coef = static_cast<float>(config_.entropy_coef),
          .value_coef = static_cast<float>(config_.value_coef),
          .max_grad_norm = static_cast<float>(config_.max_grad_norm),
          .target_kl = static_cast<float>(config_.target_kl),
          .normalize_advantage = config_.normalize_advantage == AdvantageNormalization::kMinibatch};
}

void PpoLearner::RunEpoch(std::span<const int32_t> rows, const kernels::PpoLossSettings& loss,
                          Sums& sums) {
  const kernels::AdamSettings adam{.learning_rate = static_cast<float>(learning_rate_),
                                   .beta1 = static_cast<float>(config_.adam_beta1),
                                   .beta2 = static_cast<float>(config_.adam_beta2),
                                   .epsilon = static_cast<float>(config_.adam_epsilon)};
  for (size_t at = 0; at < rows.size(); at += config_.minibatch) {
    const auto index = rows.subspan(at, std::min<size_t>(config_.minibatch, rows.size() - at));
    const auto stats = backend_->Step(index, loss, adam, gradient_steps_ + 1);
    CheckStep(stats, index, loss, /*first=*/sums.minibatches == 0);
    if (sums.minibatches == 0) sums.first_max_log_ratio = stats.max_abs_log_ratio;
    ++sums.minibatches;
    sums.policy_loss += stats.policy_loss;
    sums.value_loss += stats.value_loss;
    sums.entropy += stats.entropy;
    sums.kl += stats.approx_kl;
    sums.clip_fraction += stats.clip_fraction;
    if (stats.stopped) {
      sums.stopped = true;
      return;
    }
    ++gradient_steps_;
    ++sums.steps;
    sums.grad_norm += stats.grad_norm;
    sums.last_rate = learning_rate_;
  }
}

void PpoLearner::CheckStep(const kernels::PpoStats& stats, std::span<const int32_t> index,
                           const kernels::PpoLossSettings& loss, bool first) {
  if (!stats.finite) {
    std::string tensor = !std::isfinite(stats.policy_loss)  ? "policy_loss"
                         : !std::isfinite(stats.value_loss) ? "value_loss"
                         : !std::isfinite(stats.entropy)    ? "entropy"
                                                            : "";
    if (tensor.empty()) {
      const std::string name = backend_->NonFiniteGradient(index, loss);
      tensor = name.empty() ? "the norm of the gradient" : "the gradient of " + name;
    }
    backend_->End();
    throw RunError({.what = fmt::format("{} is not finite", tensor),
                    .where = fmt::format("gradient step {}", gradient_steps_ + 1),
                    .expected = "finite numbers",
                    .hint = "the step was not taken; a smaller learning rate?"});
  }
  if (!first || replayed_) return;
  // on-policy means on-policy: before the first step the learner finds the actors' log-probability.
  // On the LibTorch path a mean that is off by float32's rounding counts in standard deviations.
  const float allowed =
      backend_->exact_log_prob() ? 0.0f : 1e-5f * std::exp(std::max(0.0f, -MinLogStd()));
  if (stats.max_abs_log_ratio <= allowed) return;
  // that step was taken to find out
  backend_->End();
  RestoreParameters();
  throw RunError({.what = fmt::format("the learner's log-probability of a rollout's action differs "
                                      "from the actor's by {:g}",
                                      stats.max_abs_log_ratio),
                  .where = "the first minibatch",
                  .expected = fmt::format("at most {:g}", allowed),
                  .hint = "weights, normaliser or observations of actor and learner differ"});
}

float PpoLearner::MinLogStd() const {
  if (shape_.head == kernels::PolicyHead::kCategorical) return 0;
  const float* log_std = weights_.data() + layout_.Find("log_std").offset;
  return *std::min_element(log_std, log_std + shape_.act);
}

// NaN for a categorical head.
double PpoLearner::MeanStd() const {
  if (shape_.head == kernels::PolicyHead::kCategorical) return kNaN;
  const float* log_std = weights_.data() + layout_.Find("log_std").offset;
  double sum = 0;
  for (int a = 0; a < shape_.act; ++a) sum += std::exp(double(log_std[a]));
  return sum / shape_.act;
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
  return var_return > 0 ? 1 - var_error / var_return : kNaN;
}

void PpoLearner::Save(core::ArrayMap& out) const {
  // weights too, though the policy has them: training state is whole by itself
  nn::FlatToNamed(shape_, weights_.span(), out);
  const auto size = static_cast<int64_t>(layout_.size());
  out.Put<float>("adam/m", adam_m_.span(), {size});
  out.Put<float>("adam/v", adam_v_.span(), {size});
  out.PutScalar<int64_t>("adam/step", gradient_steps_);
  out.PutScalar<int64_t>("ppo/epochs", epochs_);
  out.PutScalar<double>("ppo/learning_rate", learning_rate_);
}

void PpoLearner::Load(const core::ArrayMap& in) {
  nn::NamedToFlat(shape_, in, weights_.span());
  in.CopyTo<float>("adam/m", adam_m_.span());
  in.CopyTo<float>("adam/v", adam_v_.span());
  gradient_steps_ = in.GetScalar<int64_t>("adam/step");
  epochs_ = in.GetScalar<int64_t>("ppo/epochs");
  learning_rate_ = in.GetScalar<double>("ppo/learning_rate");
}

}  // namespace pawl::algos
