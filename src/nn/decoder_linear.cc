#include "nn/decoder_linear.h"

#include "kernels/logit_rows.h"
#include "kernels/norm.h"

namespace pawl::nn {
namespace {
constexpr int kSlot = 1;  // of Team::Shared: the kernels called here use 0

kernels::WeightType PackedType(ComputeType compute) {
  return compute == ComputeType::kF32 ? kernels::WeightType::kF32 : kernels::WeightType::kBF16;
}

kernels::MatrixRef Transposed(kernels::MatrixRef matrix) {
  matrix.transposed = !matrix.transposed;
  return matrix;
}

std::span<const LoraAdapter> AdaptersOf(const DecoderModel& model, const Projection& projection) {
  if (model.lora == nullptr) return {};
  return model.lora->layout().Within(projection.weight,
                                     static_cast<size_t>(projection.out * projection.in));
}

// First output of the projection that an adapter writes to.
int64_t FirstOutput(const LoraAdapter& adapter, const Projection& projection) {
  return static_cast<int64_t>(adapter.weight - projection.weight) / projection.in;
}

// z [rows, r] = x A^T.
void ProjectDown(const LoraWeights& lora, const LoraAdapter& adapter, const float* x,
                 int64_t x_stride, int64_t rows, float* z, kernels::Team& team) {
  kernels::Gemm(
      {.m = rows,
       .n = adapter.rank,
       .k = adapter.in,
       .a = {.f32 = x, .stride = x_stride},
       .b = {.f32 = lora.values().data() + adapter.a, .stride = adapter.in, .transposed = true},
       .c = z,
       .c_stride = adapter.rank},
      team);
}

void ApplyAdapter(const LoraWeights& lora, const LoraAdapter& adapter, const float* x,
                  int64_t x_stride, int64_t rows, float* y, int64_t y_stride, kernels::Team& team) {
  float* z = team.Shared(static_cast<size_t>(rows * adapter.rank), kSlot);
  ProjectDown(lora, adapter, x, x_stride, rows, z, team);
  kernels::Gemm(
      {.m = rows,
       .n = adapter.out,
       .k = adapter.rank,
       .a = {.f32 = z, .stride = adapter.rank},
       .b = {.f32 = lora.values().data() + adapter.b, .stride = adapter.rank, .transposed = true},
       .c = y,
       .c_stride = y_stride,
       .accumulate = true,
       .alpha = adapter.scale},
      team);
}

// dy: of the adapter's own outputs.
void BackwardAdapter(const LoraWeights& lora, const LoraAdapter& adapter,
                     const LinearGradArgs& args, const float* dy, float* gradient,
                     kernels::Team& team) {
  const float* a = lora.values().data() + adapter.a;
  const float* b = lora.values().data() + adapter.b;
  const auto floats = static_cast<size_t>(args.rows * adapter.rank);
  float* z = team.Shared(2 * floats, kSlot);
  float* dz = z + floats;
  kernels::Gemm({.m = args.rows,
                 .n = adapter.rank,
                 .k = adapter.out,
                 .a = {.f32 = dy, .stride = args.dy_stride},
                 .b = {.f32 = b, .stride = adapter.rank},
                 .c = dz,
                 .c_stride = adapter.rank,
                 .alpha = adapter.scale},
                team);
  if (gradient != nullptr) {
    ProjectDown(lora, adapter, args.x, args.x_stride, args.rows, z, team);
    kernels::Gemm({.m = adapter.out,
                   .n = adapter.rank,
                   .k = args.rows,
                   .a = {.f32 = dy, .stride = args.dy_stride, .transposed = true},
                   .b = {.f32 = z, .stride = adapter.rank},
                   .c = gradient + adapter.b,
                   .c_stride = adapter.rank,
                   .accumulate = true,
                   .alpha = adapter.scale},
                  team);
    kernels::Gemm({.m = adapter.rank,
                   .n = adapter.in,
                   .k = args.rows,
                   .a = {.f32 = dz, .stride = adapter.rank, .transposed = true},
                   .b = {.f32 = args.x, .stride = args.x_stride},
                   .c = gradient + adapter.a,
                   .c_stride = adapter.in,
                   .accumulate = true},
                  team);
  }
  if (args.dx != nullptr) {
    kernels::Gemm({.m = args.rows,
                   .n = adapter.in,
                   .k = adapter.rank,
                   .a = {.f32 = dz, .stride = adapter.rank},
                   .b = {.f32 = a, .stride = adapter.in},
                   .c = args.dx,
                   .c_stride = args.dx_stride,
                   .accumulate = true},
                  team);
  }
}
}  // namespace

const Projection& LinearOf(const LayerLayout& layer, LayerLinear which) {
  switch (which) {
    case LayerLinear::kQkv:
      return layer.qkv;
    case LayerLinear::kAttentionOut:
      return layer.attention_out;
    case LayerLinear::kGateUp:
      return layer.gate_up;
    case LayerLinear::kDown:
      break;
  }
  return layer.down;
}

PackedDecoder::PackedDecoder(const DecoderWeights& weights, kernels::Team& team) {
  const DecoderLayout& layout = weights.layout();
  const auto type = PackedType(weights.compute());
  for (const LayerLayout& layer : layout.layers()) {
    for (int which = 0; which < kLayerLinears; ++which) {
      const Projection& p = LinearOf(layer, static_cast<LayerLinear>(which));
      layers_.emplace_back(type, p.out, p.in, weights.Matrix(p.weight, p.in), team);
    }
  }
  const int64_t width = layout.config().width;
  head_ = kernels::PackedWeight(type, layout.config().vocab, width,
                                weights.Matrix(layout.head(), width), team);
}

void ApplyLinear(const DecoderModel& model, int64_t layer, LayerLinear which, const float* x,
                 int64_t x_stride, int64_t rows, float* y, int64_t y_stride, kernels::Team& team) {
  const DecoderWeights& weights = model.weights;
  const Projection& p = LinearOf(weights.layout().layers()[layer], which);
  const float* bias = weights.Vector(p.bias);
  if (model.packed != nullptr) {
    kernels::Linear(
        model.packed->layer(layer, which),
        {.rows = rows, .x = x, .x_stride = x_stride, .y = y, .y_stride = y_stride, .bias = bias},
        team);
  } else {
    kernels::Gemm({.m = rows,
                   .n = p.out,
                   .k = p.in,
                   .a = weights.Input(x, x_stride),
                   .b = Transposed(weights.Matrix(p.weight, p.in)),
                   .c = y,
                   .c_stride = y_stride,
                   .bias = bias},
                  team);
  }
  for (const LoraAdapter& adapter : AdaptersOf(model, p)) {
    ApplyAdapter(*model.lora, adapter, x, x_stride, rows, y + FirstOutput(adapter, p), y_stride,
                 team);
  }
}

void HeadLogits(const DecoderModel& model, const float* hidden, int64_t rows, float* logits,
                kernels::Team& team) {
  const DecoderWeights& weights = model.weights;
  const int64_t width = weights.config().width, vocab = weights.config().vocab;
  if (model.packed != nullptr) {
    kernels::Linear(model.packed->head(),
                    {.rows = rows, .x = hidden, .x_stride = width, .y = logits, .y_stride = vocab},
                    team);
  } else {
    kernels::Gemm({.m = rows,
                   .n = vocab,
                   .k = width,
                   .a = weights.Input(hidden, width),
                   .b = Transposed(weights.Matrix(weights.layout().head(), width)),
                   .c = logits,
                   .c_stride = vocab},
                  team);
  }
  const auto cap = static_cast<float>(weights.config().logit_soft_cap);
  if (cap == 0) return;
  kernels::ScaleLogits(
      {.rows = rows, .vocab = vocab, .f32 = logits, .stride = vocab, .soft_cap = cap}, team);
}

void BackwardLinear(const DecoderModel& model, int64_t layer, LayerLinear which,
                    const LinearGradArgs& args, const DecoderGradients& gradients,
                    kernels::Team& team) {
  const DecoderWeights& weights = model.weights;
  const Projection& p = LinearOf(weights.layout().layers()[layer], which);
  if (args.dx != nullptr) {
    kernels::Gemm({.m = args.rows,
                   .n = p.in,
                   .k = p.out,
                   .a = {.f32 = args.dy, .stride = args.dy_stride},
                   .b = weights.Matrix(p.weight, p.in),
                   .c = args.dx,
                   .c_stride = args.dx_stride},
                  team);
  }
  if (gradients.weights != nullptr) {
    kernels::Gemm({.m = p.out,
                   .n = p.in,
                   .k = args.rows,
                   .a = {.f32 = args.dy, .stride = args.dy_stride, .transposed = true},
                   .b = weights.Input(args.x, args.x_stride),
                   .c = gradients.weights + p.weight,
                   .c_stride = p.in,
                   .accumulate = true},
                  team);
    if (p.bias != Projection::kNone) {
      kernels::AddColumnSums(args.dy, args.rows, p.out, args.dy_stride, gradients.weights + p.bias,
                             team);
    }
  }
  for (const LoraAdapter& adapter : AdaptersOf(model, p)) {
    BackwardAdapter(*model.lora, adapter, args, args.dy + FirstOutput(adapter, p), gradients.lora,
                    team);
  }
}

}  // namespace pawl::nn
