// LanguageTrainer on the CPU kernels.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "kernels/cpu_target.h"
#include "kernels/embedding.h"
#include "nn/decoder.h"
#include "nn/language_trainer.h"
#include "nn/micro_batch.h"
#include "nn/row_sums.h"
#include "nn/trained_parameters.h"

namespace pawl::nn {
namespace {

class CpuTrainer : public LanguageTrainer {
 public:
  CpuTrainer(std::shared_ptr<const DecoderLayout> layout, const FillWeights& fill,
             const LanguageTrainerOptions& options)
      : options_(options),
        team_(options.threads),
        weights_(layout, options.compute),
        lora_(FillModel(weights_, fill, options)),
        trained_(weights_, lora_.get(), options.evaluate_only) {
    weights_.Refresh(team_);
    if (!options.evaluate_only) head_norms_ = core::Buffer<float>(HeadNormFloats(layout->config()));
  }

  void Score(const TokenSequences& batch, const TokenScores& scores) override {
    ForEachMicroBatch(batch, weights_.config(), options_.micro_batch_tokens,
                      [&](const MicroBatch& part) { HeadPass(part, nullptr, scores); });
  }

  void Gradient(const TokenSequences& batch, const kernels::TokenLoss& loss,
                std::span<float> log_prob, std::span<float> entropy) override {
    CheckLearns();
    trained_.ZeroGradient(team_);
    std::fill(head_norms_.span().begin(), head_norms_.span().end(), 0.0f);
    DecoderGradients gradients = trained_.gradients();
    gradients.head_norms = head_norms_.data();
    ForEachMicroBatch(
        batch, weights_.config(), options_.micro_batch_tokens, [&](const MicroBatch& part) {
          HeadPass(part, &loss, {.log_prob = log_prob, .entropy = entropy});
          decoder_->Backward(Model(), Rows(part), dhidden_.data(), gradients, dembedding_.data());
          AddEmbeddingGradient(part, gradients);
        });
    FoldHeadNorms(weights_.layout(), head_norms_.data(), gradients);
    if (float* table = gradients.At(weights_.layout().embedding())) {
      tied_rows_.AddTo(table, weights_.config().width);
    }
  }

  double GradientNorm() override {
    CheckLearns();
    return std::sqrt(trained_.GradientSquares(team_));
  }
  std::vector<NamedGradient> Gradients() override {
    CheckLearns();
    return trained_.Gradients();
  }
  std::string NonFiniteGradient() override {
    CheckLearns();
    return trained_.NonFiniteGradient();
  }

  void Step(const AdamWSettings& settings, float scale, int64_t step) override {
    CheckLearns();
    packed_.reset();
    trained_.Step(settings, scale, step, weights_.rounded(), team_);
    weights_.Refresh(team_, /*vectors_only=*/true);  // the step wrote the matrices' copies
  }

  std::span<const float> Weights() override { return weights_.master(); }
  const LoraWeights* Lora() override { return lora_.get(); }
  void Save(core::ArrayMap& out) override {
    CheckLearns();
    trained_.Save(out);
  }
  std::vector<int32_t> Generate(std::span<const int32_t> prompt,
                                const GenerateOptions& options) override {
    if (packed_ == nullptr) packed_ = std::make_unique<PackedDecoder>(weights_, team_);
    const DecoderModel model{.weights = weights_, .packed = packed_.get(), .lora = lora_.get()};
    return nn::Generate(model, prompt, options, team_);
  }
  void Load(const core::ArrayMap& in) override {
    packed_.reset();
    trained_.Load(in);
    weights_.Refresh(team_);
  }
  std::string Description() const override {
    return fmt::format("CPU kernels ({}, {} thread{}), {}{}", kernels::CpuTarget(), team_.size(),
                       team_.size() == 1 ? "" : "s",
                       options_.compute == ComputeType::kF32 ? "float32" : "bfloat16",
                       options_.checkpoint_activations ? ", activations recomputed" : "");
  }

 private:
  void CheckLearns() const { PAWL_CHECK(!options_.evaluate_only, "made for evaluation alone"); }
  DecoderModel Model() const { return {.weights = weights_, .lora = lora_.get()}; }
  static DecoderRows Rows(const MicroBatch& part) {
    return {.tokens = part.tokens, .positions = part.positions, .sequences = part.sequences};
  }

  // Activations for passes of this many rows, made once and grown where a longer sequence comes.
  void Reserve(int64_t rows) {
    if (rows <= reserved_) return;
    reserved_ = std::max(rows, std::min<int64_t>(options_.micro_batch_tokens, 2 * reserved_));
    auto keep = options_.checkpoint_activations ? KeepActivations::kInputs : KeepActivations::kAll;
    if (options_.evaluate_only) keep = KeepActivations::kNothing;
    decoder_.reset();  // its memory first
    decoder_ = std::make_unique<Decoder>(weights_.shared_layout(), reserved_, keep, team_);
    const auto floats = static_cast<size_t>(reserved_ * weights_.config().width);
    head_x_ = core::Buffer<float>(floats);
    if (options_.evaluate_only) return;
    dhidden_ = core::Buffer<float>(floats);
    dembedding_ = core::Buffer<float>(floats);
  }

  // Forward to the scores of the part's targets; with a loss also dhidden_ and the head's gradient.
  void HeadPass(const MicroBatch& part, const kernels::TokenLoss* loss, const TokenScores& scores) {
    const int64_t width = weights_.config().width;
    Reserve(static_cast<int64_t>(part.tokens.size()));
    const float* hidden = decoder_->Forward(Model(), Rows(part));
    const auto targets = static_cast<int64_t>(part.targets.size());
    for (int64_t i = 0; i < targets; ++i) {
      std::memcpy(head_x_.data() + i * width, hidden + part.target_rows[i] * width,
                  static_cast<size_t>(width) * sizeof(float));
    }
    const kernels::TokenLoss shifted = [&](int64_t first, auto... spans) {
      (*loss)(part.first_target + first, spans...);
    };
    const DecoderLayout& layout = weights_.layout();
    kernels::LmHeadArgs args;
    args.rows = targets;
    args.width = width;
    args.vocab = weights_.config().vocab;
    args.x = head_x_.data();
    args.x_stride = width;
    args.weight = weights_.Matrix(layout.head(), width);
    args.round_x_to_bf16 = weights_.compute() == ComputeType::kBf16;
    args.targets = part.targets;
    args.inverse_temperature = 1 / options_.temperature;
    args.soft_cap = static_cast<float>(weights_.config().logit_soft_cap);
    args.log_prob = scores.log_prob.data() + part.first_target;
    args.entropy = EntropyOf(part, scores.entropy);
    if (!scores.best_log_prob.empty())
      args.best_log_prob = scores.best_log_prob.data() + part.first_target;
    if (loss != nullptr) {
      args.loss = &shifted;
      args.dx = dembedding_.data();  // free until the backward writes it
      args.dx_stride = width;
      args.dweight = trained_.gradients().At(layout.head());
    }
    kernels::LmHeadLoss(args, team_);
    if (loss != nullptr) ScatterHeadGradient(part, width);
  }

  // Where the head writes the part's entropies; nullptr where nobody asks for them.
  float* EntropyOf(const MicroBatch& part, std::span<float> entropy) {
    if (!entropy.empty()) return entropy.data() + part.first_target;
    if (!options_.want_entropy) return nullptr;
    entropy_.resize(part.targets.size());
    return entropy_.data();
  }

  void ScatterHeadGradient(const MicroBatch& part, int64_t width) {
    std::fill_n(dhidden_.data(), static_cast<int64_t>(part.tokens.size()) * width, 0.0f);
    for (size_t i = 0; i < part.targets.size(); ++i) {
      std::memcpy(dhidden_.data() + part.target_rows[i] * width,
                  dembedding_.data() + static_cast<int64_t>(i) * width,
                  static_cast<size_t>(width) * sizeof(float));
    }
  }

  // A tied embedding is the head, too: its own rows are summed apart and added when the whole batch
  // is through, so that the order of sums does not depend on the micro-batches.
  void AddEmbeddingGradient(const MicroBatch& part, const DecoderGradients& gradients) {
    const DecoderLayout& layout = weights_.layout();
    float* table = gradients.At(layout.embedding());
    if (table == nullptr) return;
    const int64_t width = layout.config().width;
    std::span<const int32_t> ids = part.tokens;
    if (layout.tied()) {
      ids = tied_rows_.Slots(part.tokens, layout.config().vocab, width);
      table = tied_rows_.data();
    }
    kernels::EmbeddingBackward(ids, dembedding_.data(), width, width, EmbeddingScale(weights_),
                               table, team_);
  }

  LanguageTrainerOptions options_;
  kernels::Team team_;
  DecoderWeights weights_;
  std::unique_ptr<LoraWeights> lora_;
  TrainedParameters trained_;
  std::unique_ptr<PackedDecoder> packed_;  // of the present weights, for generation
  std::unique_ptr<Decoder> decoder_;
  int64_t reserved_ = 0;                      // rows the buffers hold
  core::Buffer<float> head_x_;                // [N, D] hidden states of targets
  core::Buffer<float> dhidden_, dembedding_;  // [T, D]
  core::Buffer<float> head_norms_;
  std::vector<float> entropy_;  // [N] for the loss alone
  RowSums tied_rows_;
};
}  // namespace

std::unique_ptr<LanguageTrainer> MakeCpuTrainer(std::shared_ptr<const DecoderLayout> layout,
                                                const FillWeights& fill,
                                                const LanguageTrainerOptions& options) {
  return std::make_unique<CpuTrainer>(std::move(layout), fill, options);
}

}  // namespace pawl::nn
