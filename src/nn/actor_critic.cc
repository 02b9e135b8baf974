#include "nn/actor_critic.h"

#include <torch/torch.h>

#include "nn/shape.h"

namespace pawl::nn {

NamedTensors FlatToTensors(const kernels::MlpLayout& layout, std::span<const float> flat,
                           const torch::Device& device) {
  PAWL_CHECK_EQ(flat.size(), layout.size());
  NamedTensors tensors;
  for (const auto& p : layout.parameters()) {
    auto dense =
        torch::empty(p.in == 0 ? std::vector<int64_t>{p.out} : std::vector<int64_t>{p.out, p.in});
    layout.Unpack(p, flat.data(), dense.data_ptr<float>());
    tensors.emplace_back(p.name, dense.to(device));
  }
  return tensors;
}

void TensorsToFlat(const kernels::MlpLayout& layout, const NamedTensors& tensors,
                   std::span<float> flat) {
  PAWL_CHECK_EQ(flat.size(), layout.size());
  PAWL_CHECK_EQ(tensors.size(), layout.parameters().size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto dense = tensors[i].second.detach().to(torch::kCPU).contiguous();
    layout.Pack(layout.parameters()[i], dense.data_ptr<float>(), flat.data());
  }
}

ActorCritic::ActorCritic(const kernels::MlpShape& shape, std::span<const float> flat,
                         const torch::Device& device)
    : layout_(shape), parameters_(FlatToTensors(layout_, flat, device)) {
  for (auto& [name, tensor] : parameters_) tensor.requires_grad_(true);
}

const torch::Tensor& ActorCritic::Parameter(const std::string& name) const {
  for (const auto& [candidate, tensor] : parameters_) {
    if (candidate == name) return tensor;
  }
  throw Error(fmt::format("the network has no parameter '{}'", name));
}

torch::Tensor ActorCritic::Dense(const torch::Tensor& x, const std::string& layer) const {
  return torch::addmm(Parameter(layer + ".bias"), x, Parameter(layer + ".weight").t());
}

torch::Tensor ActorCritic::Hidden(torch::Tensor x, const std::string& net) const {
  for (size_t i = 0; i < layout_.shape().hidden.size(); ++i) {
    x = Dense(x, fmt::format("{}.{}", net, i));
    switch (layout_.shape().activation) {
      case kernels::Activation::kTanh:
        x = torch::tanh(x);
        break;
      case kernels::Activation::kRelu:
        x = torch::relu(x);
        break;
      case kernels::Activation::kElu:
        x = torch::elu(x);
        break;
    }
  }
  return x;
}

ActorCritic::Output ActorCritic::Forward(const torch::Tensor& obs) const {
  const kernels::MlpShape& shape = layout_.shape();
  PAWL_CHECK_SHAPE(obs, {obs.size(0), shape.obs});
  // the head is the last layer of its net, or the only one beside a shared trunk
  const std::string head = fmt::format(".{}", shape.shared ? 0 : shape.hidden.size());
  const auto policy_features = Hidden(obs, shape.shared ? "trunk" : "policy");
  const auto value_features = shape.shared ? policy_features : Hidden(obs, "value");
  Output out{.action = {.head = shape.head, .output = Dense(policy_features, "policy" + head)},
             .value = Dense(value_features, "value" + head).squeeze(1)};
  if (shape.head != kernels::PolicyHead::kCategorical) out.action.log_std = Parameter("log_std");
  return out;
}

}  // namespace pawl::nn
