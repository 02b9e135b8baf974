// What a new model and a new adapter start from, and what a trainer keeps in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <set>

#include "core/file.h"
#include "nn/decoder.h"
#include "nn/lora.h"
#include "nn/trained_parameters.h"
#include "tests/nn/language_testing.h"

namespace pawl::nn {
namespace {

struct Moments {
  double mean = 0, variance = 0;
};
Moments MomentsOf(std::span<const float> values) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  for (const float x : values) m.mean += x / n;
  for (const float x : values) m.variance += (x - m.mean) * (x - m.mean) / n;
  return m;
}
constexpr double kSigmas = 6;  // 2e-9 a comparison

// Large enough that a parameter's moments say something.
std::shared_ptr<const DecoderLayout> LargerLayout(const std::string& family) {
  ModelConfig config = ReadLanguageGolden(family).layout->config();
  config.vocab = 300;
  return std::make_shared<DecoderLayout>(config);
}

class Initialization : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Families, Initialization, testing::ValuesIn(GoldenFamilies()),
                         [](const auto& info) { return info.param; });

TEST_P(Initialization, EveryParameterHasItsMoments) {
  const auto layout = LargerLayout(GetParam());
  const double std = 0.03;
  const bool gemma = GetParam() == "gemma3", gpt2 = GetParam() == "gpt2";
  std::vector<float> weights(layout->size(), NAN);
  InitializeWeights(*layout, std, /*seed=*/4, weights);
  int residual = 0, norms = 0, biases = 0;
  std::set<float> firsts;  // each parameter has its own stream
  for (const ModelParameter& p : layout->parameters()) {
    SCOPED_TRACE(p.name);
    const std::span<const float> values(weights.data() + p.offset, p.count);
    if (p.shape.size() == 1) {
      const bool bias = p.name.ends_with(".bias");
      const float expected = bias || gemma ? 0.0f : 1.0f;
      EXPECT_TRUE(
          std::all_of(values.begin(), values.end(), [expected](float x) { return x == expected; }));
      ++(bias ? biases : norms);
      continue;
    }
    // the two projections of a layer whose output is added to the stream
    const bool writes = gpt2 ? p.name.find(".attn.c_proj.") != std::string::npos ||
                                   p.name.find(".mlp.c_proj.") != std::string::npos
                             : p.name.find(".o_proj.") != std::string::npos ||
                                   p.name.find(".down_proj.") != std::string::npos;
    residual += writes;
    const double layers = static_cast<double>(layout->config().layers);
    const double sigma = writes ? std / std::sqrt(2 * layers) : std;
    const auto n = static_cast<double>(p.count);
    const Moments found = MomentsOf(values);
    EXPECT_NEAR(found.mean, 0, kSigmas * sigma / std::sqrt(n));
    EXPECT_NEAR(found.variance / (sigma * sigma), 1, kSigmas * std::sqrt(2 / n));
    EXPECT_TRUE(firsts.insert(values[0]).second);
  }
  EXPECT_EQ(residual, 2 * layout->config().layers);
  EXPECT_GT(norms, 2 * layout->config().layers);
  const ModelConfig& config = layout->config();
  EXPECT_EQ(biases > 0, gpt2 || config.qkv_bias || config.attention_out_bias || config.mlp_bias);
  // padding between parameters
  std::vector<bool> covered(weights.size());
  for (const ModelParameter& p : layout->parameters())
    std::fill_n(covered.begin() + static_cast<int64_t>(p.offset), p.count, true);
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!covered[i]) {
      ASSERT_EQ(weights[i], 0) << i;
    }
  }
}

TEST_P(Initialization, SeedsGiveOtherWeightsAndTheSameSeedTheSame) {
  const auto layout = LargerLayout(GetParam());
  std::vector<float> a(layout->size()), b(layout->size()), again(layout->size());
  InitializeWeights(*layout, 0.02, 1, a);
  InitializeWeights(*layout, 0.02, 2, b);
  InitializeWeights(*layout, 0.02, 1, again);
  EXPECT_EQ(a, again);
  for (const ModelParameter& p : layout->parameters()) {
    if (!p.is_matrix()) continue;
    EXPECT_FALSE(std::equal(a.begin() + static_cast<int64_t>(p.offset),
                            a.begin() + static_cast<int64_t>(p.offset + p.count),
                            b.begin() + static_cast<int64_t>(p.offset)))
        << p.name;
  }
}

TEST_P(Initialization, AnAdaptersAIsUniformWithinItsBoundAndItsBIsZero) {
  const auto layout = LargerLayout(GetParam());
  LoraConfig config;
  config.rank = 16;
  config.target_modules = {"all-linear"};
  const LoraLayout adapters(*layout, config);
  ASSERT_FALSE(adapters.adapters().empty());
  std::vector<float> values(adapters.size(), NAN), other(adapters.size());
  InitializeLora(adapters, 5, values);
  InitializeLora(adapters, 6, other);
  std::set<float> firsts;
  for (const LoraAdapter& adapter : adapters.adapters()) {
    SCOPED_TRACE(adapter.module);
    const auto count = static_cast<size_t>(adapter.rank * adapter.in);
    const std::span<const float> a(values.data() + adapter.a, count);
    const double bound = 1 / std::sqrt(static_cast<double>(adapter.in));
    double largest = 0;
    for (const float x : a) largest = std::max(largest, std::fabs(double{x}));
    EXPECT_LE(largest, bound * (1 + 1e-6));  // float32's rounding
    const auto n = static_cast<double>(count);
    // the largest of n uniform ones falls short by a factor q with probability q^n
    EXPECT_GE(largest, bound * std::pow(2e-9, 1 / n));
    const Moments found = MomentsOf(a);
    EXPECT_NEAR(found.mean, 0, kSigmas * bound / std::sqrt(3 * n));
    // the square's fourth moment: 1/5 - 1/9
    EXPECT_NEAR(found.variance / (bound * bound), 1.0 / 3, kSigmas * std::sqrt(4.0 / 45 / n));
    EXPECT_TRUE(firsts.insert(a[0]).second);
    EXPECT_FALSE(std::equal(a.begin(), a.end(), other.data() + adapter.a));
    const std::span<const float> b(values.data() + adapter.b,
                                   static_cast<size_t>(adapter.out * adapter.rank));
    EXPECT_TRUE(std::all_of(b.begin(), b.end(), [](float x) { return x == 0; }));
  }
  // no stream of the decoder's
  std::vector<float> weights(layout->size());
  InitializeWeights(*layout, 0.02, 5, weights);
  EXPECT_NE(values[adapters.adapters().front().a],
            weights[layout->parameters().front().offset] / 0.02f);
}

class Memory : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Families, Memory, testing::ValuesIn(GoldenFamilies()),
                         [](const auto& info) { return info.param; });

// docs/language.md: with activation checkpointing one vector a token and layer, and one layer's
// activations; without, those of every layer.
TEST_P(Memory, ActivationsAreThoseThatTheDocumentCounts) {
  const auto layout = LargerLayout(GetParam());
  const ModelConfig& c = layout->config();
  kernels::Team team(1);
  const int64_t rows = 37;
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  // what the inside of one layer is: q, k, v; attention and its logarithms; the stream between its
  // halves; gate and up; what the norms behind the halves read
  int64_t inside = (q + 2 * kv) + q + c.heads + c.width;
  inside += (c.gated ? 2 : 1) * c.intermediate;
  if (c.sandwich_norm) inside += 2 * c.width;
  // for the backward of the norms of heads
  const int64_t head_norms = c.qk_norm ? q + kv : 0;
  // of a pass, whatever the layers: the stream, what is normed, the result; what is activated
  const int64_t forward = 3 * c.width + c.intermediate;
  const int64_t backward = c.width + std::max(c.width, q) + std::max(c.intermediate, q + 2 * kv);
  const auto bytes = [&](KeepActivations keep) {
    return static_cast<int64_t>(Decoder(layout, rows, keep, team).activation_bytes());
  };
  EXPECT_EQ(bytes(KeepActivations::kNothing), 4 * rows * (forward + inside));
  EXPECT_EQ(bytes(KeepActivations::kInputs),
            4 * rows * (forward + backward + inside + head_norms + c.layers * c.width));
  EXPECT_EQ(bytes(KeepActivations::kAll),
            4 * rows * (forward + backward + c.layers * (inside + head_norms + c.width)));
}

TEST(Memory, OneMadeForEvaluationHasNoGradient) {
  const auto layout = LargerLayout("llama");
  DecoderWeights weights(layout, ComputeType::kF32);
  EXPECT_NE(TrainedParameters(weights, nullptr, /*weights_only=*/false).gradients().weights,
            nullptr);
  EXPECT_EQ(TrainedParameters(weights, nullptr, /*weights_only=*/true).gradients().weights,
            nullptr);
}

// Private memory of this process, whether touched yet or not. -1: not known.
int64_t PrivateBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmData:")) return std::atoll(line.c_str() + 7) * 1024;
  }
  return -1;
}

// docs/language.md: 16 bytes a parameter, 2 more for the rounded copy in bfloat16.
TEST(Memory, ATrainersBytesAParameterAreThoseOfTheDocument) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer has its own memory";
#endif
  ModelConfig config = ReadLanguageGolden("llama").layout->config();
  config.vocab = 60'000;
  config.width = 128;
  const auto layout = std::make_shared<const DecoderLayout>(config);
  const auto fill = [](std::span<float>) {};
  const auto per_parameter = [&](const LanguageTrainerOptions& options) {
    const int64_t before = PrivateBytes();
    const auto trainer = MakeCpuTrainer(layout, fill, options);
    const int64_t after = PrivateBytes();
    return static_cast<double>(after - before) / static_cast<double>(layout->size());
  };
  if (PrivateBytes() < 0) GTEST_SKIP() << "no /proc/self/status";
  per_parameter({});  // what the first one starts
  LoraConfig lora;
  lora.rank = 2;
  lora.target_modules = {"all-linear"};
  // 7.7 million parameters; buffers are rounded up to 2 MiB pages
  const double rounding = 6 * double{1 << 21} / static_cast<double>(layout->size());
  const auto bf16 = ComputeType::kBf16;
  EXPECT_NEAR(per_parameter({}), 16, rounding);
  EXPECT_NEAR(per_parameter({.compute = bf16}), 18, rounding);
  EXPECT_NEAR(per_parameter({.evaluate_only = true}), 4, rounding);
  EXPECT_NEAR(per_parameter({.compute = bf16, .evaluate_only = true}), 6, rounding);
  EXPECT_NEAR(per_parameter({.lora = lora}), 4, rounding);
}

}  // namespace
}  // namespace pawl::nn
