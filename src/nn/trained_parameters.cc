#include "nn/trained_parameters.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "kernels/adamw.h"

namespace pawl::nn {
namespace {
constexpr size_t kAlignment = 16;
constexpr int64_t kZeroBlock = int64_t{1} << 18;
}  // namespace

TrainedParameters::TrainedParameters(DecoderWeights& weights, LoraWeights* lora, bool weights_only)
    : whole_(lora == nullptr) {
  const DecoderLayout& layout = weights.layout();
  float* master = weights.master().data();
  size_t size = 0;
  if (whole_) {
    size = layout.size();
    for (const ModelParameter& p : layout.parameters()) {
      AddRange(p.name, p.shape, master + p.offset, p.count, p.offset, p.offset);
    }
  } else {
    size = lora->layout().size();
    for (const LoraAdapter& adapter : lora->layout().adapters()) {
      const std::string name = "base_model.model." + adapter.module;
      float* values = lora->values().data();
      AddRange(name + ".lora_A.weight", {adapter.rank, adapter.in}, values + adapter.a,
               static_cast<size_t>(adapter.rank * adapter.in), adapter.a, Projection::kNone);
      AddRange(name + ".lora_B.weight", {adapter.out, adapter.rank}, values + adapter.b,
               static_cast<size_t>(adapter.out * adapter.rank), adapter.b, Projection::kNone);
    }
    for (const ModelParameter* p : lora->layout().saved()) {
      size = (size + kAlignment - 1) / kAlignment * kAlignment;
      AddRange(p->name, p->shape, master + p->offset, p->count, size, p->offset);
      size += p->count;
    }
  }
  if (weights_only) return;
  gradient_ = core::Buffer<float>(size);
  m_ = core::Buffer<float>(size);
  v_ = core::Buffer<float>(size);
  if (whole_) return;
  for (const Range& range : ranges_) {
    if (range.decoder_offset != Projection::kNone) {
      saved_gradients_[range.decoder_offset] = gradient_.data() + range.state;
    }
  }
}

void TrainedParameters::AddRange(std::string name, std::vector<int64_t> shape, float* weight,
                                 size_t count, size_t state, size_t decoder_offset) {
  Range range;
  range.name = std::move(name);
  range.decays = shape.size() == 2;
  range.shape = std::move(shape);
  range.weight = weight;
  range.count = count;
  range.state = state;
  range.decoder_offset = decoder_offset;
  ranges_.push_back(std::move(range));
}

DecoderGradients TrainedParameters::gradients() const {
  auto* gradient = const_cast<float*>(gradient_.data());
  if (whole_) return {.weights = gradient};
  return {.some = &saved_gradients_, .lora = gradient};
}

void TrainedParameters::ZeroGradient(kernels::Team& team) {
  const auto size = static_cast<int64_t>(gradient_.size());
  team.Run((size + kZeroBlock - 1) / kZeroBlock, [&](int64_t block) {
    const int64_t begin = block * kZeroBlock;
    std::fill_n(gradient_.data() + begin, std::min(kZeroBlock, size - begin), 0.0f);
  });
}

double TrainedParameters::GradientSquares(kernels::Team& team) const {
  return kernels::SquaredNorm(gradient_.data(), static_cast<int64_t>(gradient_.size()), team);
}

std::vector<LanguageTrainer::NamedGradient> TrainedParameters::Gradients() const {
  std::vector<LanguageTrainer::NamedGradient> gradients;
  for (const Range& range : ranges_) {
    gradients.push_back({range.name, {gradient_.data() + range.state, range.count}});
  }
  return gradients;
}

std::string TrainedParameters::NonFiniteGradient() const {
  for (const Range& range : ranges_) {
    const float* g = gradient_.data() + range.state;
    if (!std::all_of(g, g + range.count, [](float x) { return std::isfinite(x); }))
      return range.name;
  }
  return "";
}

void TrainedParameters::Step(const AdamWSettings& settings, float scale, int64_t step,
                             std::span<uint16_t> rounded, kernels::Team& team) {
  for (const Range& range : ranges_) {
    kernels::AdamWArgs args;
    args.learning_rate = static_cast<float>(settings.learning_rate);
    args.beta1 = static_cast<float>(settings.beta1);
    args.beta2 = static_cast<float>(settings.beta2);
    args.epsilon = static_cast<float>(settings.epsilon);
    args.weight_decay = range.decays ? static_cast<float>(settings.weight_decay) : 0;
    args.grad_scale = scale;
    args.step = step;
    args.g = gradient_.data() + range.state;
    args.m = m_.data() + range.state;
    args.v = v_.data() + range.state;
    args.p = range.weight;
    if (!rounded.empty() && range.decoder_offset != Projection::kNone) {
      args.bf16 = rounded.data() + range.decoder_offset;
    }
    args.count = static_cast<int64_t>(range.count);
    kernels::AdamW(args, team);
  }
}

void TrainedParameters::Save(core::ArrayMap& out) const {
  for (const Range& range : ranges_) {
    const auto put = [&](const char* what, const float* values) {
      out.PutView<float>(std::string(what) + range.name, {values, range.count}, range.shape);
    };
    put("weight/", range.weight);
    put("adam_m/", m_.data() + range.state);
    put("adam_v/", v_.data() + range.state);
  }
}

void TrainedParameters::Load(const core::ArrayMap& in) {
  for (const Range& range : ranges_) {
    in.CopyTo<float>("weight/" + range.name, {range.weight, range.count});
    if (m_.size() == 0) continue;
    in.CopyTo<float>("adam_m/" + range.name, {m_.data() + range.state, range.count});
    in.CopyTo<float>("adam_v/" + range.name, {v_.data() + range.state, range.count});
  }
}

}  // namespace pawl::nn
