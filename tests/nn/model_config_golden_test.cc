// Configs and inverse frequencies against transformers. tests/goldens/make_language.py made the
// files.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/safetensors.h"
#include "nn/model_config.h"
#include "tests/goldens/goldens.h"

namespace pawl::nn {
namespace {
using nlohmann::json;

RopeConfig RopeOf(const json& rope) {
  RopeConfig out;
  out.theta = rope["rope_theta"];
  if (rope["rope_type"] == "linear") out.scaling = RopeScaling::kLinear;
  if (rope["rope_type"] == "llama3") {
    out.scaling = RopeScaling::kLlama3;
    out.low_freq_factor = rope["low_freq_factor"];
    out.high_freq_factor = rope["high_freq_factor"];
    out.original_max_positions = rope["original_max_position_embeddings"];
  }
  out.factor = rope.value("factor", 1.0);
  return out;
}

int64_t UlpsApart(float a, float b) {
  return std::abs(int64_t{std::bit_cast<int32_t>(a)} - int64_t{std::bit_cast<int32_t>(b)});
}

// torch's vectorised power may miss the nearest float32 by one unit in the last place, ours does
// not. What follows the power is rounded in the same order: where the unscaled frequencies agree,
// the scaled ones do so in every bit.
TEST(LanguageGolden, InverseFrequenciesAreThoseOfTransformers) {
  const auto golden =
      core::ReadSafetensors((GoldensFolder() / "language/rope.safetensors").string());
  std::map<std::pair<double, int64_t>, std::vector<float>> unscaled;
  int64_t exact = 0, count = 0;
  for (const json& entry : json::parse(golden.metadata().at("cases"))) {
    const RopeConfig rope = RopeOf(entry["rope"]);
    const int64_t head_dim = entry["head_dim"];
    const auto theirs = golden.Get<float>(entry["name"].get<std::string>());
    const std::vector<float> ours = InverseFrequencies(rope, head_dim);
    ASSERT_EQ(ours.size(), theirs.size());
    auto& plain = unscaled[{rope.theta, head_dim}];
    if (rope.scaling == RopeScaling::kNone) plain.assign(theirs.begin(), theirs.end());
    const auto plain_ours = InverseFrequencies({.theta = rope.theta}, head_dim);
    for (size_t i = 0; i < ours.size(); ++i) {
      const bool same_power = plain_ours[i] == plain[i];
      // one unit grows where the llama3 formula takes a difference
      const int64_t bound = same_power ? 0 : rope.scaling == RopeScaling::kNone ? 1 : 4;
      EXPECT_LE(UlpsApart(ours[i], theirs[i]), bound) << entry << " " << i;
      exact += ours[i] == theirs[i];
      ++count;
    }
  }
  EXPECT_GT(exact, count * 98 / 100);
}

struct Expected {
  const char* folder;
  ModelConfig config;
};

ModelConfig Tiny(ModelFamily family) {
  ModelConfig c;
  c.family = family;
  c.width = 32, c.layers = 2, c.heads = 4, c.kv_heads = 2, c.head_dim = 8, c.intermediate = 44;
  c.max_positions = 64;
  c.bos_id = 1, c.pad_id = 0;
  c.eos_ids = {2};
  c.attention_scale = 1 / std::sqrt(8.0);
  return c;
}

ModelConfig ExpectedLlama() {
  ModelConfig c = Tiny(ModelFamily::kLlama);
  c.vocab = 67, c.kv_heads = 4, c.norm_epsilon = 1e-5;
  c.qkv_bias = c.attention_out_bias = c.mlp_bias = true;
  return c;
}
ModelConfig ExpectedLlama3() {
  ModelConfig c = Tiny(ModelFamily::kLlama);
  c.vocab = 61, c.head_dim = 16, c.attention_scale = 0.25, c.tied = true;
  c.eos_ids = {2, 5};
  c.rope = {.scaling = RopeScaling::kLlama3, .factor = 8, .original_max_positions = 32};
  c.local_rope = c.rope;
  return c;
}
ModelConfig ExpectedMistral() {
  ModelConfig c = Tiny(ModelFamily::kMistral);
  c.vocab = 64, c.head_dim = 12, c.attention_scale = 1 / std::sqrt(12.0);
  c.sliding = {true, true}, c.sliding_window = 8;
  c.rope.theta = c.local_rope.theta = 1e6;
  return c;
}
ModelConfig ExpectedQwen2() {
  ModelConfig c = Tiny(ModelFamily::kQwen2);
  c.vocab = 70, c.tied = c.qkv_bias = true;
  c.sliding = {false, true}, c.sliding_window = 8;
  c.rope.theta = c.local_rope.theta = 1e6;
  return c;
}
ModelConfig ExpectedQwen3() {
  ModelConfig c = Tiny(ModelFamily::kQwen3);
  c.vocab = 61, c.head_dim = 16, c.attention_scale = 0.25, c.qk_norm = true;
  c.rope.theta = c.local_rope.theta = 1e6;
  return c;
}
ModelConfig ExpectedGpt2() {
  ModelConfig c = Tiny(ModelFamily::kGpt2);
  c.vocab = 73, c.kv_heads = 4, c.intermediate = 128, c.max_positions = 40, c.norm_epsilon = 1e-5;
  c.norm = NormKind::kLayer, c.activation = kernels::FeedForwardActivation::kGeluTanh;
  c.gated = false, c.learned_positions = c.tied = true;
  c.qkv_bias = c.attention_out_bias = c.mlp_bias = true;
  c.bos_id = 72, c.eos_ids = {72}, c.pad_id = std::nullopt;
  return c;
}
ModelConfig ExpectedGemma3() {
  ModelConfig c = Tiny(ModelFamily::kGemma3);
  c.vocab = 96, c.layers = 4, c.head_dim = 16;
  c.norm_plus_one = c.sandwich_norm = c.qk_norm = c.tied = true;
  c.activation = kernels::FeedForwardActivation::kGeluTanh;
  c.sliding = {true, false, true, true}, c.sliding_window = 8;
  c.attention_scale = 1 / std::sqrt(24.0), c.embedding_scale = std::sqrt(32.0f);
  c.logit_soft_cap = 12;
  c.rope = {.theta = 1e6, .scaling = RopeScaling::kLinear, .factor = 8};
  return c;
}

class LanguageConfig : public testing::TestWithParam<Expected> {};

ModelConfig Read(const std::string& folder) {
  const auto path = GoldensFolder() / "language" / folder;
  return ParseModelConfig(core::ReadTextFile(path / "config.json"),
                          core::ReadTextFile(path / "generation_config.json"), folder);
}

TEST_P(LanguageConfig, IsReadAsTransformersMeansIt) {
  EXPECT_EQ(ToConfigJson(Read(GetParam().folder)), ToConfigJson(GetParam().config));
  EXPECT_TRUE(Read(GetParam().folder) == GetParam().config);
}

TEST_P(LanguageConfig, WrittenAndReadIsTheSame) {
  for (const char* dtype : {"float32", "bfloat16", "float16"}) {
    ModelConfig config = GetParam().config;
    config.dtype = dtype;
    const ModelConfig again =
        ParseModelConfig(ToConfigJson(config), ToGenerationConfigJson(config), "again");
    config.embedding_scale = again.embedding_scale;  // rounded to the dtype
    EXPECT_TRUE(again == config) << ToConfigJson(config) << ToConfigJson(again);
    EXPECT_TRUE(ParseModelConfig(ToConfigJson(config), "", "again") == config);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, LanguageConfig,
    testing::Values(Expected{"llama", ExpectedLlama()}, Expected{"llama3", ExpectedLlama3()},
                    Expected{"mistral", ExpectedMistral()}, Expected{"qwen2", ExpectedQwen2()},
                    Expected{"qwen3", ExpectedQwen3()}, Expected{"gpt2", ExpectedGpt2()},
                    Expected{"gemma3", ExpectedGemma3()}),
    [](const auto& info) { return std::string(info.param.folder); });

}  // namespace
}  // namespace pawl::nn
