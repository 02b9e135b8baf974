// Writes config.json and generation_config.json in the form of transformers 5, with the keys of
// version 4 (torch_dtype, rope_theta, rope_scaling) beside them: both read the file.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/model_config.h"
#include "nn/model_families.h"

namespace pawl::nn {
namespace {
using nlohmann::json;

// Without rope_theta: the rope_scaling of version 4.
json ScalingJson(const RopeConfig& rope) {
  switch (rope.scaling) {
    case RopeScaling::kNone:
      return {{"rope_type", "default"}};
    case RopeScaling::kLinear:
      return {{"rope_type", "linear"}, {"factor", rope.factor}};
    case RopeScaling::kLlama3:
      break;
  }
  return {{"rope_type", "llama3"},
          {"factor", rope.factor},
          {"low_freq_factor", rope.low_freq_factor},
          {"high_freq_factor", rope.high_freq_factor},
          {"original_max_position_embeddings", rope.original_max_positions}};
}
json RopeJson(const RopeConfig& rope) {
  json out = ScalingJson(rope);
  out["rope_theta"] = rope.theta;
  return out;
}

template <class T>
json OrNull(const std::optional<T>& value) {
  return value ? json(*value) : json();
}
json EosJson(const ModelConfig& c) {
  if (c.eos_ids.empty()) return {};
  return c.eos_ids.size() == 1 ? json(c.eos_ids[0]) : json(c.eos_ids);
}

const char* ActivationName(const ModelConfig& c) {
  if (c.family == ModelFamily::kGpt2 && c.activation == kernels::FeedForwardActivation::kGeluTanh) {
    return "gelu_new";
  }
  for (const auto& [name, known] : kActivations) {
    if (known == c.activation) return name;
  }
  return "";
}

void AddGpt2(const ModelConfig& c, json& out) {
  out["n_embd"] = c.width;
  out["n_layer"] = c.layers;
  out["n_head"] = c.heads;
  out["n_positions"] = c.max_positions;
  out["n_ctx"] = c.max_positions;
  out["n_inner"] = c.intermediate;
  out["layer_norm_epsilon"] = c.norm_epsilon;
  out["activation_function"] = ActivationName(c);
}

void AddSliding(const ModelConfig& c, json& out) {
  if (c.family == ModelFamily::kLlama) return;
  // transformers makes Gemma 3's window mask even where no layer takes it
  const bool needs_window = c.sliding_window > 0 || c.family == ModelFamily::kGemma3;
  out["sliding_window"] = needs_window ? json(std::max(c.sliding_window, int64_t{1})) : json();
  if (c.family == ModelFamily::kMistral) return;
  json types = json::array();
  for (int64_t i = 0; i < c.layers; ++i) {
    types.push_back(c.window(i) > 0 ? "sliding_attention" : "full_attention");
  }
  out["layer_types"] = types;
  if (c.family == ModelFamily::kGemma3) return;
  out["use_sliding_window"] = c.sliding_window > 0;
  // what version 4 knew before layer_types
  int64_t first = 0;
  while (first < c.layers && c.window(first) == 0) ++first;
  out["max_window_layers"] = first;
}

void AddLlamaLike(const ModelConfig& c, json& out) {
  out["hidden_size"] = c.width;
  out["num_hidden_layers"] = c.layers;
  out["num_attention_heads"] = c.heads;
  out["num_key_value_heads"] = c.kv_heads;
  out["head_dim"] = c.head_dim;
  out["intermediate_size"] = c.intermediate;
  out["max_position_embeddings"] = c.max_positions;
  out["rms_norm_eps"] = c.norm_epsilon;
  out["rope_theta"] = c.rope.theta;
  out["rope_scaling"] = c.rope.scaling == RopeScaling::kNone ? json() : ScalingJson(c.rope);
  if (c.family == ModelFamily::kGemma3) {
    out["rope_parameters"] = {{"full_attention", RopeJson(c.rope)},
                              {"sliding_attention", RopeJson(c.local_rope)}};
    out["rope_local_base_freq"] = c.local_rope.theta;
    out["hidden_activation"] = ActivationName(c);
    out["query_pre_attn_scalar"] = std::llround(1 / (c.attention_scale * c.attention_scale));
    out["final_logit_softcapping"] = c.logit_soft_cap > 0 ? json(c.logit_soft_cap) : json();
    out["attn_logit_softcapping"] = nullptr;
  } else {
    out["rope_parameters"] = RopeJson(c.rope);
    out["hidden_act"] = ActivationName(c);
  }
  if (c.family == ModelFamily::kLlama) out["mlp_bias"] = c.mlp_bias;
  if (c.family != ModelFamily::kMistral && c.family != ModelFamily::kQwen2) {
    out["attention_bias"] = c.qkv_bias;
  }
  AddSliding(c, out);
}
}  // namespace

std::string ToConfigJson(const ModelConfig& c) {
  const FamilyInfo& info = InfoOf(c.family);
  json out = {{"architectures", json::array({info.architecture})},
              {"model_type", info.model_type},
              {"dtype", c.dtype},
              {"torch_dtype", c.dtype},
              {"vocab_size", c.vocab},
              {"tie_word_embeddings", c.tied},
              {"bos_token_id", OrNull(c.bos_id)},
              {"eos_token_id", EosJson(c)},
              {"pad_token_id", OrNull(c.pad_id)}};
  if (c.family == ModelFamily::kGpt2) {
    AddGpt2(c, out);
  } else {
    AddLlamaLike(c, out);
  }
  return out.dump(2) + "\n";
}

std::string ToGenerationConfigJson(const ModelConfig& c) {
  json out = json::object();
  if (c.bos_id) out["bos_token_id"] = *c.bos_id;
  if (c.pad_id) out["pad_token_id"] = *c.pad_id;
  if (!c.eos_ids.empty()) out["eos_token_id"] = EosJson(c);
  return out.dump(2) + "\n";
}

}  // namespace pawl::nn
