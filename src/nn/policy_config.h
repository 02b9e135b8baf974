// The actor-critic network of a run, as the config describes it.
#pragma once
#include <cstdint>
#include <vector>

#include "core/config.h"
#include "envs/env.h"
#include "kernels/mlp.h"

namespace pawl::nn {

struct PolicyConfig {
  std::vector<int64_t> hidden = {64, 64};
  kernels::Activation activation = kernels::Activation::kTanh;
  bool shared = false;
  bool squash = false;
  bool ortho_init = true;
  double log_std_init = 0;
  template <class V>
  void Visit(V& v) {
    v.Field("hidden", hidden, {.help = "widths of the hidden layers", .min = 1, .max = 1024});
    v.Field("activation", activation, {.help = "between the layers"});
    v.Field("shared", shared, {.help = "policy and value share the hidden layers"});
    v.Field("squash", squash,
            {.help = "tanh the actions into their bounds instead of clipping them"});
    v.Field("ortho_init", ortho_init,
            {.help = "orthogonal weights, gain sqrt 2 hidden, 0.01 policy head, 1 value head; else "
                     "LibTorch's uniform"});
    v.Field("log_std_init", log_std_init,
            {.help = "initial log standard deviation of the actions", .min = -20, .max = 5});
  }
};

// The network for an environment: its head fits the action (categorical for a discrete one).
kernels::MlpShape MakeShape(const PolicyConfig& config, const envs::EnvSpec& spec);

// Initial flat weights (FlatWeightsSize floats), drawn from (seed, kInit, parameter).
kernels::AlignedBuffer InitialWeights(const PolicyConfig& config, const kernels::MlpShape& shape,
                                      uint64_t seed);

}  // namespace pawl::nn

template <>
struct pawl::core::EnumNames<pawl::kernels::Activation> {
  static constexpr std::pair<const char*, pawl::kernels::Activation> kTable[] = {
      {"tanh", pawl::kernels::Activation::kTanh},
      {"relu", pawl::kernels::Activation::kRelu},
      {"elu", pawl::kernels::Activation::kElu}};
};
