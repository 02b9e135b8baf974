// PPO's minibatch step in LibTorch autograd: the reference for the fused kernel, and the path for
// any network and for CUDA.
#include <torch/torch.h>

#include <cmath>

#include "algos/ppo_backend.h"
#include "algos/ppo_loss.h"
#include "core/error.h"
#include "nn/actor_critic.h"
#include "nn/torch_device.h"

namespace pawl::algos {
namespace {
using torch::Tensor;

class TorchBackend : public PpoBackend {
 public:
  TorchBackend(const kernels::MlpShape& shape, const std::string& device)
      : layout_(shape), device_(nn::CheckedDevice(device)) {
    at::set_num_threads(1);  // parallelism is ours
  }

  void Begin(const kernels::PpoBatchView& batch, int64_t rows, PpoParameters parameters) override {
    const auto& shape = layout_.shape();
    const int64_t stored = shape.head == kernels::PolicyHead::kCategorical ? 1 : shape.act;
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
    model_ = std::make_unique<nn::ActorCritic>(shape, parameters.weights, device_);
    m_ = nn::FlatToTensors(layout_, parameters.adam_m, device_);
    v_ = nn::FlatToTensors(layout_, parameters.adam_v, device_);
  }

  kernels::PpoStats Step(std::span<const int32_t> index, const kernels::PpoLossSettings& loss,
                         const kernels::AdamSettings& adam, int64_t adam_step) override {
    const auto rows = torch::from_blob(const_cast<int32_t*>(index.data()),
                                       {static_cast<int64_t>(index.size())}, torch::kInt)
                          .to(torch::kLong)
                          .to(device_);
    auto advantage = advantage_.index_select(0, rows);
    if (loss.normalize_advantage) advantage = NormalizeAdvantage(advantage);
    const auto action = action_.index_select(0, rows);
    const auto old_log_prob = old_log_prob_.index_select(0, rows);
    const auto output = model_->Forward(obs_.index_select(0, rows));
    const auto log_prob = output.action.LogProb(action);
    const auto entropy = output.action.Entropy(action).mean();
    const auto policy_loss =
        ClippedSurrogate(log_prob, old_log_prob, advantage, loss.clip_range, loss.clip_range);
    const auto value_loss = ValueLoss(output.value, returns_.index_select(0, rows),
                                      old_value_.index_select(0, rows), loss.clip_range_value);
    for (auto& [name, tensor] : model_->parameters()) tensor.mutable_grad() = Tensor();
    (policy_loss - loss.entropy_coef * entropy + loss.value_coef * value_loss).backward();
    torch::NoGradGuard no_grad;
    Tensor squares = torch::zeros({}, device_);
    for (const auto& [name, tensor] : model_->parameters()) {
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
    stats.stopped = loss.target_kl > 0 && stats.approx_kl > 1.5f * loss.target_kl;
    if (stats.stopped) return stats;
    const bool clip = loss.max_grad_norm > 0 && stats.grad_norm > loss.max_grad_norm;
    ApplyAdam(adam, adam_step, clip ? loss.max_grad_norm / (stats.grad_norm + 1e-6) : 1.0);
    return stats;
  }

  std::string NonFiniteGradient(std::span<const int32_t>,
                                const kernels::PpoLossSettings&) override {
    for (const auto& [name, tensor] : model_->parameters()) {
      if (tensor.grad().defined() && !torch::isfinite(tensor.grad()).all().item<bool>()) {
        return name;
      }
    }
    return "";
  }

  void End() override {
    nn::TensorsToFlat(layout_, model_->parameters(), flat_.weights);
    nn::TensorsToFlat(layout_, m_, flat_.adam_m);
    nn::TensorsToFlat(layout_, v_, flat_.adam_v);
  }
  std::string Description() const override {
    return fmt::format("LibTorch autograd on {}", device_.str());
  }
  bool exact_log_prob() const override { return false; }

 private:
  // Kingma and Ba 2015, algorithm 1, with PyTorch's place of epsilon.
  void ApplyAdam(const kernels::AdamSettings& adam, int64_t step, double scale) {
    const double bias1 = 1 - std::pow(adam.beta1, double(step));
    const double bias2 = 1 - std::pow(adam.beta2, double(step));
    auto& parameters = model_->parameters();
    for (size_t i = 0; i < parameters.size(); ++i) {
      Tensor& weight = parameters[i].second;
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
  std::unique_ptr<nn::ActorCritic> model_;
  nn::NamedTensors m_, v_;
};

}  // namespace

std::unique_ptr<PpoBackend> MakeTorchBackend(const kernels::MlpShape& shape,
                                             const std::string& device) {
  return std::make_unique<TorchBackend>(shape, device);
}

}  // namespace pawl::algos
