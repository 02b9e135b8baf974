// PPO's minibatch step in LibTorch autograd: the reference for the fused kernel, and the path for any network and for CUDA.
#include <torch/torch.h>

#include <numbers>

#include "algos/ppo_backend.h"
#include "algos/ppo_loss.h"
#include "core/error.h"

namespace pawl::algos {
namespace {
using torch::Tensor;
using kernels::PolicyHead;

class TorchBackend : public PpoBackend {
 public:
  TorchBackend(const kernels::MlpShape& shape, const std::string& device) : layout_(shape), device_(device) {}

  void Begin(const kernels::PpoBatchView& batch, int64_t rows, PpoParameters parameters) override {
    const auto& shape = layout_.shape();
    const int64_t stored = shape.head == PolicyHead::kCategorical ? 1 : shape.act;
    auto view = [&](const float* data, std::vector<int64_t> sizes) {
      return torch::from_blob(const_cast<float*>(data), sizes, torch::kFloat).to(device_);
    };
    obs_ = view(batch.obs, {rows, shape.obs});
    action_ = view(batch.action, {rows, stored});
    old_log_prob_ = view(batch.log_prob, {rows});
    advantage_ = view(batch.advantage, {rows});
    returns_ = view(batch.returns, {rows});
    old_value_ = view(batch.value, {rows});
    flat_ = parameters;
    weights_ = Unpack(parameters.weights);
    m_ = Unpack(parameters.adam_m);
    v_ = Unpack(parameters.adam_v);
    for (auto& [name, tensor] : weights_) tensor.requires_grad_(true);
  }

  kernels::PpoStats Step(std::span<const int32_t> index, const kernels::PpoLossSettings& loss,
                         const kernels::AdamSettings& adam, int64_t adam_step) override {
    const auto rows = torch::from_blob(const_cast<int32_t*>(index.data()), {static_cast<int64_t>(index.size())}, torch::kInt)
                          .to(torch::kLong)
                          .to(device_);
    auto advantage = advantage_.index_select(0, rows);
    if (loss.normalize_advantage) advantage = NormalizeAdvantage(advantage);
    const auto [log_prob, entropy, value] = Evaluate(obs_.index_select(0, rows), action_.index_select(0, rows));
    const auto old_log_prob = old_log_prob_.index_select(0, rows);
    const auto policy_loss = ClippedSurrogate(log_prob, old_log_prob, advantage, loss.clip_range, loss.clip_range);
    const auto value_loss = ValueLoss(value, returns_.index_select(0, rows), old_value_.index_select(0, rows),
                                      loss.clip_range_value);
    const auto total = policy_loss - loss.entropy_coef * entropy + loss.value_coef * value_loss;
    for (auto& [name, tensor] : weights_) tensor.mutable_grad() = Tensor();
    total.backward();
    torch::NoGradGuard no_grad;
    Tensor squares = torch::zeros({}, device_);
    for (auto& [name, tensor] : weights_) {
      if (tensor.grad().defined()) squares += tensor.grad().square().sum();
    }
    const auto log_ratio = (log_prob - old_log_prob).detach();
    kernels::PpoStats stats{.policy_loss = policy_loss.item<float>(),
                            .value_loss = value_loss.item<float>(),
                            .entropy = entropy.item<float>(),
                            .approx_kl = ApproxKl(log_ratio, KlEstimator::kK3).item<float>(),
                            .clip_fraction = ClipFraction(log_ratio, loss.clip_range).item<float>(),
                            .grad_norm = std::sqrt(squares.item<float>()),
                            .max_abs_log_ratio = log_ratio.abs().max().item<float>()};
    stats.finite = std::isfinite(stats.policy_loss) && std::isfinite(stats.value_loss) &&
                   std::isfinite(stats.entropy) && std::isfinite(stats.grad_norm);
    if (!stats.finite) return stats;
    if (loss.target_kl > 0 && stats.approx_kl > 1.5f * loss.target_kl) {
      stats.stopped = true;
      return stats;
    }
    const bool clip = loss.max_grad_norm > 0 && stats.grad_norm > loss.max_grad_norm;
    ApplyAdam(adam, adam_step, clip ? loss.max_grad_norm / (stats.grad_norm + 1e-6) : 1.0);
    return stats;
  }

  void End() override {
    Pack(weights_, flat_.weights);
    Pack(m_, flat_.adam_m);
    Pack(v_, flat_.adam_v);
  }
  std::string Description() const override { return fmt::format("LibTorch autograd on {}", device_.str()); }
  bool exact_log_prob() const override { return false; }

 private:
  using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

  NamedTensors Unpack(std::span<const float> flat) const {
    NamedTensors tensors;
    for (const auto& p : layout_.parameters()) {
      Tensor dense = torch::empty(p.in == 0 ? std::vector<int64_t>{p.out} : std::vector<int64_t>{p.out, p.in});
      layout_.Unpack(p, flat.data(), dense.data_ptr<float>());
      tensors.emplace_back(p.name, dense.to(device_));
    }
    return tensors;
  }
  void Pack(const NamedTensors& tensors, std::span<float> flat) const {
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Tensor dense = tensors[i].second.detach().to(torch::kCPU).contiguous();
      layout_.Pack(layout_.parameters()[i], dense.data_ptr<float>(), flat.data());
    }
  }
  const Tensor& Weight(const std::string& name) const {
    for (const auto& [n, tensor] : weights_) {
      if (n == name) return tensor;
    }
    throw Error("no parameter " + name);
  }
  Tensor Dense(const Tensor& x, const std::string& layer) const {
    return torch::addmm(Weight(layer + ".bias"), x, Weight(layer + ".weight").t());
  }
  Tensor Activate(const Tensor& x) const {
    switch (layout_.shape().activation) {
      case kernels::Activation::kTanh:
        return torch::tanh(x);
      case kernels::Activation::kRelu:
        return torch::relu(x);
      case kernels::Activation::kElu:
        break;
    }
    return torch::elu(x);
  }

  struct Evaluation {
    Tensor log_prob, entropy, value;  // [rows], [], [rows]
  };
  Evaluation Evaluate(const Tensor& obs, const Tensor& action) const {
    const auto& shape = layout_.shape();
    const size_t depth = shape.hidden.size();
    auto hidden = [&](const std::string& net) {
      Tensor x = obs;
      for (size_t i = 0; i < depth; ++i) x = Activate(Dense(x, fmt::format("{}.{}", net, i)));
      return x;
    };
    const std::string head = fmt::format("{}", shape.shared ? 0 : depth);
    const Tensor policy_features = hidden(shape.shared ? "trunk" : "policy");
    const Tensor value_features = shape.shared ? policy_features : hidden("value");
    const Tensor output = Dense(policy_features, "policy." + head);
    const Tensor value = Dense(value_features, "value." + head).squeeze(1);
    if (shape.head == PolicyHead::kCategorical) {
      const Tensor log_p = torch::log_softmax(output, 1);
      const Tensor log_prob = log_p.gather(1, action.to(torch::kLong)).squeeze(1);
      return {log_prob, -(log_p.exp() * log_p).sum(1).mean(), value};
    }
    const Tensor& log_std = Weight("log_std");
    const Tensor z = (action - output) * torch::exp(-log_std);
    Tensor log_prob = (-0.5 * z.square() - log_std - 0.5 * std::log(2 * std::numbers::pi)).sum(1);
    if (shape.head == PolicyHead::kGaussian) {
      return {log_prob, (log_std + (0.5 + 0.5 * std::log(2 * std::numbers::pi))).sum(), value};
    }
    // squashed: action holds u; no closed form of the entropy, its estimate is -log_prob (SB3)
    log_prob = log_prob - 2 * (std::numbers::ln2 - action - torch::softplus(-2 * action)).sum(1);
    return {log_prob, -log_prob.mean(), value};
  }

  void ApplyAdam(const kernels::AdamSettings& adam, int64_t step, double scale) {
    const double bias1 = 1 - std::pow(adam.beta1, double(step)), bias2 = 1 - std::pow(adam.beta2, double(step));
    for (size_t i = 0; i < weights_.size(); ++i) {
      Tensor& weight = weights_[i].second;
      if (!weight.grad().defined()) continue;
      const Tensor grad = weight.grad() * scale;
      Tensor &m = m_[i].second, &v = v_[i].second;
      m.mul_(adam.beta1).add_(grad, 1 - adam.beta1);
      v.mul_(adam.beta2).addcmul_(grad, grad, 1 - adam.beta2);
      weight.addcdiv_(m, (v / bias2).sqrt_().add_(adam.epsilon), -adam.learning_rate / bias1);
    }
  }

  const kernels::MlpLayout layout_;
  torch::Device device_;
  Tensor obs_, action_, old_log_prob_, advantage_, returns_, old_value_;
  PpoParameters flat_;
  NamedTensors weights_, m_, v_;
};

}  // namespace

std::unique_ptr<PpoBackend> MakeTorchBackend(const kernels::MlpShape& shape, const std::string& device) {
  return std::make_unique<TorchBackend>(shape, device);
}

}  // namespace pawl::algos
