// What a decoder language model is, as data: one forward pass serves every family by these switches
// (docs/models.md says which family sets which). Read from and written to the config.json of a
// Hugging Face folder. Immutable once made.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/feed_forward.h"

namespace pawl::nn {

enum class ModelFamily : uint8_t { kLlama, kMistral, kQwen2, kQwen3, kGpt2, kGemma3 };
enum class NormKind : uint8_t { kRms, kLayer };
enum class RopeScaling : uint8_t { kNone, kLinear, kLlama3 };

struct RopeConfig {
  double theta = 10'000;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;                                 // kLinear, kLlama3
  double low_freq_factor = 1, high_freq_factor = 4;  // kLlama3
  int64_t original_max_positions = 8192;             // kLlama3
  bool operator==(const RopeConfig&) const = default;
};
// inv_freq [head_dim / 2] in float32, by transformers' formulas and rounding.
std::vector<float> InverseFrequencies(const RopeConfig& rope, int64_t head_dim);

struct ModelConfig {
  ModelFamily family = ModelFamily::kLlama;  // names of the tensors, keys of config.json
  std::string dtype = "float32";             // of the stored weights: float32, bfloat16, float16
  int64_t vocab = 0;                         // V
  int64_t width = 0;                         // D
  int64_t layers = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;  // H, KVH, K
  int64_t intermediate = 0;                       // I
  int64_t max_positions = 0;                      // the context

  NormKind norm = NormKind::kRms;
  double norm_epsilon = 1e-6;
  bool norm_plus_one = false;  // RMSNorm's factor is 1 + weight (Gemma)
  bool sandwich_norm = false;  // norms after attention and feed-forward, too (Gemma)
  bool qk_norm = false;        // RMSNorm of every query and key head (Qwen3, Gemma 3)
  bool qkv_bias = false, attention_out_bias = false, mlp_bias = false;
  kernels::FeedForwardActivation activation = kernels::FeedForwardActivation::kSilu;
  bool gated = true;               // activation(gate) * up; else activation(up)
  bool learned_positions = false;  // a table added to the embedding instead of rotary (GPT-2)
  RopeConfig rope;                 // of layers that see everything
  RopeConfig local_rope;           // of sliding layers
  std::vector<bool> sliding;       // [layers] which attend to the last `sliding_window` keys only
  int64_t sliding_window = 0;      // 0: no layer slides
  double attention_scale = 0;      // multiplies the scores (1 / sqrt(K) where nothing is said)
  double embedding_scale = 1;      // of the token embedding, rounded to the weights' dtype (Gemma)
  double logit_soft_cap = 0;       // cap tanh(logits / cap); 0: none
  bool tied = false;               // the head is the embedding

  std::vector<int64_t> eos_ids;  // of generation_config.json where it has them
  std::optional<int64_t> bos_id, pad_id;

  int64_t query_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
  int64_t qkv_width() const { return query_width() + 2 * kv_width(); }
  int64_t window(int64_t layer) const {  // 0: all
    return !sliding.empty() && sliding[layer] ? sliding_window : 0;
  }
  bool operator==(const ModelConfig&) const = default;
};

// Reads the text of a config.json (and of generation_config.json; "" where there is none). `source`
// names it in messages. Throws UserError for an architecture that is not known, for a key that is
// not known (named, with the nearest known one), for a value that cannot be, and for sizes that
// contradict each other.
ModelConfig ParseModelConfig(std::string_view config_json, std::string_view generation_json,
                             const std::string& source);
// The two files as transformers reads them: equal configs give equal text.
std::string ToConfigJson(const ModelConfig& config);
std::string ToGenerationConfigJson(const ModelConfig& config);
// Throws UserError unless the sizes fit together (`source`: where they come from). Parse and new
// models from a run's config both pass here.
void CheckModelConfig(const ModelConfig& config, const std::string& source);

// Parameters, tied ones once; and floating-point operations of training one token in sequences of
// `context`: 6 per weight that multiplies, 4 where it is frozen (!train_all: an adapter's own few
// are left out), and attention over the keys that a token sees, in the mean (Kaplan et al. 2020;
// PaLM's appendix B counts all `context` keys instead).
int64_t CountParameters(const ModelConfig& config);
double TrainingFlopsPerToken(const ModelConfig& config, int64_t context, bool train_all = true);

}  // namespace pawl::nn
