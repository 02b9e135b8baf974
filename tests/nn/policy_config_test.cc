#include "nn/policy_config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/safetensors.h"
#include "nn/policy_runner.h"

namespace pawl::nn {
namespace {

TEST(InitialWeights, AreOrthogonalWithTheGainOfTheirLayer) {
  kernels::MlpShape shape{.obs = 11, .act = 3, .hidden = {64, 32}};
  core::ArrayMap named;
  FlatToNamed(shape, InitialWeights({}, shape, 1).span(), named);
  const std::vector<std::pair<const char*, double>> gains = {{"policy.0.weight", std::sqrt(2.0)},
                                                             {"policy.1.weight", std::sqrt(2.0)},
                                                             {"policy.2.weight", 0.01},
                                                             {"value.2.weight", 1.0}};
  for (const auto& [name, gain] : gains) {
    const auto& array = named.At(name);
    const auto w = named.Get<float>(name);
    const int64_t out = array.shape[0], in = array.shape[1], few = std::min(out, in),
                  many = std::max(out, in);
    auto at = [&](int64_t i, int64_t k) { return out <= in ? w[i * in + k] : w[k * in + i]; };
    for (int64_t i = 0; i < few; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double dot = 0;
        for (int64_t k = 0; k < many; ++k) dot += double(at(i, k)) * at(j, k);
        EXPECT_NEAR(dot, i == j ? gain * gain : 0, 1e-6 * gain * gain * many) << name;
      }
    }
  }
  for (float b : named.Get<float>("policy.0.bias")) EXPECT_EQ(b, 0);
}

TEST(InitialWeights, LogStdIsTheConfigs) {
  kernels::MlpShape shape{.obs = 4, .act = 3, .hidden = {8}};
  for (const bool ortho : {true, false}) {
    core::ArrayMap named;
    const PolicyConfig config{.ortho_init = ortho, .log_std_init = -0.75};
    FlatToNamed(shape, InitialWeights(config, shape, 1).span(), named);
    const auto log_std = named.Get<float>("log_std");
    EXPECT_EQ(std::vector<float>(log_std.begin(), log_std.end()), std::vector<float>(3, -0.75f));
  }
}

TEST(InitialWeights, DependOnTheSeedAlone) {
  kernels::MlpShape shape{.obs = 4, .act = 2, .hidden = {8}};
  const auto a = InitialWeights({}, shape, 1), b = InitialWeights({}, shape, 1),
             c = InitialWeights({}, shape, 2);
  EXPECT_TRUE(std::equal(a.span().begin(), a.span().end(), b.span().begin()));
  EXPECT_FALSE(std::equal(a.span().begin(), a.span().end(), c.span().begin()));
}

}  // namespace
}  // namespace pawl::nn
