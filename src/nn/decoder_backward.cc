// The backward half of Decoder: every gradient adds rows in ascending order to what is there, so a
// batch may come in parts.
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "kernels/embedding.h"
#include "kernels/feed_forward.h"
#include "kernels/norm.h"
#include "nn/decoder.h"

namespace pawl::nn {

void Decoder::NormBackward(const kernels::NormArgs& args, const NormWeights& norm, const float* dy,
                           float* dx, bool accumulate, const DecoderGradients& gradients) {
  kernels::NormGradArgs grad;
  grad.forward = args;
  grad.dy = dy;
  grad.dy_stride = config_.width;
  grad.dx = dx;
  grad.dx_stride = config_.width;
  grad.accumulate_dx = accumulate;
  grad.dweight = gradients.At(norm.weight);
  grad.dbias = gradients.At(norm.bias);
  if (config_.norm == NormKind::kRms) {
    kernels::RmsNormBackward(grad, team_);
  } else {
    kernels::LayerNormBackward(grad, team_);
  }
}

void Decoder::Backward(const DecoderModel& model, const DecoderRows& rows, float* dhidden,
                       const DecoderGradients& gradients, float* dembedding) {
  PAWL_CHECK(keep_ != KeepActivations::kNothing, "this pass keeps nothing for a backward");
  const ModelConfig& c = config_;
  const auto count = static_cast<int64_t>(rows.tokens.size());
  NormBackward(NormOf(model, layout_->final_norm(), x_.data(), count, c.width, c.width),
               layout_->final_norm(), dhidden, dx_.data(), /*accumulate=*/false, gradients);
  for (int64_t layer = c.layers - 1; layer >= 0; --layer) {
    if (keep_ == KeepActivations::kInputs) Layer(model, rows, layer, Inside(layer), x_.data());
    BackwardLayer(model, rows, layer, gradients);
  }
  if (float* dpositions = gradients.At(layout_->position_embedding())) {
    kernels::EmbeddingBackward(rows.positions, dx_.data(), c.width, c.width, 1.0f, dpositions,
                               team_);
  }
  std::memcpy(dembedding, dx_.data(), static_cast<size_t>(count * c.width) * sizeof(float));
}

// dx_ holds the derivative by the layer's output, then by its input.
void Decoder::BackwardLayer(const DecoderModel& model, const DecoderRows& rows, int64_t layer,
                            const DecoderGradients& gradients) {
  Activations& a = Inside(layer);
  BackwardFeedForward(model, layer, static_cast<int64_t>(rows.tokens.size()), a, gradients);
  BackwardAttention(model, rows, layer, a, gradients);
}

void Decoder::BackwardFeedForward(const DecoderModel& model, int64_t layer, int64_t rows,
                                  Activations& a, const DecoderGradients& gradients) {
  const ModelConfig& c = config_;
  const LayerLayout& weights = layout_->layers()[layer];
  const float* ddown = dx_.data();
  if (c.sandwich_norm) {
    NormBackward(NormOf(model, weights.post_mlp_norm, a.down.data(), rows, c.width, c.width),
                 weights.post_mlp_norm, dx_.data(), dnormed_.data(), /*accumulate=*/false,
                 gradients);
    ddown = dnormed_.data();
  }
  // what went into the linear down is computed again
  kernels::FeedForward(FeedForwardOf(a, rows), active_.data(), c.intermediate, team_);
  LinearGradArgs down;
  down.x = active_.data();
  down.x_stride = c.intermediate;
  down.dy = ddown;
  down.dy_stride = c.width;
  down.rows = rows;
  down.dx = dwide_.data();
  down.dx_stride = c.intermediate;
  BackwardLinear(model, layer, LayerLinear::kDown, down, gradients, team_);

  // the derivatives take the place of gate and up
  float* dgate = a.gate_up.data();
  kernels::FeedForwardBackward(FeedForwardOf(a, rows), dwide_.data(), c.intermediate, dgate,
                               c.gated ? dgate + c.intermediate : nullptr, nullptr, 0, team_);
  const auto norm = NormOf(model, weights.mlp_norm, a.middle.data(), rows, c.width, c.width);
  Norm(norm, normed_.data(), c.width);
  LinearGradArgs up;
  up.x = normed_.data();
  up.x_stride = c.width;
  up.dy = dgate;
  up.dy_stride = weights.gate_up.out;
  up.rows = rows;
  up.dx = dnormed_.data();
  up.dx_stride = c.width;
  BackwardLinear(model, layer, LayerLinear::kGateUp, up, gradients, team_);
  NormBackward(norm, weights.mlp_norm, dnormed_.data(), dx_.data(), /*accumulate=*/true, gradients);
}

void Decoder::BackwardAttention(const DecoderModel& model, const DecoderRows& rows, int64_t layer,
                                Activations& a, const DecoderGradients& gradients) {
  const ModelConfig& c = config_;
  const LayerLayout& weights = layout_->layers()[layer];
  const auto count = static_cast<int64_t>(rows.tokens.size());
  const float* dprojected = dx_.data();
  if (c.sandwich_norm) {
    NormBackward(
        NormOf(model, weights.post_attention_norm, a.projected.data(), count, c.width, c.width),
        weights.post_attention_norm, dx_.data(), normed_.data(), /*accumulate=*/false, gradients);
    dprojected = normed_.data();
  }
  LinearGradArgs out;
  out.x = a.attention.data();
  out.x_stride = c.query_width();
  out.dy = dprojected;
  out.dy_stride = c.width;
  out.rows = count;
  out.dx = dnormed_.data();
  out.dx_stride = c.query_width();
  BackwardLinear(model, layer, LayerLinear::kAttentionOut, out, gradients, team_);

  FillSequences(rows, layer, a);
  float* dqkv = dwide_.data();
  kernels::AttentionBackwardArgs attention;
  attention.forward = AttentionArgs(rows, layer, a);
  attention.dout = dnormed_.data();
  attention.dout_stride = c.query_width();
  attention.dq = dqkv;
  attention.dq_stride = c.qkv_width();
  attention.dk = dqkv + c.query_width();
  attention.dv = attention.dk + c.kv_width();
  attention.dkv_stride = c.qkv_width();
  kernels::AttentionBackward(attention, team_);
  if (!c.learned_positions) Rotate(rows, layer, dqkv, /*inverse=*/true);
  if (c.qk_norm) BackwardHeadNorms(model, layer, count, a, gradients);

  const auto norm = NormOf(model, weights.attention_norm, Input(layer), count, c.width, c.width);
  Norm(norm, normed_.data(), c.width);
  LinearGradArgs qkv;
  qkv.x = normed_.data();
  qkv.x_stride = c.width;
  qkv.dy = dqkv;
  qkv.dy_stride = c.qkv_width();
  qkv.rows = count;
  qkv.dx = dnormed_.data();
  qkv.dx_stride = c.width;
  BackwardLinear(model, layer, LayerLinear::kQkv, qkv, gradients, team_);
  NormBackward(norm, weights.attention_norm, dnormed_.data(), dx_.data(), /*accumulate=*/true,
               gradients);
}

// dwide_ holds dqkv; its query and key parts become derivatives by the heads before their norms.
void Decoder::BackwardHeadNorms(const DecoderModel& model, int64_t layer, int64_t rows,
                                Activations& a, const DecoderGradients& gradients) {
  const ModelConfig& c = config_;
  const LayerLayout& weights = layout_->layers()[layer];
  const int64_t heads = c.heads + c.kv_heads, kept = c.query_width() + c.kv_width();
  for (int64_t head = 0; head < heads; ++head) {
    const NormWeights& norm = head < c.heads ? weights.q_norm : weights.k_norm;
    kernels::NormGradArgs grad;
    grad.forward = NormOf(model, norm, a.qk.data() + head * c.head_dim, rows, c.head_dim, kept);
    grad.dy = dwide_.data() + head * c.head_dim;
    grad.dy_stride = c.qkv_width();
    grad.dx = dwide_.data() + head * c.head_dim;
    grad.dx_stride = c.qkv_width();
    if (gradients.head_norms != nullptr && gradients.At(norm.weight) != nullptr) {
      grad.dweight = gradients.head_norms + (layer * heads + head) * c.head_dim;
    }
    kernels::RmsNormBackward(grad, team_);
  }
}

size_t HeadNormFloats(const ModelConfig& config) {
  if (!config.qk_norm) return 0;
  return static_cast<size_t>(config.layers * (config.heads + config.kv_heads) * config.head_dim);
}

void FoldHeadNorms(const DecoderLayout& layout, const float* head_norms,
                   const DecoderGradients& gradients) {
  const ModelConfig& c = layout.config();
  if (!c.qk_norm || head_norms == nullptr) return;
  for (const LayerLayout& layer : layout.layers()) {
    for (int64_t head = 0; head < c.heads + c.kv_heads; ++head) {
      float* to = gradients.At(head < c.heads ? layer.q_norm.weight : layer.k_norm.weight);
      for (int64_t i = 0; to != nullptr && i < c.head_dim; ++i) to[i] += head_norms[i];
      head_norms += c.head_dim;
    }
  }
}

}  // namespace pawl::nn
