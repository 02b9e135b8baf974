#include "nn/model_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/float_types.h"
#include "nn/decoder_layout.h"
#include "nn/model_families.h"

namespace pawl::nn {
namespace {

[[noreturn]] void Refuse(const std::string& what, const std::string& source,
                         const std::string& expected, const std::string& hint = "") {
  throw UserError({.what = what, .where = source, .expected = expected, .hint = hint});
}

// Largest sizes: of no use beyond, and no product of them overflows.
struct SizeLimit {
  const char* name;
  int64_t ModelConfig::*field;
  int64_t max;
};
constexpr SizeLimit kSizeLimits[] = {
    {"vocabulary", &ModelConfig::vocab, 1 << 24},
    {"width", &ModelConfig::width, 1 << 18},
    {"number of layers", &ModelConfig::layers, 1 << 10},
    {"number of heads", &ModelConfig::heads, 1 << 12},
    {"number of key/value heads", &ModelConfig::kv_heads, 1 << 12},
    {"width of a head", &ModelConfig::head_dim, 256},  // of kernels/attention.h
    {"width of the feed-forward layer", &ModelConfig::intermediate, 1 << 20},
    {"context", &ModelConfig::max_positions, 1 << 28},
};

void CheckRope(const RopeConfig& rope, const std::string& source) {
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  if (!positive(rope.theta)) {
    Refuse(fmt::format("rope_theta is {}", rope.theta), source, "a number above 0");
  }
  if (!positive(rope.factor)) {
    Refuse(fmt::format("the rope factor is {}", rope.factor), source, "a number above 0");
  }
  if (rope.scaling != RopeScaling::kLlama3) return;
  if (!positive(rope.low_freq_factor) || !(rope.high_freq_factor > rope.low_freq_factor) ||
      !positive(rope.high_freq_factor)) {
    Refuse(fmt::format("rope's low_freq_factor {} and high_freq_factor {}", rope.low_freq_factor,
                       rope.high_freq_factor),
           source, "0 < low_freq_factor < high_freq_factor");
  }
  if (rope.original_max_positions < 1) {
    Refuse(fmt::format("original_max_position_embeddings is {}", rope.original_max_positions),
           source, "at least 1");
  }
}

void CheckSliding(const ModelConfig& c, const std::string& source) {
  bool any = false;
  for (const bool sliding : c.sliding) any = any || sliding;
  if (!c.sliding.empty() && c.sliding.size() != static_cast<size_t>(c.layers)) {
    Refuse(fmt::format("the kinds of {} layers are given", c.sliding.size()), source,
           fmt::format("one for each of the {} layers", c.layers));
  }
  if (c.sliding_window < 0 || any != (c.sliding_window > 0) || any == c.sliding.empty()) {
    Refuse(fmt::format("sliding_window is {} where {} slides", c.sliding_window,
                       any ? "a layer" : "no layer"),
           source, any ? "at least 1" : "none");
  }
}

void CheckTokenIds(const ModelConfig& c, const std::string& source) {
  const auto check = [&](const char* name, int64_t id) {
    if (id < 0 || id >= c.vocab) {
      Refuse(fmt::format("{} is {}", name, id), source,
             fmt::format("a token of the vocabulary, 0 to {}", c.vocab - 1));
    }
  };
  for (const int64_t id : c.eos_ids) check("eos_token_id", id);
  if (c.bos_id) check("bos_token_id", *c.bos_id);
  if (c.pad_id) check("pad_token_id", *c.pad_id);
}

// A switch that the family's files cannot say would be lost when the model is saved.
void CheckFamilySwitches(const ModelConfig& c, const std::string& source) {
  ModelConfig family = c;
  SetFamilySwitches(family);
  const std::pair<const char*, bool> switches[] = {
      {"kind of norm", c.norm == family.norm},
      {"norm factor (weight or 1 + weight)", c.norm_plus_one == family.norm_plus_one},
      {"place of norms", c.sandwich_norm == family.sandwich_norm},
      {"norm of queries and keys", c.qk_norm == family.qk_norm},
      {"bias of queries, keys and values", c.qkv_bias == family.qkv_bias},
      {"bias of the attention's output", c.attention_out_bias == family.attention_out_bias},
      {"bias of the feed-forward layer", c.mlp_bias == family.mlp_bias},
      {"gate of the feed-forward layer", c.gated == family.gated},
      {"kind of positions", c.learned_positions == family.learned_positions},
      {"rope of sliding layers", c.local_rope == family.local_rope},
      {"choice of sliding layers", c.sliding == family.sliding},
      {"scale of the scores", c.attention_scale == family.attention_scale},
      {"scale of the embedding", c.embedding_scale == family.embedding_scale},
      {"soft cap of the logits", c.logit_soft_cap == family.logit_soft_cap},
  };
  for (const auto& [name, same] : switches) {
    if (!same) {
      Refuse(fmt::format("another {} than {} models have", name, InfoOf(c.family).model_type),
             source, "the family's");
    }
  }
}

// transformers keeps the scale in float32 and rounds it to the weights' dtype
double EmbeddingScale(const ModelConfig& c) {
  const auto scale = static_cast<float>(std::sqrt(static_cast<double>(c.width)));
  if (c.dtype == "bfloat16") return core::ToFloat(core::ToBfloat16(scale));
  if (c.dtype == "float16") return core::ToFloat(core::ToFloat16(scale));
  return scale;
}
}  // namespace

void SetFamilySwitches(ModelConfig& c) {
  const bool gpt2 = c.family == ModelFamily::kGpt2, gemma = c.family == ModelFamily::kGemma3;
  c.norm = gpt2 ? NormKind::kLayer : NormKind::kRms;
  c.norm_plus_one = c.sandwich_norm = gemma;
  c.qk_norm = gemma || c.family == ModelFamily::kQwen3;
  c.gated = !gpt2;
  c.learned_positions = gpt2;
  // attention_bias is one key for all four linears; Qwen2 has no key and no bias on the output
  switch (c.family) {
    case ModelFamily::kLlama:
    case ModelFamily::kQwen3:
    case ModelFamily::kGemma3:
      c.attention_out_bias = c.qkv_bias;
      break;
    case ModelFamily::kMistral:
      c.qkv_bias = c.attention_out_bias = false;
      break;
    case ModelFamily::kQwen2:
      c.qkv_bias = true;
      c.attention_out_bias = false;
      break;
    case ModelFamily::kGpt2:
      c.qkv_bias = c.attention_out_bias = true;
      break;
  }
  if (c.family != ModelFamily::kLlama) c.mlp_bias = gpt2;
  if (gpt2) c.rope = {};
  if (!gemma) {
    c.local_rope = c.rope;
    c.attention_scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
    c.embedding_scale = 1;
    c.logit_soft_cap = 0;
  } else {
    c.embedding_scale = EmbeddingScale(c);
  }
  if (gpt2 || c.family == ModelFamily::kLlama) {
    c.sliding.clear();
    c.sliding_window = 0;
  }
  if (c.family == ModelFamily::kMistral) {
    c.sliding.assign(c.sliding_window > 0 ? c.layers : 0, true);
  }
}

void CheckSizes(const ModelConfig& config, const std::string& source) {
  for (const SizeLimit& limit : kSizeLimits) {
    const int64_t size = config.*limit.field;
    if (size < 1 || size > limit.max) {
      Refuse(fmt::format("the {} is {}", limit.name, size), source,
             fmt::format("1 to {}", limit.max));
    }
  }
}

void CheckModelConfig(const ModelConfig& config, const std::string& source) {
  CheckSizes(config, source);
  if (config.heads % config.kv_heads != 0) {
    Refuse(fmt::format("{} heads share {} key/value heads", config.heads, config.kv_heads), source,
           "a number of heads that the key/value heads divide");
  }
  if (config.family == ModelFamily::kGpt2 &&
      (config.kv_heads != config.heads || config.query_width() != config.width)) {
    Refuse(fmt::format("{} heads ({} for keys and values) of width {} in a model of width {}",
                       config.heads, config.kv_heads, config.head_dim, config.width),
           source, "heads that part a GPT-2's width evenly");
  }
  if (!config.learned_positions && config.head_dim % 2 != 0) {
    Refuse(fmt::format("the width of a head is {}", config.head_dim), source,
           "an even number, whose halves turn together");
  }
  if (config.dtype != "float32" && config.dtype != "bfloat16" && config.dtype != "float16") {
    Refuse(fmt::format("the dtype is '{}'", config.dtype), source, "float32, bfloat16 or float16");
  }
  if (!(config.norm_epsilon > 0) || !(config.norm_epsilon < 1)) {
    Refuse(fmt::format("the norms' epsilon is {}", config.norm_epsilon), source,
           "a number above 0 and below 1");
  }
  if (!(config.attention_scale > 0) || !std::isfinite(config.attention_scale)) {
    Refuse(fmt::format("the scale of the scores is {}", config.attention_scale), source,
           "a number above 0");
  }
  if (!(config.logit_soft_cap >= 0) || !std::isfinite(config.logit_soft_cap)) {
    Refuse(fmt::format("the soft cap of the logits is {}", config.logit_soft_cap), source,
           "a number above 0, or none");
  }
  CheckRope(config.rope, source);
  CheckRope(config.local_rope, source);
  CheckSliding(config, source);
  CheckTokenIds(config, source);
  CheckFamilySwitches(config, source);
}

// modeling_rope_utils.py of transformers, rounded as torch rounds it: a quotient with a number on
// its left is a product with a reciprocal. The power is rounded correctly here; torch's own may be
// off by one unit in the last place, and differs between machines.
std::vector<float> InverseFrequencies(const RopeConfig& rope, int64_t head_dim) {
  const auto theta = static_cast<float>(rope.theta), factor = static_cast<float>(rope.factor);
  const auto low = static_cast<float>(rope.low_freq_factor);
  // transformers divides and subtracts these in Python's doubles
  const auto old_context = static_cast<double>(rope.original_max_positions);
  const auto low_wavelength = static_cast<float>(old_context / rope.low_freq_factor);
  const auto high_wavelength = static_cast<float>(old_context / rope.high_freq_factor);
  const auto spread = static_cast<float>(rope.high_freq_factor - rope.low_freq_factor);

  std::vector<float> out;
  for (int64_t i = 0; i < head_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(head_dim);
    const auto power =
        static_cast<float>(std::pow(static_cast<double>(theta), static_cast<double>(exponent)));
    float frequency = 1.0f / power;
    if (rope.scaling == RopeScaling::kLinear) frequency /= factor;
    if (rope.scaling == RopeScaling::kLlama3) {
      const float wavelength = (1.0f / frequency) * static_cast<float>(2 * std::numbers::pi);
      if (wavelength > low_wavelength) {
        frequency /= factor;
      } else if (wavelength >=
                 high_wavelength) {  // between the two: smoothly from one to the other
        const float turns = (1.0f / wavelength) * static_cast<float>(old_context);
        const float smooth = (turns - low) / spread;
        frequency = (1.0f - smooth) * frequency / factor + smooth * frequency;
      }
    }
    out.push_back(frequency);
  }
  return out;
}

int64_t CountParameters(const ModelConfig& config) {
  const DecoderLayout layout(config);
  int64_t count = 0;
  for (const ModelParameter& parameter : layout.parameters()) {
    count += static_cast<int64_t>(parameter.count);
  }
  return count;
}

double TrainingFlopsPerToken(const ModelConfig& config, int64_t context, bool train_all) {
  const DecoderLayout layout(config);
  double multiplied = 0;  // weights that do; the embeddings are looked up
  for (const ModelParameter& parameter : layout.parameters()) {
    const bool looked_up = (parameter.offset == layout.embedding() && !layout.tied()) ||
                           parameter.offset == layout.position_embedding();
    if (parameter.is_matrix() && !looked_up) multiplied += static_cast<double>(parameter.count);
  }
  // scores and weighted values: two products of K per key and head, three times with the backward;
  // token i sees itself and the i before it, or its window's
  double attended = 0;
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const auto length = static_cast<double>(context);
    const int64_t window = config.window(layer);
    const double seen = window > 0 ? std::min(static_cast<double>(window), length) : length;
    attended += seen - seen * (seen - 1) / (2 * length);
  }
  return (train_all ? 6 : 4) * multiplied +
         12 * static_cast<double>(config.query_width()) * attended;
}

}  // namespace pawl::nn
