#include "nn/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/model_families.h"

namespace pawl::nn {
namespace {
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A file of transformers 4, as most folders have it.
const json kLlama = json::parse(R"({
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
  "hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 4, "num_attention_heads": 4,
  "num_key_value_heads": 2, "max_position_embeddings": 2048, "vocab_size": 32000,
  "rms_norm_eps": 1e-05, "hidden_act": "silu", "rope_theta": 500000.0, "rope_scaling": null,
  "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2, "attention_bias": false,
  "attention_dropout": 0.0, "initializer_range": 0.02, "pretraining_tp": 1, "use_cache": true,
  "transformers_version": "4.43.3", "_name_or_path": "somewhere"})");

// kLlama with other keys on top; a null stays as null.
json With(const char* patch) {
  json out = kLlama;
  out.update(json::parse(patch));
  return out;
}
// The same sizes under another family.
json Family(const char* architecture, const char* model_type, const char* patch) {
  json out = With(patch);
  out["architectures"] = {architecture};
  out["model_type"] = model_type;
  out.erase("attention_bias");
  return out;
}
json Gemma(const char* patch) {
  json out = Family("Gemma3ForCausalLM", "gemma3_text", patch);
  out["hidden_activation"] = "gelu_pytorch_tanh";
  if (!json::parse(patch).contains("hidden_act")) out.erase("hidden_act");
  if (!json::parse(patch).contains("rope_theta")) out.erase("rope_theta");
  return out;
}
json Gpt2(const char* patch) {
  json out = json::parse(R"({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
    "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 16, "n_ctx": 16, "vocab_size": 50257,
    "layer_norm_epsilon": 1e-05, "resid_pdrop": 0.1, "summary_type": "cls_index",
    "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}})");
  out.update(json::parse(patch));
  return out;
}

ModelConfig Read(const json& config, const std::string& generation = "") {
  return ParseModelConfig(config.dump(), generation, "m/config.json");
}
std::string ErrorOf(const std::string& text, const std::string& generation = "") {
  try {
    ParseModelConfig(text, generation, "m/config.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
    return error.what();
  }
  return "(no error)";
}

TEST(ModelConfig, AVersion4LlamaIsRead) {
  const ModelConfig c = Read(kLlama);
  EXPECT_EQ(c.dtype, "bfloat16");
  EXPECT_EQ(c.head_dim, 32);
  EXPECT_EQ(c.kv_heads, 2);
  EXPECT_EQ(c.rope, (RopeConfig{.theta = 500000}));
  EXPECT_EQ(c.local_rope, c.rope);
  EXPECT_EQ(c.attention_scale, 1 / std::sqrt(32.0));
  EXPECT_THAT(c.eos_ids, ElementsAre(2));
  EXPECT_EQ(c.bos_id, 1);
  EXPECT_FALSE(c.pad_id);
  EXPECT_TRUE(c.sliding.empty());
}

TEST(ModelConfig, WhatIsAbsentIsWhatTransformersTakes) {
  json few = kLlama;
  for (const char* key :
       {"architectures", "num_key_value_heads", "rope_theta", "rope_scaling", "hidden_act",
        "tie_word_embeddings", "bos_token_id", "eos_token_id", "torch_dtype", "rms_norm_eps"}) {
    few.erase(key);
  }
  const ModelConfig c = Read(few);
  EXPECT_EQ(c.kv_heads, 4);
  EXPECT_EQ(c.rope.theta, 10000);
  EXPECT_FALSE(c.tied);
  EXPECT_EQ(c.bos_id, 1);
  EXPECT_THAT(c.eos_ids, ElementsAre(2));
  EXPECT_EQ(c.dtype, "float32");
  EXPECT_EQ(c.norm_epsilon, 1e-6);
  // null is no id, absent is the class's, but for one that the vocabulary does not have
  EXPECT_THAT(Read(With(R"({"eos_token_id": null})")).eos_ids, ElementsAre());
  EXPECT_THAT(Read(Gpt2("{}")).eos_ids, ElementsAre(50256));
  EXPECT_THAT(Read(Gpt2(R"({"vocab_size": 100})")).eos_ids, ElementsAre());
  EXPECT_FALSE(Read(With(R"({"pad_token_id": -1})")).pad_id);
  EXPECT_EQ(Read(Family("Qwen3ForCausalLM", "qwen3", "{}")).head_dim, 128);
}

TEST(ModelConfig, GenerationConfigDecidesTheIds) {
  EXPECT_THAT(Read(kLlama, R"({"eos_token_id": [7, 9], "temperature": 0.6})").eos_ids,
              ElementsAre(7, 9));
  EXPECT_THAT(Read(With(R"({"eos_token_id": [3, 4]})"), "{}").eos_ids, ElementsAre(3, 4));
  EXPECT_EQ(Read(kLlama, R"({"bos_token_id": 5, "pad_token_id": 6})").pad_id, 6);
}

TEST(ModelConfig, RopeIsReadInBothGenerations) {
  const RopeConfig llama3{.theta = 500000,
                          .scaling = RopeScaling::kLlama3,
                          .factor = 8,
                          .low_freq_factor = 1,
                          .high_freq_factor = 4,
                          .original_max_positions = 8192};
  const char* old_form = R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})";
  EXPECT_EQ(Read(With(old_form)).rope, llama3);
  json both = With(old_form);
  both["rope_parameters"] = both["rope_scaling"];
  both["rope_parameters"]["rope_theta"] = 500000.0;
  EXPECT_EQ(Read(both).rope, llama3);
  both.erase("rope_scaling");
  both.erase("rope_theta");
  EXPECT_EQ(Read(both).rope, llama3);
  // the oldest form calls the type `type`
  EXPECT_EQ(Read(With(R"({"rope_scaling": {"type": "linear", "factor": 2}})")).rope,
            (RopeConfig{.theta = 500000, .scaling = RopeScaling::kLinear, .factor = 2}));
  EXPECT_EQ(Read(With(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8,
    "low_freq_factor": 1, "high_freq_factor": 4}})"))
                .rope.original_max_positions,
            2048);
}

TEST(ModelConfig, GemmaHasTwoRopes) {
  const ModelConfig plain = Read(Gemma("{}"));
  EXPECT_EQ(plain.rope.theta, 1e6);
  EXPECT_EQ(plain.local_rope.theta, 1e4);
  EXPECT_EQ(plain.attention_scale, 1 / 16.0);
  EXPECT_EQ(plain.head_dim, 256);
  EXPECT_EQ(plain.embedding_scale, 11.3125);  // sqrt(128) in bfloat16
  EXPECT_TRUE(plain.sliding == std::vector<bool>({true, true, true, true}));
  const ModelConfig old = Read(Gemma(R"({"rope_theta": 2e6, "rope_local_base_freq": 5e3,
    "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "sliding_window_pattern": 2,
    "sliding_window": 512, "torch_dtype": "float32"})"));
  EXPECT_EQ(old.rope, (RopeConfig{.theta = 2e6, .scaling = RopeScaling::kLinear, .factor = 8}));
  EXPECT_EQ(old.local_rope, (RopeConfig{.theta = 5e3}));
  EXPECT_TRUE(old.sliding == std::vector<bool>({true, false, true, false}));
  EXPECT_EQ(old.sliding_window, 512);
  EXPECT_EQ(old.embedding_scale, std::sqrt(128.0f));
  EXPECT_EQ(Read(Gemma(R"({"hidden_act": "gelu_pytorch_tanh"})")).activation,
            kernels::FeedForwardActivation::kGeluTanh);
}

TEST(ModelConfig, SlidingLayersAreThoseOfTheFamily) {
  const auto mistral = [](const char* patch) {
    return Read(Family("MistralForCausalLM", "mistral", patch));
  };
  EXPECT_EQ(mistral(R"({"sliding_window": null})").sliding_window, 0);
  EXPECT_EQ(mistral(R"({"sliding_window": 100})").window(3), 100);
  EXPECT_EQ(mistral("{}").window(0), 4096);
  const auto qwen = [](const char* patch) {
    return Read(Family("Qwen2ForCausalLM", "qwen2", patch));
  };
  EXPECT_TRUE(
      qwen(R"({"use_sliding_window": false, "sliding_window": 131072, "max_window_layers": 2})")
          .sliding.empty());
  const ModelConfig some =
      qwen(R"({"use_sliding_window": true, "sliding_window": 64, "max_window_layers": 3})");
  EXPECT_TRUE(some.sliding == std::vector<bool>({false, false, false, true}));
  EXPECT_TRUE(some.qkv_bias && !some.attention_out_bias);
  const ModelConfig types = qwen(R"({"use_sliding_window": true, "sliding_window": 64,
    "layer_types": ["sliding_attention", "full_attention", "full_attention", "full_attention"]})");
  EXPECT_TRUE(types.sliding == std::vector<bool>({true, false, false, false}));
}

TEST(ModelConfig, Gpt2HasItsOwnNames) {
  const ModelConfig c = Read(Gpt2(R"({"n_inner": null, "activation_function": "gelu_new"})"));
  EXPECT_EQ(c.intermediate, 96);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.norm, NormKind::kLayer);
  EXPECT_TRUE(c.tied && c.learned_positions && !c.gated && c.mlp_bias);
  EXPECT_EQ(Read(Gpt2(R"({"n_inner": 40})")).intermediate, 40);
}

struct Bad {
  json config;
  const char* error;
};
class ModelConfigBad : public testing::TestWithParam<Bad> {};

TEST_P(ModelConfigBad, IsRefusedInOneClearLine) {
  EXPECT_EQ(ErrorOf(GetParam().config.dump()), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Names, ModelConfigBad,
    testing::Values(
        Bad{With(R"({"architectures": ["LlamaForCausalLN"]})"),
            "unknown architecture 'LlamaForCausalLN' at m/config.json: expected one of "
            "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, "
            "GPT2LMHeadModel, Gemma3ForCausalLM (did you mean 'LlamaForCausalLM'?)"},
        Bad{With(R"({"architectures": []})"),
            "architectures is a list at m/config.json: expected a list of one name"},
        Bad{With(R"({"model_type": "mistral"})"),
            "architectures names LlamaForCausalLM and model_type mistral at m/config.json: "
            "expected model_type llama"},
        Bad{With(R"({"architectures": null, "model_type": "t5"})"),
            "unknown model_type 't5' at m/config.json: expected one of llama, mistral, qwen2, "
            "qwen3, gpt2, gemma3_text"},
        Bad{json::object(),
            "neither architectures nor model_type at m/config.json: expected a model"},
        Bad{With(R"({"rope_tetha": 3})"),
            "unknown key 'rope_tetha' (3) at m/config.json: expected a known key (did you mean "
            "'rope_theta'?)"},
        Bad{With(R"({"sliding_window": 4096})"),
            "unknown key 'sliding_window' (4096) at m/config.json: expected a known key (it may "
            "change what the model computes)"},
        Bad{With("{\"a\\nb\\u00e9\": \"c\\nd\"}"),
            "unknown key 'a\\nb\\u00e9' (\"c\\nd\") at m/config.json: expected a known key (it may "
            "change what the model computes)"},
        Bad{With(R"({"quantization_config": {"bits": 4}})"),
            "quantized weights are not supported: quantization_config is an object at "
            "m/config.json: expected no such key"},
        Bad{With(R"({"pretraining_tp": 2})"),
            "products in slices are not supported: pretraining_tp is 2 at m/config.json: expected "
            "pretraining_tp 1"},
        Bad{With(R"({"partial_rotary_factor": 0.5})"),
            "a rotary embedding of a part of the head is not supported: partial_rotary_factor is "
            "0.5 at m/config.json: expected partial_rotary_factor 1.0"},
        Bad{Gemma(R"({"attn_logit_softcapping": 50.0})"),
            "a soft cap of the scores is not supported: attn_logit_softcapping is 50.0 at "
            "m/config.json: expected no such key"},
        Bad{Gemma(R"({"use_bidirectional_attention": true})"),
            "attention to later tokens is not supported: use_bidirectional_attention is true at "
            "m/config.json: expected use_bidirectional_attention false"},
        Bad{Gpt2(R"({"scale_attn_weights": false})"),
            "scores without a scale are not supported: scale_attn_weights is false at "
            "m/config.json: expected scale_attn_weights true"},
        Bad{Gpt2(R"({"scale_attn_by_inverse_layer_idx": true})"),
            "a scale per layer is not supported: scale_attn_by_inverse_layer_idx is true at "
            "m/config.json: expected scale_attn_by_inverse_layer_idx false"},
        Bad{Gpt2(R"({"reorder_and_upcast_attn": true})"),
            "another order of the attention is not supported: reorder_and_upcast_attn is true at "
            "m/config.json: expected reorder_and_upcast_attn false"},
        Bad{Gpt2(R"({"add_cross_attention": true})"),
            "cross attention is not supported: add_cross_attention is true at m/config.json: "
            "expected add_cross_attention false"}));

INSTANTIATE_TEST_SUITE_P(
    Values, ModelConfigBad,
    testing::Values(
        Bad{With(R"({"hidden_size": null})"),
            "the key hidden_size is missing at m/config.json: expected a value"},
        Bad{With(R"({"hidden_size": 128.5})"),
            "hidden_size is 128.5 at m/config.json: expected a whole number, at least 1"},
        Bad{With(R"({"num_hidden_layers": 0})"),
            "num_hidden_layers is 0 at m/config.json: expected a whole number, at least 1"},
        Bad{With(R"({"num_hidden_layers": 1000000000})"),
            "the number of layers is 1000000000 at m/config.json: expected 1 to 1024"},
        Bad{With(R"({"vocab_size": "32000"})"),
            "vocab_size is \"32000\" at m/config.json: expected a whole number, at least 1"},
        Bad{With(R"({"num_key_value_heads": 3})"),
            "4 heads share 3 key/value heads at m/config.json: expected a number of heads that the "
            "key/value heads divide"},
        Bad{With(R"({"num_attention_heads": 6})"),
            "6 heads in a model of width 128 without head_dim at m/config.json: expected heads "
            "that part the width evenly"},
        Bad{With(R"({"head_dim": 33})"),
            "the width of a head is 33 at m/config.json: expected an even number, whose halves "
            "turn together"},
        Bad{Gpt2(R"({"n_head": 5})"),
            "5 heads (5 for keys and values) of width 4 in a model of width 24 at m/config.json: "
            "expected heads that part a GPT-2's width evenly"},
        Bad{Gpt2(R"({"n_ctx": 8})"),
            "n_ctx and n_positions differ at m/config.json: expected the same"},
        Bad{With(R"({"hidden_act": "relu"})"),
            "the hidden_act 'relu' is not supported at m/config.json: expected one of silu, swish, "
            "gelu_pytorch_tanh, gelu_new, gelu_fast, gelu, gelu_python"},
        Bad{With(R"({"torch_dtype": "int8"})"),
            "the dtype is 'int8' at m/config.json: expected float32, bfloat16 or float16"},
        Bad{With(R"({"dtype": "float16"})"),
            "dtype is \"float16\" and torch_dtype is \"bfloat16\" at m/config.json: expected the "
            "same"},
        Bad{With(R"({"eos_token_id": 32000})"),
            "eos_token_id is 32000 at m/config.json: expected a token of the vocabulary, 0 to "
            "31999"},
        Bad{With(R"({"attention_bias": 1})"),
            "attention_bias is 1 at m/config.json: expected true or false"},
        Bad{With(R"({"rms_norm_eps": 0})"),
            "the norms' epsilon is 0 at m/config.json: expected a number above 0 and below 1"}));

INSTANTIATE_TEST_SUITE_P(
    Rope, ModelConfigBad,
    testing::Values(
        Bad{With(R"({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}})"),
            "the rope_type 'yarn' is not supported at m/config.json, rope_scaling: expected one of "
            "default, linear, llama3"},
        Bad{With(R"({"rope_scaling": {"type": "dynamic", "factor": 4.0}})"),
            "the rope_type 'dynamic' is not supported at m/config.json, rope_scaling: expected one "
            "of default, linear, llama3"},
        Bad{With(R"({"rope_parameters": {"rope_type": "longrope", "rope_theta": 5e5}})"),
            "the rope_type 'longrope' is not supported at m/config.json, rope_parameters: expected "
            "one of default, linear, llama3"},
        Bad{With(R"({"rope_scaling": {"rope_type": "linear"}})"),
            "the key factor is missing at m/config.json, rope_scaling: expected a value"},
        Bad{With(R"({"rope_scaling": {"rope_type": "linear", "factor": 2, "beta_fast": 32}})"),
            "unknown key 'beta_fast' (32) at m/config.json, rope_scaling: expected a known key (it "
            "may change what the model computes)"},
        Bad{With(R"({"rope_scaling": 4})"), "4 at m/config.json, rope_scaling: expected an object"},
        Bad{With(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}})"),
            "rope_parameters contradict rope_theta at m/config.json: expected the same"},
        Bad{With(R"({"rope_parameters": {"rope_type": "default"},
                     "rope_scaling": {"rope_type": "linear", "factor": 2}})"),
            "rope_parameters contradict rope_scaling at m/config.json: expected the same"},
        Bad{With(R"({"rope_theta": -1})"),
            "rope_theta is -1 at m/config.json: expected a number above 0"},
        Bad{Gemma(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}})"),
            "unknown key 'rope_theta' (10000.0) at m/config.json, rope_parameters: expected a "
            "known key (it may change what the model computes)"},
        Bad{Family("Qwen3ForCausalLM", "qwen3", R"({"layer_types": ["full_attention"]})"),
            "layer_types has 1 entries at m/config.json: expected one for each of the 4 layers"},
        Bad{Family("Qwen3ForCausalLM", "qwen3",
                   R"({"layer_types": ["full_attention", "full_attention", "full_attention",
                       "chunked_attention"]})"),
            "an entry of layer_types is \"chunked_attention\" at m/config.json: expected "
            "full_attention or sliding_attention"},
        Bad{Gemma(R"({"sliding_window": null})"),
            "layers slide, but there is no sliding_window at m/config.json: expected a width of "
            "the window"}));

TEST(ModelConfig, WhatIsNoJsonIsRefused) {
  const std::string refused =
      "no JSON object at m/config.json: expected a configuration (is the file whole?)";
  for (const char* text : {"", "{", "[]", "3", "{\"a\": \xff}", "{} {}"}) {
    EXPECT_EQ(ErrorOf(text), refused) << text;
  }
  EXPECT_EQ(ErrorOf(std::string(1'000'000, '[')), refused);
  EXPECT_THAT(ErrorOf(kLlama.dump(), "{"), HasSubstr("(generation_config.json)"));
  EXPECT_THAT(ErrorOf(kLlama.dump(), R"({"eos_token_id": "</s>"})"), HasSubstr("eos_token_id is"));
}

TEST(CheckModelConfig, SwitchesThatAFolderCannotSayAreRefused) {
  const ModelConfig good = Read(kLlama);
  CheckModelConfig(good, "run.toml");
  const auto error_of = [&](const std::function<void(ModelConfig&)>& change) -> std::string {
    ModelConfig config = good;
    change(config);
    try {
      CheckModelConfig(config, "run.toml");
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  };
  EXPECT_EQ(error_of([](ModelConfig& c) { c.qk_norm = true; }),
            "another norm of queries and keys than llama models have at run.toml: expected the "
            "family's");
  EXPECT_THAT(error_of([](ModelConfig& c) { c.qkv_bias = true; }), HasSubstr("bias"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.embedding_scale = 2; }), HasSubstr("embedding"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.local_rope.theta = 2; }), HasSubstr("rope"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.sliding = {true}; }), HasSubstr("layers"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.sliding_window = 4; }), HasSubstr("no layer slides"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.attention_scale = NAN; }), HasSubstr("scale"));
  EXPECT_THAT(error_of([](ModelConfig& c) { c.layers = 0; }), HasSubstr("1 to 1024"));
  // SetFamilySwitches makes any sizes a model of the family
  for (const FamilyInfo& info : kFamilies) {
    ModelConfig config = good;
    config.family = info.family;
    if (info.family == ModelFamily::kGpt2) config.kv_heads = config.heads;
    SetFamilySwitches(config);
    CheckModelConfig(config, "run.toml");
    EXPECT_EQ(ParseModelConfig(ToConfigJson(config), "", "again"), config) << info.model_type;
  }
}

TEST(CountParameters, CountsTiedMatricesOnce) {
  // 2 x V D, 4 layers of norms, q and o, k and v, gate, up and down; the last norm
  const int64_t layer = 2 * 128 + 2 * 128 * 128 + 2 * 64 * 128 + 3 * 344 * 128;
  EXPECT_EQ(CountParameters(Read(kLlama)), 2 * 32000 * 128 + 4 * layer + 128);
  EXPECT_EQ(CountParameters(Read(With(R"({"tie_word_embeddings": true})"))),
            32000 * 128 + 4 * layer + 128);
}

TEST(TrainingFlopsPerToken, CountsProductsAndAttention) {
  const double layer = 2 * 128 * 128 + 2 * 64 * 128 + 3 * 344 * 128;
  const double head = 32000 * 128;
  const double expected = 6 * (head + 4 * layer) + 12.0 * 4 * 128 * 50.5;
  EXPECT_EQ(TrainingFlopsPerToken(Read(kLlama), 100), expected);
  // the head multiplies, tied or not; a window bounds the keys
  EXPECT_EQ(TrainingFlopsPerToken(Read(With(R"({"tie_word_embeddings": true})")), 100), expected);
  const ModelConfig sliding =
      Read(Family("MistralForCausalLM", "mistral", R"({"sliding_window": 10})"));
  EXPECT_EQ(TrainingFlopsPerToken(sliding, 100), expected - 12.0 * 4 * 128 * (50.5 - 9.55));
  // the first of two tokens sees one key, the second two; frozen weights have no gradient
  EXPECT_EQ(TrainingFlopsPerToken(Read(kLlama), 2, /*train_all=*/false),
            4 * (head + 4 * layer) + 12.0 * 4 * 128 * 1.5);
}

}  // namespace
}  // namespace pawl::nn
