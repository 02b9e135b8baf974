#include "reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/rng.h"

namespace pawl::kernels {
namespace {
constexpr double kLog2Pi = 1.8378770664093453;

std::vector<double> Layer(const DenseWeights& weights, const std::string& name,
                          const std::vector<double>& x) {
  const auto& w = weights.at(name + ".weight");
  std::vector<double> y = weights.at(name + ".bias");
  for (size_t n = 0; n < y.size(); ++n) {
    for (size_t k = 0; k < x.size(); ++k) y[n] += w[n * x.size() + k] * x[k];
  }
  return y;
}

double Activate(Activation activation, double x) {
  switch (activation) {
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kElu:
      return x < 0 ? std::expm1(x) : x;
  }
  return x;
}

std::vector<double> Hidden(const MlpShape& shape, const DenseWeights& weights,
                           const std::string& net, std::vector<double> x) {
  for (size_t i = 0; i < shape.hidden.size(); ++i) {
    x = Layer(weights, fmt::format("{}.{}", net, i), x);
    for (double& v : x) v = Activate(shape.activation, v);
  }
  return x;
}
}  // namespace

DenseWeights ToDense(const MlpLayout& layout, const float* flat) {
  DenseWeights weights;
  for (const auto& p : layout.parameters()) {
    std::vector<float> dense(size_t(p.out) * std::max(p.in, 1));
    layout.Unpack(p, flat, dense.data());
    weights[p.name].assign(dense.begin(), dense.end());
  }
  return weights;
}

AlignedBuffer RandomWeights(const MlpLayout& layout, uint64_t seed) {
  AlignedBuffer flat(layout.size());
  core::Philox rng(seed, core::Role::kTest, 0, 0);
  for (const auto& p : layout.parameters()) {
    std::vector<float> dense(size_t(p.out) * std::max(p.in, 1));
    const double scale = p.in == 0 ? 0.3 : 1.2 / std::sqrt(p.in);
    for (float& x : dense) x = static_cast<float>(scale * rng.Normal());
    layout.Pack(p, dense.data(), flat.data());
  }
  return flat;
}

ReferenceOutput ReferenceForward(const MlpShape& shape, const DenseWeights& weights,
                                 const float* obs) {
  const std::vector<double> x(obs, obs + shape.obs);
  if (shape.shared) {
    const auto last = Hidden(shape, weights, "trunk", x);
    return {Layer(weights, "policy.0", last), Layer(weights, "value.0", last)[0]};
  }
  const std::string head = fmt::format("{}", shape.hidden.size());
  return {Layer(weights, "policy." + head, Hidden(shape, weights, "policy", x)),
          Layer(weights, "value." + head, Hidden(shape, weights, "value", x))[0]};
}

ReferenceDist ReferenceLogProb(const MlpShape& shape, const std::vector<double>& head,
                               const std::vector<double>& log_std, const float* action) {
  ReferenceDist dist;
  if (shape.head == PolicyHead::kCategorical) {
    double sum = 0;
    for (double logit : head) sum += std::exp(logit - head[0]);
    for (double logit : head) {
      const double log_p = logit - head[0] - std::log(sum);
      dist.entropy -= std::exp(log_p) * log_p;
    }
    dist.log_prob = head.at(static_cast<size_t>(action[0])) - head[0] - std::log(sum);
    return dist;
  }
  for (int a = 0; a < shape.act; ++a) {
    const double z = (action[a] - head[a]) / std::exp(log_std[a]);
    dist.log_prob -= 0.5 * z * z + log_std[a] + 0.5 * kLog2Pi;
    dist.entropy += log_std[a] + 0.5 + 0.5 * kLog2Pi;
  }
  if (shape.head == PolicyHead::kSquashedGaussian) {
    for (int a = 0; a < shape.act; ++a) {
      const double u = action[a];
      dist.log_prob -= 2 * (std::numbers::ln2 - u - std::log1p(std::exp(-2 * u)));
    }
    dist.entropy = -dist.log_prob;
  }
  return dist;
}

ReferenceLoss ReferencePpoLoss(const MlpShape& shape, const DenseWeights& weights,
                               const PpoBatchView& batch, const std::vector<int32_t>& index,
                               const PpoLossSettings& settings) {
  const double rows = static_cast<double>(index.size());
  double mean = 0, squares = 0;
  for (int32_t i : index) mean += batch.advantage[i] / rows;
  for (int32_t i : index) squares += std::pow(batch.advantage[i] - mean, 2);
  const bool normalize = settings.normalize_advantage && rows > 1;
  const double deviation = normalize ? std::sqrt(squares / (rows - 1)) + 1e-8 : 1;
  const auto log_std = weights.find("log_std");
  const int stored = shape.head == PolicyHead::kCategorical ? 1 : shape.act;
  ReferenceLoss loss;
  for (int32_t i : index) {
    const auto out = ReferenceForward(shape, weights, batch.obs + size_t(i) * shape.obs);
    const auto dist = ReferenceLogProb(
        shape, out.head, log_std == weights.end() ? std::vector<double>{} : log_std->second,
        batch.action + size_t(i) * stored);
    const double advantage = (batch.advantage[i] - (normalize ? mean : 0)) / deviation;
    const double log_ratio = dist.log_prob - batch.log_prob[i], ratio = std::exp(log_ratio);
    const double low = 1.0 - settings.clip_range, high = 1.0 + settings.clip_range;
    loss.policy -= std::min(ratio * advantage, std::clamp(ratio, low, high) * advantage) / rows;
    loss.kl += (ratio - 1 - log_ratio) / rows;
    loss.clip_fraction += (std::fabs(ratio - 1) > settings.clip_range) / rows;
    loss.entropy += dist.entropy / rows;
    double value = out.value;
    if (settings.clip_range_value > 0) {
      const double clip = settings.clip_range_value;
      value = batch.value[i] + std::clamp(value - batch.value[i], -clip, clip);
    }
    loss.value += std::pow(value - batch.returns[i], 2) / rows;
  }
  loss.total =
      loss.policy + settings.value_coef * loss.value - settings.entropy_coef * loss.entropy;
  return loss;
}

RandomRollout::RandomRollout(const MlpLayout& layout, const float* weights, int rows,
                             uint64_t seed) {
  const MlpShape& shape = layout.shape();
  const bool categorical = shape.head == PolicyHead::kCategorical;
  core::Philox rng(seed, core::Role::kTest, 1, 0);
  auto normal = [&](std::vector<float>& x, size_t count) {
    x.resize(count);
    for (float& v : x) v = static_cast<float>(rng.Normal());
  };
  normal(obs, size_t(rows) * shape.obs);
  normal(advantage, rows);
  normal(returns, rows);
  std::vector<float> noise, head(size_t(rows) * shape.act);
  normal(noise, size_t(rows) * shape.act);
  if (categorical) {
    for (float& v : noise) v = static_cast<float>(rng.Uniform(0.001, 0.999));
  }
  action.resize(size_t(rows) * (categorical ? 1 : shape.act));
  log_prob.resize(rows);
  value.resize(rows);
  MlpForward(layout, std::max(rows, 1)).Run(weights, obs.data(), rows, head.data(), value.data());
  const float* log_std = categorical ? nullptr : weights + layout.Find("log_std").offset;
  SampleActions(shape.head, shape.act, head.data(), log_std, noise.data(), rows, action.data(),
                log_prob.data());
}

PpoBatchView RandomRollout::View() const {
  return {.obs = obs.data(),
          .action = action.data(),
          .log_prob = log_prob.data(),
          .advantage = advantage.data(),
          .returns = returns.data(),
          .value = value.data()};
}

std::string ShapeName(const MlpShape& shape) {
  return fmt::format("{}-{}-{} {} {} {}", shape.obs, fmt::join(shape.hidden, "-"), shape.act,
                     shape.activation == Activation::kTanh   ? "tanh"
                     : shape.activation == Activation::kRelu ? "relu"
                                                             : "elu",
                     shape.shared ? "shared" : "separate",
                     shape.head == PolicyHead::kGaussian           ? "gaussian"
                     : shape.head == PolicyHead::kSquashedGaussian ? "squashed"
                                                                   : "categorical");
}

}  // namespace pawl::kernels
