#include "nn/trained_parameters.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"
#include "kernels/adamw.h"
#include "nn/lora_files.h"

namespace pawl::nn {
namespace {
constexpr int64_t kZeroBlock = int64_t{1} << 18;

void RequireFinite(std::span<const float> values, const std::string& name,
                   const std::string& source) {
  if (AllFinite(values)) return;
  throw UserError({.what = fmt::format("'{}' holds NaN or infinity", name),
                   .where = source,
                   .expected = "finite weights",
                   .hint = "the run that wrote them diverged"});
}
}  // namespace

bool AllFinite(std::span<const float> values) {
  uint32_t bad = 0;  // no early end: a loop that the compiler makes wide
  for (const float x : values) {
    bad |= static_cast<uint32_t>((std::bit_cast<uint32_t>(x) & 0x7f800000u) == 0x7f800000u);
  }
  return bad == 0;
}

std::unique_ptr<LoraWeights> FillModel(DecoderWeights& weights, const FillWeights& fill,
                                       const LanguageTrainerOptions& options) {
  fill(weights.master());
  const DecoderLayout& layout = weights.layout();
  for (const ModelParameter& parameter : layout.parameters()) {
    RequireFinite(weights.master().subspan(parameter.offset, parameter.count), parameter.name,
                  "the model's weights");
  }
  if (!options.adapter_folder.empty()) {
    auto lora = std::make_unique<LoraWeights>(
        ReadAdapter(options.adapter_folder, layout, weights.master()));
    for (const LoraAdapter& adapter : lora->layout().adapters()) {
      const auto all = std::span<const float>(lora->values());
      RequireFinite(all.subspan(adapter.a, adapter.rank * adapter.in), adapter.module + ".lora_A",
                    options.adapter_folder);
      RequireFinite(all.subspan(adapter.b, adapter.rank * adapter.out), adapter.module + ".lora_B",
                    options.adapter_folder);
    }
    return lora;
  }
  if (!options.lora) return nullptr;
  auto lora = std::make_unique<LoraWeights>(std::make_shared<LoraLayout>(layout, *options.lora));
  InitializeLora(lora->layout(), options.seed, lora->values());
  return lora;
}

TrainedParameters::TrainedParameters(DecoderWeights& weights, LoraWeights* lora, bool weights_only)
    : decoder_(weights),
      lora_(lora),
      layout_(weights.layout(), lora == nullptr ? nullptr : &lora->layout()) {
  if (weights_only) return;
  gradient_ = core::Buffer<float>(layout_.size);
  m_ = core::Buffer<float>(layout_.size);
  v_ = core::Buffer<float>(layout_.size);
  if (lora_ == nullptr) return;
  for (const TrainedRange& range : layout_.ranges) {
    if (!range.in_adapter) saved_gradients_[range.weight] = gradient_.data() + range.state;
  }
}

DecoderGradients TrainedParameters::gradients() const {
  auto* gradient = const_cast<float*>(gradient_.data());
  if (lora_ == nullptr) return {.weights = gradient};
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
  for (const TrainedRange& range : layout_.ranges) {
    gradients.push_back({range.name, {gradient_.data() + range.state, range.count}});
  }
  return gradients;
}

std::string TrainedParameters::NonFiniteGradient() const {
  for (const TrainedRange& range : layout_.ranges) {
    const float* g = gradient_.data() + range.state;
    if (!std::all_of(g, g + range.count, [](float x) { return std::isfinite(x); }))
      return range.name;
  }
  return "";
}

void TrainedParameters::Step(const AdamWSettings& settings, float scale, int64_t step,
                             std::span<uint16_t> rounded, kernels::Team& team) {
  for (const TrainedRange& range : layout_.ranges) {
    kernels::AdamWArgs args;
    args.learning_rate = static_cast<float>(settings.learning_rate);
    args.beta1 = static_cast<float>(settings.beta1);
    args.beta2 = static_cast<float>(settings.beta2);
    args.epsilon = static_cast<float>(settings.epsilon);
    args.weight_decay = range.decays() ? static_cast<float>(settings.weight_decay) : 0;
    args.grad_scale = scale;
    args.step = step;
    args.g = gradient_.data() + range.state;
    args.m = m_.data() + range.state;
    args.v = v_.data() + range.state;
    args.p = WeightOf(range);
    if (!rounded.empty() && !range.in_adapter) args.bf16 = rounded.data() + range.weight;
    args.count = static_cast<int64_t>(range.count);
    kernels::AdamW(args, team);
  }
}

void TrainedParameters::Save(core::ArrayMap& out) const {
  for (const TrainedRange& range : layout_.ranges) {
    const auto put = [&](const char* what, const float* values) {
      out.PutView<float>(std::string(what) + range.name, {values, range.count}, range.shape);
    };
    put(kWeightPrefix, WeightOf(range));
    put(kMomentPrefix, m_.data() + range.state);
    put(kSquaresPrefix, v_.data() + range.state);
  }
}

void TrainedParameters::Load(const core::ArrayMap& in) {
  for (const TrainedRange& range : layout_.ranges) {
    in.CopyTo<float>(kWeightPrefix + range.name, {WeightOf(range), range.count});
    if (m_.size() == 0) continue;
    in.CopyTo<float>(kMomentPrefix + range.name, {m_.data() + range.state, range.count});
    in.CopyTo<float>(kSquaresPrefix + range.name, {v_.data() + range.state, range.count});
  }
}

}  // namespace pawl::nn
