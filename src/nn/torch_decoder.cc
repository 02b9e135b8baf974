#include "nn/torch_decoder.h"

#include <torch/torch.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <vector>

#include "nn/shape.h"

namespace pawl::nn {

struct TorchDecoder::Batch {
  TorchSequences sequences;
  TorchSequences::Rotation rotation, local_rotation;  // of layers that see everything, of sliding
  torch::Tensor window_mask;                          // undefined where no window is shorter
};

namespace {
using torch::Tensor;

Tensor Activate(kernels::FeedForwardActivation activation, const Tensor& x) {
  switch (activation) {
    case kernels::FeedForwardActivation::kSilu:
      return at::silu(x);
    case kernels::FeedForwardActivation::kGeluTanh:
      return at::gelu(x, "tanh");
    case kernels::FeedForwardActivation::kGelu:
      return at::gelu(x);
  }
  throw Error("no such activation");
}

void CheckTokens(std::span<const int32_t> tokens, int64_t vocab) {
  for (const int32_t token : tokens) {
    PAWL_CHECK(token >= 0 && token < vocab, "token {} of a vocabulary of {}", token, vocab);
  }
}

using BlockFunction = std::function<Tensor(const Tensor&)>;
struct BlockHolder : torch::CustomClassHolder {
  explicit BlockHolder(BlockFunction function) : block(std::move(function)) {}
  BlockFunction block;
};

// Runs a block without recording it, and once more, recorded, when its gradient is wanted (Chen et
// al. 2016). The block's parameters are leaves that the inner backward reaches by itself.
class CheckpointedBlock : public torch::autograd::Function<CheckpointedBlock> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x,
                        const BlockFunction& block) {
    context->save_for_backward({x});
    context->saved_data["block"] =
        c10::IValue::make_capsule(c10::make_intrusive<BlockHolder>(block));
    return block(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto holder =
        c10::static_intrusive_pointer_cast<BlockHolder>(context->saved_data["block"].toCapsule());
    const Tensor x = context->get_saved_variables()[0].detach().requires_grad_(true);
    torch::AutoGradMode record(true);
    holder->block(x).backward(gradients[0]);
    return {x.grad(), Tensor()};
  }
};

}  // namespace

TorchDecoder::TorchDecoder(const DecoderLayout& layout, const TorchDecoderSettings& settings,
                           std::shared_ptr<const LoraLayout> lora)
    : layout_(layout),
      settings_(settings),
      lora_(std::move(lora)),
      trained_(layout_, lora_.get()),
      master_(settings.compute == at::kDouble ? at::kDouble : at::kFloat) {
  PAWL_CHECK(settings.compute == at::kFloat || settings.compute == at::kBFloat16 ||
             settings.compute == at::kDouble);
  const ModelConfig& c = layout_.config();
  const auto options = at::TensorOptions(settings.device).dtype(master_);
  weights_ = at::zeros({static_cast<int64_t>(layout_.size())}, options);
  if (settings_.learns) gradient_ = at::zeros({static_cast<int64_t>(trained_.size)}, options);
  if (lora_ != nullptr) {
    adapter_ = at::zeros({static_cast<int64_t>(lora_->size())}, options);
    AddAdapterLeaves();
  }
  AddLeaf(layout_.embedding(), {c.vocab, c.width});
  if (c.learned_positions) AddLeaf(layout_.position_embedding(), {c.max_positions, c.width});
  for (const LayerLayout& layer : layout_.layers()) {
    for (const NormWeights& norm :
         {layer.attention_norm, layer.mlp_norm, layer.post_attention_norm, layer.post_mlp_norm}) {
      AddLeaves(norm, c.width);
    }
    for (const NormWeights& norm : {layer.q_norm, layer.k_norm}) AddLeaves(norm, c.head_dim);
    for (const Projection& projection :
         {layer.qkv, layer.attention_out, layer.gate_up, layer.down}) {
      AddLeaves(projection);
    }
  }
  AddLeaves(layout_.final_norm(), c.width);
  if (!layout_.tied()) AddLeaf(layout_.head(), {c.vocab, c.width});
  if (!c.learned_positions) {
    const auto frequencies = [&](const RopeConfig& rope) {
      return at::tensor(InverseFrequencies(rope, c.head_dim)).to(options);
    };
    inv_freq_ = frequencies(c.rope);
    if (c.sliding_window > 0) local_inv_freq_ = frequencies(c.local_rope);
  }
}

// state: where its gradient lies; kNone: it is frozen.
Tensor TorchDecoder::MakeLeaf(const Tensor& flat, size_t offset, std::vector<int64_t> shape,
                              size_t state) const {
  const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies());
  const auto part = [&](const Tensor& from, size_t at) {
    return from.narrow(0, static_cast<int64_t>(at), count).view(shape).detach();
  };
  Tensor leaf = part(flat, offset);
  if (!settings_.learns || state == Projection::kNone) return leaf;
  leaf.requires_grad_(true);
  leaf.mutable_grad() = part(gradient_, state);
  return leaf;
}

void TorchDecoder::AddLeaf(size_t offset, std::vector<int64_t> shape) {
  size_t state = offset;
  if (lora_ != nullptr) {
    const auto& ranges = trained_.ranges;
    const auto saved = std::find_if(ranges.begin(), ranges.end(), [&](const TrainedRange& range) {
      return !range.in_adapter && range.weight == offset;
    });
    state = saved == ranges.end() ? Projection::kNone : saved->state;
  }
  const Tensor leaf = MakeLeaf(weights_, offset, std::move(shape), state);
  PAWL_CHECK(leaves_.emplace(offset, leaf).second);
}

void TorchDecoder::AddAdapterLeaves() {
  for (const TrainedRange& range : trained_.ranges) {
    if (!range.in_adapter) continue;
    const Tensor leaf = MakeLeaf(adapter_, range.weight, range.shape, range.state);
    PAWL_CHECK(adapter_leaves_.emplace(range.weight, leaf).second);
  }
}

void TorchDecoder::AddLeaves(const NormWeights& norm, int64_t width) {
  if (!norm.present()) return;
  AddLeaf(norm.weight, {width});
  if (norm.bias != Projection::kNone) AddLeaf(norm.bias, {width});
}

void TorchDecoder::AddLeaves(const Projection& projection) {
  AddLeaf(projection.weight, {projection.out, projection.in});
  if (projection.bias != Projection::kNone) AddLeaf(projection.bias, {projection.out});
}

const Tensor& TorchDecoder::Leaf(size_t offset) const { return leaves_.at(offset); }

void TorchDecoder::SetWeights(std::span<const float> flat) {
  PAWL_CHECK_EQ(flat.size(), layout_.size());
  torch::NoGradGuard no_grad;
  weights_.copy_(at::from_blob(const_cast<float*>(flat.data()), weights_.sizes(), at::kFloat));
}

void TorchDecoder::CopyWeights(std::span<float> flat) const {
  PAWL_CHECK_EQ(flat.size(), layout_.size());
  at::from_blob(flat.data(), weights_.sizes(), at::kFloat).copy_(weights_);
}

void TorchDecoder::CopyGradient(std::span<float> flat) const {
  PAWL_CHECK_EQ(flat.size(), trained_.size);
  at::from_blob(flat.data(), gradient_.sizes(), at::kFloat).copy_(gradient_);
}

std::shared_ptr<const TorchDecoder::Batch> TorchDecoder::MakeBatch(
    const TokenSequences& sequences) const {
  torch::NoGradGuard no_grad;
  const ModelConfig& c = layout_.config();
  CheckTokens(sequences.tokens, c.vocab);
  Batch batch{.sequences = TorchSequences(sequences, settings_.device)};
  if (c.learned_positions) PAWL_CHECK_LE(batch.sequences.longest(), c.max_positions);
  if (inv_freq_.defined()) batch.rotation = batch.sequences.Turn(inv_freq_);
  if (local_inv_freq_.defined()) batch.local_rotation = batch.sequences.Turn(local_inv_freq_);
  batch.window_mask = batch.sequences.WindowMask(c.sliding_window);
  return std::make_shared<const Batch>(std::move(batch));
}

LmHeadSettings TorchDecoder::HeadSettings(double inverse_temperature) const {
  return {.compute = settings_.compute,
          .inverse_temperature = inverse_temperature,
          .soft_cap = layout_.config().logit_soft_cap,
          .chunk_rows = settings_.head_chunk_rows};
}

Tensor TorchDecoder::Linear(const Projection& projection, const Tensor& x) const {
  // no copies where the compute type is the master's
  std::optional<Tensor> bias;
  if (projection.bias != Projection::kNone) bias = Leaf(projection.bias).to(settings_.compute);
  const Tensor y =
      at::linear(x.to(settings_.compute), Leaf(projection.weight).to(settings_.compute), bias);
  const Tensor delta = Adapters(projection, x);
  return delta.defined() ? y + delta.to(y.scalar_type()) : y;
}

// What the projection's adapters add to its outputs, scale (x A^T) B^T each on its own, in the
// master type as on the CPU kernels; undefined without one.
Tensor TorchDecoder::Adapters(const Projection& projection, const Tensor& x) const {
  if (lora_ == nullptr) return {};
  const Tensor input = x.to(master_);
  std::vector<Tensor> parts;
  int64_t done = 0;  // outputs
  const auto fill_up_to = [&](int64_t end) {
    if (end > done) parts.push_back(at::zeros({x.size(0), end - done}, input.options()));
    done = end;
  };
  for (const LoraAdapter& adapter :
       lora_->Within(projection.weight, static_cast<size_t>(projection.out * projection.in))) {
    fill_up_to(static_cast<int64_t>(adapter.weight - projection.weight) / projection.in);
    const Tensor z = at::linear(input, adapter_leaves_.at(adapter.a));
    parts.push_back(at::linear(z, adapter_leaves_.at(adapter.b)) * adapter.scale);
    done += adapter.out;
  }
  if (parts.empty()) return {};
  fill_up_to(projection.out);
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

// Over the last dimension, in the master type.
Tensor TorchDecoder::Norm(const NormWeights& norm, const Tensor& x) const {
  const ModelConfig& c = layout_.config();
  const Tensor& weight = Leaf(norm.weight);
  if (c.norm == NormKind::kLayer) {
    return at::layer_norm(x.to(master_), weight.sizes(), weight, Leaf(norm.bias), c.norm_epsilon);
  }
  return at::rms_norm(x.to(master_), weight.sizes(), c.norm_plus_one ? 1 + weight : weight,
                      c.norm_epsilon);
}

// x [S, heads, K]: element i of a head's first half turns with element i of its second half.
Tensor TorchDecoder::Rotated(const Tensor& x, bool local, const Batch& batch) const {
  if (!inv_freq_.defined()) return x;
  const auto& [cos, sin] = local ? batch.local_rotation : batch.rotation;
  const auto halves = x.to(master_).chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

Tensor TorchDecoder::Embed(const Batch& batch) const {
  const ModelConfig& c = layout_.config();
  const bool bfloat16 = settings_.compute == at::kBFloat16;
  // tables are rounded as the matrices are: what is trained is the model that is served
  const auto lookup = [&](size_t table, const Tensor& rows) {
    const Tensor y = at::embedding(Leaf(table), rows);
    return bfloat16 ? y.to(at::kBFloat16).to(master_) : y;
  };
  Tensor x = lookup(layout_.embedding(), batch.sequences.ids());
  if (c.embedding_scale != 1) {
    Tensor scale = at::scalar_tensor(c.embedding_scale, at::kFloat);
    if (bfloat16) scale = scale.to(at::kBFloat16);
    x = x * scale.to(master_).item<double>();
  }
  if (c.learned_positions) {
    x = x + lookup(layout_.position_embedding(), batch.sequences.positions());
  }
  return x;
}

Tensor TorchDecoder::Attention(int64_t layer, const Tensor& x, const Batch& batch) const {
  const ModelConfig& c = layout_.config();
  const LayerLayout& at_layer = layout_.layers()[static_cast<size_t>(layer)];
  const int64_t window = c.window(layer);
  const auto parts =
      Linear(at_layer.qkv, x).split_with_sizes({c.query_width(), c.kv_width(), c.kv_width()}, 1);
  // one of q and k: heads apart, normed, turned, rounded
  const auto prepared = [&](const Tensor& part, const NormWeights& norm) {
    Tensor heads = part.unflatten(1, {-1, c.head_dim});
    if (norm.present()) heads = Norm(norm, heads);
    return Rotated(heads, window > 0, batch).to(settings_.compute);
  };
  const Tensor q = prepared(parts[0], at_layer.q_norm), k = prepared(parts[1], at_layer.k_norm);
  const Tensor v = parts[2].unflatten(1, {-1, c.head_dim});
  const Tensor y = batch.sequences.Attention(q, k, v, window > 0 ? batch.window_mask : Tensor(),
                                             c.attention_scale);
  return Linear(at_layer.attention_out, y);
}

Tensor TorchDecoder::FeedForward(const LayerLayout& layer, const Tensor& x) const {
  const ModelConfig& c = layout_.config();
  Tensor hidden = Linear(layer.gate_up, x);
  if (c.gated) {
    const auto halves = hidden.chunk(2, 1);
    hidden = Activate(c.activation, halves[0]) * halves[1];
  } else {
    hidden = Activate(c.activation, hidden);
  }
  return Linear(layer.down, hidden);
}

// x [S, D], the residual stream in the master type.
Tensor TorchDecoder::Block(int64_t layer, const Tensor& x, const Batch& batch) const {
  const LayerLayout& at_layer = layout_.layers()[static_cast<size_t>(layer)];
  Tensor y = Attention(layer, Norm(at_layer.attention_norm, x), batch);
  if (at_layer.post_attention_norm.present()) y = Norm(at_layer.post_attention_norm, y);
  const Tensor middle = x + y;
  y = FeedForward(at_layer, Norm(at_layer.mlp_norm, middle));
  if (at_layer.post_mlp_norm.present()) y = Norm(at_layer.post_mlp_norm, y);
  return middle + y;
}

Tensor TorchDecoder::Hidden(const TokenSequences& sequences) const {
  const auto batch = MakeBatch(sequences);
  Tensor x = Embed(*batch);
  for (int64_t layer = 0; layer < layout_.config().layers; ++layer) {
    if (settings_.checkpoint && torch::GradMode::is_enabled()) {
      // below the first adapter nothing learns, but a block is only recorded where its input does
      if (!x.requires_grad()) x.requires_grad_(true);
      const BlockFunction block = [this, layer, batch](const Tensor& input) {
        return Block(layer, input, *batch);
      };
      x = CheckpointedBlock::apply(x, block);
    } else {
      x = Block(layer, x, *batch);
    }
  }
  return Norm(layout_.final_norm(), x);
}

Tensor TorchDecoder::Logits(const Tensor& hidden) const {
  const LmHeadRows rows{.hidden = hidden,
                        .weight = Leaf(layout_.head()),
                        .targets = at::zeros({hidden.size(0)}, hidden.options().dtype(at::kLong))};
  return LmHeadLogits(rows, HeadSettings());
}

LmHeadRows TorchDecoder::TargetRows(const TokenSequences& sequences, const Tensor& hidden) const {
  const auto is_target = sequences.is_target;
  PAWL_CHECK_EQ(is_target.size(), sequences.tokens.size());
  PAWL_CHECK_EQ(static_cast<size_t>(hidden.size(0)), sequences.tokens.size());
  for (size_t i = 0; i + 1 < sequences.starts.size(); ++i) {
    PAWL_CHECK(!is_target[static_cast<size_t>(sequences.starts[i])],
               "the first token of sequence {} is a target, but nothing precedes it", i);
  }
  std::vector<int64_t> rows;
  std::vector<int32_t> targets;
  for (size_t t = 0; t < is_target.size(); ++t) {
    if (!is_target[t]) continue;
    rows.push_back(static_cast<int64_t>(t) - 1);
    targets.push_back(sequences.tokens[t]);
  }
  return HeadRows(hidden, rows, targets);
}

LmHeadRows TorchDecoder::HeadRows(const Tensor& hidden, std::span<const int64_t> rows,
                                  std::span<const int32_t> targets) const {
  PAWL_CHECK_EQ(rows.size(), targets.size());
  CheckTokens(targets, layout_.config().vocab);
  const auto on_device = [&](const auto& values) {
    return IndexTensor({values.begin(), values.end()}, settings_.device);
  };
  return {.hidden = hidden.index_select(0, on_device(rows)),
          .weight = Leaf(layout_.head()),
          .targets = on_device(targets)};
}

LmHeadResult TorchDecoder::Backward(const LmHeadRows& rows, const kernels::TokenLoss& loss,
                                    double inverse_temperature) {
  Tensor dhidden;
  Tensor dweight = rows.weight.grad();  // undefined where the head is frozen
  const LmHeadResult result = LmHeadLoss(rows, HeadSettings(inverse_temperature), loss, &dhidden,
                                         dweight.defined() ? &dweight : nullptr);
  rows.hidden.backward(dhidden);
  return result;
}

LmHeadResult TorchDecoder::LogProb(const TokenSequences& sequences,
                                   double inverse_temperature) const {
  torch::NoGradGuard no_grad;
  const LmHeadRows rows = TargetRows(sequences, Hidden(sequences));
  return LmHeadLogProb(rows, HeadSettings(inverse_temperature));
}

LmHeadResult TorchDecoder::Gradient(const TokenSequences& sequences, const kernels::TokenLoss& loss,
                                    double inverse_temperature) {
  return Backward(TargetRows(sequences, Hidden(sequences)), loss, inverse_temperature);
}

double TorchDecoder::CrossEntropyGradient(const TokenSequences& sequences, double inverse_targets) {
  const auto loss = [&](int64_t, std::span<const float>, std::span<const float>,
                        std::span<float> dlog_prob, std::span<float>) {
    std::fill(dlog_prob.begin(), dlog_prob.end(), static_cast<float>(-inverse_targets));
  };
  const LmHeadResult result = Gradient(sequences, loss);
  return -result.log_prob.sum(at::kDouble).item<double>() * inverse_targets;
}

}  // namespace pawl::nn
