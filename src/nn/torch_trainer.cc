#include "nn/torch_trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "nn/micro_batch.h"
#include "nn/torch_decoder.h"
#include "nn/torch_device.h"
#include "nn/trained_parameters.h"

namespace pawl::nn {
namespace {
using torch::Tensor;

TorchDecoderSettings SettingsOf(const LanguageTrainerOptions& options, const std::string& device) {
  return {.device = CheckedDevice(device),
          .compute = options.compute == ComputeType::kF32 ? at::kFloat : at::kBFloat16,
          .checkpoint = options.checkpoint_activations,
          .learns = !options.evaluate_only};
}

// A host array as a tensor that does not own it.
Tensor HostView(std::span<const float> values) {
  return at::from_blob(const_cast<float*>(values.data()), {static_cast<int64_t>(values.size())},
                       at::kFloat);
}

// What the loss is told where nobody wants the entropy, as kernels/lm_head.h does: zeros in, and
// nothing is taken from dentropy.
kernels::TokenLoss WithoutEntropy(const kernels::TokenLoss& loss) {
  return [&loss](int64_t first, std::span<const float> log_prob, std::span<const float>,
                 std::span<float> dlog_prob, std::span<float>) {
    const std::vector<float> zeros(log_prob.size());
    std::vector<float> unused(log_prob.size());
    loss(first, log_prob, zeros, dlog_prob, unused);
  };
}

class TorchTrainer : public LanguageTrainer {
 public:
  TorchTrainer(std::shared_ptr<const DecoderLayout> layout, const FillWeights& fill,
               const LanguageTrainerOptions& options, const std::string& device)
      : options_(options),
        device_(device),
        team_(options.threads),
        host_(layout, options.compute),
        lora_(FillModel(host_, fill, options)),
        decoder_(*layout, SettingsOf(options, device),
                 lora_ == nullptr ? nullptr : lora_->shared_layout()) {
    at::set_num_threads(options.threads);
    decoder_.SetWeights(host_.master());
    if (lora_ != nullptr) decoder_.adapter().copy_(HostView(lora_->values()));
    host_.Refresh(team_);
    if (options.evaluate_only) return;
    m_ = at::zeros_like(decoder_.gradient());
    v_ = at::zeros_like(decoder_.gradient());
  }

  void Score(const TokenSequences& batch, const TokenScores& scores) override {
    torch::NoGradGuard no_grad;
    ForEachMicroBatch(batch, host_.config(), options_.micro_batch_tokens,
                      [&](const MicroBatch& part) {
                        const auto settings = decoder_.HeadSettings(inverse_temperature());
                        Put(LmHeadScore(HeadRows(part), settings), part, scores);
                      });
  }

  void Gradient(const TokenSequences& batch, const kernels::TokenLoss& loss,
                std::span<float> log_prob, std::span<float> entropy) override {
    CheckLearns();
    decoder_.ZeroGradient();
    const bool with_entropy = options_.want_entropy || !entropy.empty();
    const kernels::TokenLoss told = with_entropy ? loss : WithoutEntropy(loss);
    ForEachMicroBatch(batch, host_.config(), options_.micro_batch_tokens,
                      [&](const MicroBatch& part) {
                        const kernels::TokenLoss shifted = [&](int64_t first, auto... spans) {
                          told(part.first_target + first, spans...);
                        };
                        Put(decoder_.Backward(HeadRows(part), shifted, inverse_temperature()), part,
                            {.log_prob = log_prob, .entropy = entropy});
                      });
  }

  std::vector<NamedGradient> Gradients() override {
    CheckLearns();
    host_gradient_.resize(trained().size);
    decoder_.CopyGradient(host_gradient_);
    std::vector<NamedGradient> gradients;
    for (const TrainedRange& range : trained().ranges) {
      gradients.push_back(
          {range.name, std::span(host_gradient_).subspan(range.state, range.count)});
    }
    return gradients;
  }

  double GradientNorm() override {
    CheckLearns();
    return at::linalg_vector_norm(decoder_.gradient(), 2, std::nullopt, false, at::kDouble)
        .item<double>();
  }

  std::string NonFiniteGradient() override {
    if (std::isfinite(GradientNorm())) return "";  // one transfer instead of one a parameter
    for (const TrainedRange& range : trained().ranges) {
      if (!at::isfinite(State(decoder_.gradient(), range)).all().item<bool>()) return range.name;
    }
    return "";
  }

  void Step(const AdamWSettings& settings, float scale, int64_t step) override {
    CheckLearns();
    torch::NoGradGuard no_grad;
    const Tensor count = at::full({}, step, m_.options());
    // as kernels/adamw.h, which takes float32: 1 - 0.999f is not 1 - 0.999
    const auto rounded = [](double x) { return static_cast<double>(static_cast<float>(x)); };
    for (const TrainedRange& range : trained().ranges) {
      // a copy: the gradient stays readable, and memory is that of the largest parameter
      Tensor gradient = State(decoder_.gradient(), range);
      if (scale != 1) gradient = gradient * scale;
      at::_fused_adamw_({Weight(range)}, {gradient}, {State(m_, range)}, {State(v_, range)}, {},
                        {count}, rounded(settings.learning_rate), rounded(settings.beta1),
                        rounded(settings.beta2),
                        range.decays() ? rounded(settings.weight_decay) : 0,
                        rounded(settings.epsilon), /*amsgrad=*/false, /*maximize=*/false);
    }
    host_is_stale_ = true;
  }

  std::span<const float> Weights() override {
    FetchWeights();
    return host_.master();
  }
  const LoraWeights* Lora() override {
    FetchWeights();
    return lora_.get();
  }

  std::vector<int32_t> Generate(std::span<const int32_t> prompt,
                                const GenerateOptions& options) override {
    FetchWeights();
    if (packed_ == nullptr) packed_ = std::make_unique<PackedDecoder>(host_, team_);
    const DecoderModel model{.weights = host_, .packed = packed_.get(), .lora = lora_.get()};
    return nn::Generate(model, prompt, options, team_);
  }

  void Save(core::ArrayMap& out) override {
    CheckLearns();
    FetchWeights();
    for (const TrainedRange& range : trained().ranges) {
      out.Put<float>(kWeightPrefix + range.name, HostWeight(range), range.shape);
      for (const auto& [prefix, flat] : Moments()) {
        const Tensor values = State(flat, range).to(at::kCPU).contiguous();
        out.Put<float>(prefix + range.name, {values.data_ptr<float>(), range.count}, range.shape);
      }
    }
  }

  void Load(const core::ArrayMap& in) override {
    torch::NoGradGuard no_grad;
    std::vector<float> values;
    for (const TrainedRange& range : trained().ranges) {
      const std::span<float> weight = HostWeight(range);
      in.CopyTo<float>(kWeightPrefix + range.name, weight);
      Weight(range).copy_(HostView(weight));
      if (options_.evaluate_only) continue;
      values.resize(range.count);
      for (const auto& [prefix, flat] : Moments()) {
        in.CopyTo<float>(prefix + range.name, std::span<float>(values));
        State(flat, range).copy_(HostView(values));
      }
    }
    RefreshHost();
  }

  std::string Description() const override {
    return fmt::format("LibTorch on {}, {}{}", device_,
                       options_.compute == ComputeType::kF32 ? "float32" : "bfloat16",
                       options_.checkpoint_activations ? ", activations recomputed" : "");
  }

 private:
  const TrainedLayout& trained() const { return decoder_.trained(); }
  double inverse_temperature() const { return double{1 / options_.temperature}; }
  void CheckLearns() const { PAWL_CHECK(!options_.evaluate_only, "made for evaluation alone"); }

  // Of a flat array of gradients or moments, and of the weights on the device: a range's part.
  static Tensor State(const Tensor& flat, const TrainedRange& range) {
    return flat.narrow(0, static_cast<int64_t>(range.state), static_cast<int64_t>(range.count));
  }
  Tensor Weight(const TrainedRange& range) {
    const Tensor& flat = range.in_adapter ? decoder_.adapter() : decoder_.weights();
    return flat.narrow(0, static_cast<int64_t>(range.weight), static_cast<int64_t>(range.count));
  }
  std::span<float> HostWeight(const TrainedRange& range) {
    const auto flat = range.in_adapter ? lora_->values() : host_.master();
    return flat.subspan(range.weight, range.count);
  }
  std::array<std::pair<const char*, Tensor>, 2> Moments() const {
    return {{{kMomentPrefix, m_}, {kSquaresPrefix, v_}}};
  }

  // The head's rows of a part after the forward pass.
  LmHeadRows HeadRows(const MicroBatch& part) const {
    std::vector<int32_t> starts;
    for (const auto& sequence : part.sequences)
      starts.push_back(static_cast<int32_t>(sequence.row));
    starts.push_back(static_cast<int32_t>(part.tokens.size()));
    const Tensor hidden = decoder_.Hidden({.tokens = part.tokens, .starts = starts});
    return decoder_.HeadRows(hidden, part.target_rows, part.targets);
  }

  static void Put(const LmHeadResult& result, const MicroBatch& part, const TokenScores& scores) {
    const auto put = [&](std::span<float> to, const Tensor& from) {
      const auto first = static_cast<size_t>(part.first_target), count = part.targets.size();
      if (!to.empty()) HostView(to.subspan(first, count)).copy_(from);
    };
    put(scores.log_prob, result.log_prob);
    put(scores.entropy, result.entropy);
    put(scores.best_log_prob, result.best_log_prob);
  }

  // Brings what has learned since to the host.
  void FetchWeights() {
    if (!host_is_stale_) return;
    for (const TrainedRange& range : trained().ranges) {
      HostView(HostWeight(range)).copy_(Weight(range));
    }
    RefreshHost();
  }
  void RefreshHost() {
    packed_.reset();
    host_.Refresh(team_);
    host_is_stale_ = false;
  }

  LanguageTrainerOptions options_;
  std::string device_;
  kernels::Team team_;
  DecoderWeights host_;
  std::unique_ptr<LoraWeights> lora_;  // on the host
  TorchDecoder decoder_;
  Tensor m_, v_;                           // [trained().size]
  bool host_is_stale_ = false;             // the device's weights went on
  std::unique_ptr<PackedDecoder> packed_;  // of the host's weights, for generation
  std::vector<float> host_gradient_;
};

}  // namespace

std::unique_ptr<LanguageTrainer> MakeTorchTrainer(std::shared_ptr<const DecoderLayout> layout,
                                                  const FillWeights& fill,
                                                  const LanguageTrainerOptions& options,
                                                  const std::string& device) {
  return std::make_unique<TorchTrainer>(std::move(layout), fill, options, device);
}

}  // namespace pawl::nn
