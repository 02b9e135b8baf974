// The policy and value networks again, dense and in double, for tests to compare with: separate
// tanh networks with a Gaussian head.
#pragma once
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "nn/policy_runner.h"

namespace pawl::train {

class PolicyOracle {
 public:
  PolicyOracle(const kernels::MlpShape& shape, std::span<const float> weights)
      : layers_(shape.hidden.size() + 1) {
    nn::FlatToNamed(shape, weights, named_);
  }
  // The head's mean [A] and the value of a normalised observation.
  std::vector<double> Mean(const std::vector<double>& observation) const {
    return Net("policy", observation);
  }
  double Value(const std::vector<double>& observation) const {
    return Net("value", observation)[0];
  }
  double LogStd(size_t k) const { return named_.Get<float>("log_std")[k]; }

 private:
  std::vector<double> Net(const std::string& net, std::vector<double> x) const {
    for (size_t layer = 0; layer < layers_; ++layer) {
      const std::string name = net + "." + std::to_string(layer);
      const auto weight = named_.Get<float>(name + ".weight");  // [out, in]
      const auto bias = named_.Get<float>(name + ".bias");
      std::vector<double> y(bias.begin(), bias.end());
      for (size_t out = 0; out < y.size(); ++out) {
        for (size_t in = 0; in < x.size(); ++in) y[out] += weight[out * x.size() + in] * x[in];
        if (layer + 1 < layers_) y[out] = std::tanh(y[out]);
      }
      x = std::move(y);
    }
    return x;
  }
  size_t layers_;
  core::ArrayMap named_;
};

}  // namespace pawl::train
