// The actor-critic MLP in LibTorch: any widths and depth, autograd, CPU or CUDA. It has the
// parameters of kernels::MlpLayout under the same names, and reads and writes its flat buffers, so
// a policy moves freely between this and the row kernels. One thread at a time.
#pragma once
#include <torch/types.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/mlp.h"
#include "nn/distribution.h"

namespace pawl::nn {

// Tensors by parameter name, in the layout's order: a weight [out, in], a bias [out] or log_std
// [A].
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

// Copies between a flat buffer (weights, or Adam moments of the same layout) and dense tensors on
// `device`.
NamedTensors FlatToTensors(const kernels::MlpLayout& layout, std::span<const float> flat,
                           const torch::Device& device);
void TensorsToFlat(const kernels::MlpLayout& layout, const NamedTensors& tensors,
                   std::span<float> flat);

class ActorCritic {
 public:
  // flat: weights to start from (kernels::MlpLayout::size() floats). Parameters require gradients.
  ActorCritic(const kernels::MlpShape& shape, std::span<const float> flat,
              const torch::Device& device);

  struct Output {
    ActionDistribution action;
    torch::Tensor value;  // [N]
  };
  // obs [N, O] normalised, on this device.
  Output Forward(const torch::Tensor& obs) const;

  const kernels::MlpLayout& layout() const { return layout_; }
  NamedTensors& parameters() { return parameters_; }
  const NamedTensors& parameters() const { return parameters_; }

 private:
  const torch::Tensor& Parameter(const std::string& name) const;
  torch::Tensor Dense(const torch::Tensor& x, const std::string& layer) const;
  torch::Tensor Hidden(torch::Tensor x, const std::string& net) const;

  const kernels::MlpLayout layout_;
  NamedTensors parameters_;
};

}  // namespace pawl::nn
