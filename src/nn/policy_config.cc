#include "nn/policy_config.h"

#include <cmath>
#include <numbers>

#include "core/rng.h"
#include "envs/action_map.h"
#include "nn/policy_runner.h"

namespace pawl::nn {
namespace {

// A random [rows, columns] matrix with orthonormal rows or columns (whichever are fewer) times
// gain: Gram-Schmidt, twice for accuracy, on standard normals (Saxe et al. 2014).
std::vector<float> Orthogonal(int rows, int columns, double gain, core::Philox& rng) {
  const int few = std::min(rows, columns), many = std::max(rows, columns);
  std::vector<std::vector<double>> basis(few, std::vector<double>(many));
  for (int i = 0; i < few; ++i) {
    auto& v = basis[i];
    for (double& x : v) x = rng.Normal();
    for (int pass = 0; pass < 2; ++pass) {
      for (int j = 0; j < i; ++j) {
        double dot = 0;
        for (int k = 0; k < many; ++k) dot += v[k] * basis[j][k];
        for (int k = 0; k < many; ++k) v[k] -= dot * basis[j][k];
      }
    }
    double norm = 0;
    for (double x : v) norm += x * x;
    for (double& x : v) x /= std::sqrt(norm);
  }
  std::vector<float> dense(size_t(rows) * columns);
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      dense[size_t(i) * columns + j] =
          static_cast<float>(gain * (rows <= columns ? basis[i][j] : basis[j][i]));
    }
  }
  return dense;
}

bool EndsWith(const std::string& text, const char* end) { return text.ends_with(end); }

}  // namespace

kernels::MlpShape MakeShape(const PolicyConfig& config, const envs::EnvSpec& spec) {
  // refuses what no action could be mapped to, before a run begins
  [[maybe_unused]] const envs::ActionMap refuses(spec.action, config.squash);
  constexpr size_t kMaxLayers = 16;
  if (config.hidden.empty() || config.hidden.size() > kMaxLayers) {
    throw UserError({.what = fmt::format("{} hidden layers", config.hidden.size()),
                     .where = "policy.hidden",
                     .expected = fmt::format("1 to {} widths", kMaxLayers)});
  }
  kernels::MlpShape shape;
  shape.obs = spec.ObservationSize();
  shape.act = spec.action.discrete() ? spec.action.num_choices : spec.action.size;
  shape.hidden.assign(config.hidden.begin(), config.hidden.end());
  shape.activation = config.activation;
  shape.shared = config.shared;
  shape.head = spec.action.discrete() ? kernels::PolicyHead::kCategorical
               : config.squash        ? kernels::PolicyHead::kSquashedGaussian
                                      : kernels::PolicyHead::kGaussian;
  return shape;
}

kernels::AlignedBuffer InitialWeights(const PolicyConfig& config, const kernels::MlpShape& shape,
                                      uint64_t seed) {
  const kernels::MlpLayout layout(shape);
  const auto& parameters = layout.parameters();
  core::ArrayMap arrays;
  // the last layer of each net is its head
  const std::string policy_head =
      fmt::format("policy.{}.weight", shape.shared ? 0 : shape.hidden.size());
  const std::string value_head =
      fmt::format("value.{}.weight", shape.shared ? 0 : shape.hidden.size());
  int in = 0;  // of the weight before a bias
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& p = parameters[i];
    core::Philox rng(seed, core::Role::kInit, i, 0);
    if (p.name == "log_std") {
      arrays.Put<float>(p.name, std::vector<float>(p.out, static_cast<float>(config.log_std_init)),
                        {p.out});
    } else if (EndsWith(p.name, ".weight")) {
      in = p.in;
      const double gain = p.name == policy_head  ? 0.01
                          : p.name == value_head ? 1.0
                                                 : std::numbers::sqrt2;
      std::vector<float> dense = Orthogonal(p.out, p.in, gain, rng);
      if (!config.ortho_init) {
        // LibTorch's Linear: uniform in +-1 / sqrt(in)
        const double bound = 1 / std::sqrt(double(p.in));
        for (float& x : dense) x = static_cast<float>(rng.Uniform(-bound, bound));
      }
      arrays.Put<float>(p.name, dense, {p.out, p.in});
    } else {
      std::vector<float> dense(p.out, 0.0f);
      if (!config.ortho_init) {
        const double bound = 1 / std::sqrt(double(in));
        for (float& x : dense) x = static_cast<float>(rng.Uniform(-bound, bound));
      }
      arrays.Put<float>(p.name, dense, {p.out});
    }
  }
  kernels::AlignedBuffer flat(FlatWeightsSize(shape));
  NamedToFlat(shape, arrays, flat.span());
  return flat;
}

}  // namespace pawl::nn
