#include "nn/decoder_layout.h"

#include <algorithm>

#include "core/error.h"

namespace pawl::nn {
namespace {
constexpr size_t kAlignment = 16;  // floats: a cache line
}  // namespace

size_t DecoderLayout::Add(const std::string& name, std::vector<int64_t> shape, bool aligned,
                          bool transposed) {
  if (aligned) size_ = (size_ + kAlignment - 1) / kAlignment * kAlignment;
  size_t count = 1;
  for (const int64_t dimension : shape) count *= static_cast<size_t>(dimension);
  parameters_.push_back({.name = name,
                         .shape = std::move(shape),
                         .offset = size_,
                         .count = count,
                         .stored_transposed = transposed});
  size_ += count;
  return parameters_.back().offset;
}

// names: the modules whose outputs lie side by side.
Projection DecoderLayout::AddProjection(const std::vector<std::string>& names,
                                        const std::vector<int64_t>& outs, int64_t in, bool bias) {
  const bool transposed = config_.family == ModelFamily::kGpt2;
  Projection projection{.in = in};
  for (size_t i = 0; i < names.size(); ++i) {
    const size_t at = Add(names[i] + ".weight", {outs[i], in}, i == 0, transposed);
    if (i == 0) projection.weight = at;
    projection.out += outs[i];
  }
  for (size_t i = 0; bias && i < names.size(); ++i) {
    const size_t at = Add(names[i] + ".bias", {outs[i]}, i == 0, false);
    if (i == 0) projection.bias = at;
  }
  return projection;
}

NormWeights DecoderLayout::AddNorm(const std::string& name, int64_t width) {
  NormWeights norm{.weight = Add(name + ".weight", {width}, true, false)};
  if (config_.norm == NormKind::kLayer) norm.bias = Add(name + ".bias", {width}, true, false);
  return norm;
}

LayerLayout DecoderLayout::AddLayer(int64_t index) {
  const ModelConfig& c = config_;
  const std::string layer = fmt::format("model.layers.{}.", index);
  const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
  LayerLayout out;
  out.attention_norm = AddNorm(layer + "input_layernorm", c.width);
  out.qkv = AddProjection({attention + "q_proj", attention + "k_proj", attention + "v_proj"},
                          {c.query_width(), c.kv_width(), c.kv_width()}, c.width, c.qkv_bias);
  if (c.qk_norm) {
    out.q_norm = AddNorm(attention + "q_norm", c.head_dim);
    out.k_norm = AddNorm(attention + "k_norm", c.head_dim);
  }
  out.attention_out =
      AddProjection({attention + "o_proj"}, {c.width}, c.query_width(), c.attention_out_bias);
  if (c.sandwich_norm) {
    out.post_attention_norm = AddNorm(layer + "post_attention_layernorm", c.width);
    out.mlp_norm = AddNorm(layer + "pre_feedforward_layernorm", c.width);
  } else {
    out.mlp_norm = AddNorm(layer + "post_attention_layernorm", c.width);
  }
  out.gate_up = AddProjection({mlp + "gate_proj", mlp + "up_proj"},
                              {c.intermediate, c.intermediate}, c.width, c.mlp_bias);
  out.down = AddProjection({mlp + "down_proj"}, {c.width}, c.intermediate, c.mlp_bias);
  if (c.sandwich_norm) out.post_mlp_norm = AddNorm(layer + "post_feedforward_layernorm", c.width);
  return out;
}

LayerLayout DecoderLayout::AddGpt2Layer(int64_t index) {
  const ModelConfig& c = config_;
  const std::string layer = fmt::format("transformer.h.{}.", index);
  LayerLayout out;
  out.attention_norm = AddNorm(layer + "ln_1", c.width);
  out.qkv = AddProjection({layer + "attn.c_attn"}, {c.qkv_width()}, c.width, true);
  out.attention_out = AddProjection({layer + "attn.c_proj"}, {c.width}, c.query_width(), true);
  out.mlp_norm = AddNorm(layer + "ln_2", c.width);
  out.gate_up = AddProjection({layer + "mlp.c_fc"}, {c.intermediate}, c.width, true);
  out.down = AddProjection({layer + "mlp.c_proj"}, {c.width}, c.intermediate, true);
  return out;
}

DecoderLayout::DecoderLayout(const ModelConfig& config) : config_(config) {
  const ModelConfig& c = config_;
  const bool gpt2 = c.family == ModelFamily::kGpt2;
  const std::string root = gpt2 ? "transformer." : "model.";
  embedding_ =
      Add(root + (gpt2 ? "wte.weight" : "embed_tokens.weight"), {c.vocab, c.width}, true, false);
  if (c.learned_positions) {
    position_embedding_ = Add(root + "wpe.weight", {c.max_positions, c.width}, true, false);
  }
  for (int64_t i = 0; i < c.layers; ++i) layers_.push_back(gpt2 ? AddGpt2Layer(i) : AddLayer(i));
  final_norm_ = AddNorm(root + (gpt2 ? "ln_f" : "norm"), c.width);
  head_ = c.tied ? embedding_ : Add("lm_head.weight", {c.vocab, c.width}, true, false);
  size_ = (size_ + kAlignment - 1) / kAlignment * kAlignment;
}

const ModelParameter* DecoderLayout::Find(const std::string& name) const {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const ModelParameter& p) { return p.name == name; });
  return found == parameters_.end() ? nullptr : &*found;
}

}  // namespace pawl::nn
