#include "nn/decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "kernels/embedding.h"
#include "kernels/feed_forward.h"
#include "kernels/norm.h"
#include "kernels/rope.h"

namespace pawl::nn {
namespace {
size_t Floats(int64_t rows, int64_t width) { return static_cast<size_t>(rows * width); }
}  // namespace

Decoder::Decoder(std::shared_ptr<const DecoderLayout> layout, int64_t max_rows,
                 KeepActivations keep, kernels::Team& team)
    : layout_(std::move(layout)),
      config_(layout_->config()),
      max_rows_(max_rows),
      keep_(keep),
      team_(team) {
  const ModelConfig& c = config_;
  const int64_t kept = keep == KeepActivations::kAll ? c.layers : 1;
  for (int64_t i = 0; i < kept; ++i) {
    kept_.push_back(MakeActivations(keep == KeepActivations::kAll));
  }
  if (keep == KeepActivations::kInputs) {
    for (int64_t i = 0; i < c.layers; ++i) inputs_.emplace_back(Floats(max_rows, c.width));
  }
  x_ = core::Buffer<float>(Floats(max_rows, c.width));
  normed_ = core::Buffer<float>(Floats(max_rows, c.width));
  active_ = core::Buffer<float>(Floats(max_rows, c.intermediate));
  hidden_ = core::Buffer<float>(Floats(max_rows, c.width));
  if (keep == KeepActivations::kNothing) return;
  dx_ = core::Buffer<float>(Floats(max_rows, c.width));
  dnormed_ = core::Buffer<float>(Floats(max_rows, std::max(c.width, c.query_width())));
  dwide_ = core::Buffer<float>(Floats(max_rows, std::max(c.intermediate, c.qkv_width())));
}

Decoder::Activations Decoder::MakeActivations(bool with_input) const {
  const ModelConfig& c = config_;
  const auto rows = [&](int64_t width) { return core::Buffer<float>(Floats(max_rows_, width)); };
  Activations a;
  if (with_input) a.x = rows(c.width);
  a.qkv = rows(c.qkv_width());
  if (c.qk_norm && keep_ != KeepActivations::kNothing) a.qk = rows(c.query_width() + c.kv_width());
  a.attention = rows(c.query_width());
  a.log_sum = rows(c.heads);
  a.middle = rows(c.width);
  a.gate_up = rows(c.gated ? 2 * c.intermediate : c.intermediate);
  if (c.sandwich_norm) {
    a.projected = rows(c.width);
    a.down = rows(c.width);
  }
  return a;
}

size_t Decoder::activation_bytes() const {
  size_t floats = x_.size() + normed_.size() + active_.size() + hidden_.size() + dx_.size() +
                  dnormed_.size() + dwide_.size();
  for (const Activations& a : kept_) {
    floats += a.x.size() + a.qkv.size() + a.qk.size() + a.attention.size() + a.log_sum.size() +
              a.projected.size() + a.middle.size() + a.gate_up.size() + a.down.size();
  }
  for (const auto& input : inputs_) floats += input.size();
  return floats * sizeof(float);
}

Decoder::Activations& Decoder::Inside(int64_t layer) {
  return kept_[keep_ == KeepActivations::kAll ? static_cast<size_t>(layer) : 0];
}

// Where a layer reads its input; behind the last layer, the stream.
float* Decoder::Input(int64_t layer) {
  if (layer < config_.layers) {
    if (keep_ == KeepActivations::kAll) return kept_[layer].x.data();
    if (keep_ == KeepActivations::kInputs) return inputs_[layer].data();
  }
  return x_.data();
}

kernels::NormArgs Decoder::NormOf(const DecoderModel& model, const NormWeights& norm,
                                  const float* x, int64_t rows, int64_t width,
                                  int64_t stride) const {
  kernels::NormArgs args;
  args.rows = rows;
  args.width = width;
  args.epsilon = static_cast<float>(config_.norm_epsilon);
  args.x = x;
  args.x_stride = stride;
  args.weight = model.weights.Vector(norm.weight);
  args.bias = model.weights.Vector(norm.bias);
  args.weight_offset = config_.norm_plus_one ? 1.0f : 0.0f;
  return args;
}

void Decoder::Norm(const kernels::NormArgs& args, float* y, int64_t y_stride) {
  if (config_.norm == NormKind::kRms) {
    kernels::RmsNorm(args, y, y_stride, team_);
  } else {
    kernels::LayerNorm(args, y, y_stride, team_);
  }
}

const float* Decoder::Forward(const DecoderModel& model, const DecoderRows& rows) {
  const auto count = static_cast<int64_t>(rows.tokens.size());
  PAWL_CHECK_LE(count, max_rows_, "tokens of one pass");
  GrowTables(rows);
  Embed(model, rows, Input(0));
  for (int64_t layer = 0; layer < config_.layers; ++layer) {
    Layer(model, rows, layer, Inside(layer), Input(layer + 1));
  }
  for (const DecoderSequence& sequence : rows.sequences) {
    if (sequence.cache) sequence.cache->set_length(sequence.first_position + sequence.rows);
  }
  Norm(NormOf(model, layout_->final_norm(), x_.data(), count, config_.width, config_.width),
       hidden_.data(), config_.width);
  return hidden_.data();
}

void Decoder::Embed(const DecoderModel& model, const DecoderRows& rows, float* x) {
  kernels::EmbeddingArgs args;
  args.ids = rows.tokens;
  args.width = config_.width;
  args.table = model.weights.Matrix(layout_->embedding(), config_.width);
  args.scale = EmbeddingScale(model.weights);
  if (config_.learned_positions) {
    args.position_table = model.weights.Matrix(layout_->position_embedding(), config_.width);
    args.positions = rows.positions.data();
  }
  args.y = x;
  args.y_stride = config_.width;
  kernels::Embedding(args, team_);
}

// The layer's input is where Input says; `out` may be the same place when nothing is kept.
void Decoder::Layer(const DecoderModel& model, const DecoderRows& rows, int64_t layer,
                    Activations& a, float* out) {
  const ModelConfig& c = config_;
  const LayerLayout& weights = layout_->layers()[layer];
  const auto count = static_cast<int64_t>(rows.tokens.size());
  const float* x = Input(layer);
  Attend(model, rows, layer, x, a);
  float* projected = c.sandwich_norm ? a.projected.data() : a.middle.data();
  ApplyLinear(model, layer, LayerLinear::kAttentionOut, a.attention.data(), c.query_width(), count,
              projected, c.width, team_);
  if (c.sandwich_norm) {
    Norm(NormOf(model, weights.post_attention_norm, projected, count, c.width, c.width),
         a.middle.data(), c.width);
  }
  kernels::AddRows(a.middle.data(), x, count * c.width, team_);

  Norm(NormOf(model, weights.mlp_norm, a.middle.data(), count, c.width, c.width), normed_.data(),
       c.width);
  const int64_t wide = weights.gate_up.out;
  ApplyLinear(model, layer, LayerLinear::kGateUp, normed_.data(), c.width, count, a.gate_up.data(),
              wide, team_);
  kernels::FeedForward(FeedForwardOf(a, count), active_.data(), c.intermediate, team_);
  float* down = c.sandwich_norm ? a.down.data() : out;
  ApplyLinear(model, layer, LayerLinear::kDown, active_.data(), c.intermediate, count, down,
              c.width, team_);
  if (c.sandwich_norm) {
    Norm(NormOf(model, weights.post_mlp_norm, down, count, c.width, c.width), out, c.width);
  }
  kernels::AddRows(out, a.middle.data(), count * c.width, team_);
}

kernels::FeedForwardArgs Decoder::FeedForwardOf(const Activations& a, int64_t rows) const {
  const int64_t wide = config_.gated ? 2 * config_.intermediate : config_.intermediate;
  kernels::FeedForwardArgs args;
  args.activation = config_.activation;
  args.rows = rows;
  args.width = config_.intermediate;
  args.gate = a.gate_up.data();
  args.gate_stride = wide;
  if (config_.gated) {
    args.up = a.gate_up.data() + config_.intermediate;
    args.up_stride = wide;
  }
  return args;
}

// Input of the layer to a.attention.
void Decoder::Attend(const DecoderModel& model, const DecoderRows& rows, int64_t layer,
                     const float* x, Activations& a) {
  const ModelConfig& c = config_;
  const auto count = static_cast<int64_t>(rows.tokens.size());
  Norm(NormOf(model, layout_->layers()[layer].attention_norm, x, count, c.width, c.width),
       normed_.data(), c.width);
  ApplyLinear(model, layer, LayerLinear::kQkv, normed_.data(), c.width, count, a.qkv.data(),
              c.qkv_width(), team_);
  if (c.qk_norm) NormHeads(model, layer, count, a);
  if (!c.learned_positions) Rotate(rows, layer, a.qkv.data(), /*inverse=*/false);
  FillSequences(rows, layer, a);
  kernels::AttentionForward(AttentionArgs(rows, layer, a), team_);
}

// RMSNorm of every query and key head, in place; what was there goes to a.qk for the backward.
void Decoder::NormHeads(const DecoderModel& model, int64_t layer, int64_t rows, Activations& a) {
  const ModelConfig& c = config_;
  const LayerLayout& weights = layout_->layers()[layer];
  const int64_t stride = c.qkv_width(), kept = c.query_width() + c.kv_width();
  if (a.qk.size() > 0) {
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(a.qk.data() + row * kept, a.qkv.data() + row * stride, kept * sizeof(float));
    }
  }
  for (int64_t head = 0; head < c.heads + c.kv_heads; ++head) {
    float* x = a.qkv.data() + head * c.head_dim;
    const NormWeights& norm = head < c.heads ? weights.q_norm : weights.k_norm;
    kernels::RmsNorm(NormOf(model, norm, x, rows, c.head_dim, stride), x, stride, team_);
  }
}

void Decoder::GrowTables(const DecoderRows& rows) {
  if (config_.learned_positions || rows.positions.empty()) return;
  const int64_t needed = *std::max_element(rows.positions.begin(), rows.positions.end()) + 1;
  if (needed <= table_positions_) return;
  table_positions_ = std::max(needed, std::min(2 * table_positions_, config_.max_positions));
  const size_t size = Floats(table_positions_, config_.head_dim / 2);
  const auto fill = [&](const RopeConfig& rope, core::Buffer<float>& cos,
                        core::Buffer<float>& sin) {
    cos = core::Buffer<float>(size);
    sin = core::Buffer<float>(size);
    kernels::RopeTables(InverseFrequencies(rope, config_.head_dim), table_positions_, 1.0f,
                        cos.data(), sin.data());
  };
  fill(config_.rope, cos_, sin_);
  if (config_.sliding_window > 0) fill(config_.local_rope, local_cos_, local_sin_);
}

void Decoder::Rotate(const DecoderRows& rows, int64_t layer, float* qkv, bool inverse) {
  const bool local = config_.window(layer) > 0;
  kernels::RopeArgs args;
  args.rows = static_cast<int64_t>(rows.tokens.size());
  args.heads = config_.heads + config_.kv_heads;  // keys lie behind the queries
  args.head_dim = config_.head_dim;
  args.x = qkv;
  args.x_stride = config_.qkv_width();
  args.positions = rows.positions.data();
  args.cos = local ? local_cos_.data() : cos_.data();
  args.sin = local ? local_sin_.data() : sin_.data();
  args.inverse = inverse;
  kernels::Rope(args, team_);
}

// The sequences as attention sees them; new keys and values go to the caches where there are some.
void Decoder::FillSequences(const DecoderRows& rows, int64_t layer, Activations& a) {
  const ModelConfig& c = config_;
  const int64_t stride = c.qkv_width(), kv = c.kv_width();
  attention_sequences_.clear();
  for (const DecoderSequence& sequence : rows.sequences) {
    kernels::AttentionSequence entry{
        .row = sequence.row, .queries = sequence.rows, .first_position = sequence.first_position};
    const float* k = a.qkv.data() + sequence.row * stride + c.query_width();
    entry.k = k;
    entry.v = k + kv;
    if (sequence.cache != nullptr) {
      const int64_t end = sequence.first_position + sequence.rows;
      PAWL_CHECK_LE(end, sequence.cache->capacity(), "positions of a key/value cache");
      for (int64_t i = 0; i < sequence.rows; ++i) {
        const int64_t position = sequence.first_position + i;
        std::memcpy(sequence.cache->k(layer) + position * kv, k + i * stride, kv * sizeof(float));
        std::memcpy(sequence.cache->v(layer) + position * kv, k + i * stride + kv,
                    kv * sizeof(float));
      }
      entry.k = sequence.cache->k(layer);
      entry.v = sequence.cache->v(layer);
    }
    attention_sequences_.push_back(entry);
  }
}

kernels::AttentionForwardArgs Decoder::AttentionArgs(const DecoderRows& rows, int64_t layer,
                                                     Activations& a) {
  const ModelConfig& c = config_;
  kernels::AttentionForwardArgs args;
  args.shape.heads = c.heads;
  args.shape.kv_heads = c.kv_heads;
  args.shape.head_dim = c.head_dim;
  args.shape.scale = static_cast<float>(
      c.attention_scale > 0 ? c.attention_scale : 1 / std::sqrt(static_cast<double>(c.head_dim)));
  args.shape.window = c.window(layer);
  args.sequences = attention_sequences_;
  args.q = a.qkv.data();
  args.q_stride = c.qkv_width();
  const bool cached = !rows.sequences.empty() && rows.sequences.front().cache != nullptr;
  args.kv_stride = cached ? c.kv_width() : c.qkv_width();
  args.out = a.attention.data();
  args.out_stride = c.query_width();
  args.log_sum = keep_ == KeepActivations::kNothing ? nullptr : a.log_sum.data();
  return args;
}

}  // namespace pawl::nn
