#include "rlhf/sft_learner.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/thread_pool.h"
#include "nn/language_trainer.h"
#include "nn/lora_files.h"
#include "nn/model_families.h"
#include "nn/model_files.h"
#include "nn/torch_trainer.h"
#include "nn/trained_parameters.h"

namespace pawl::rlhf {
namespace {

// The usual width of the feed-forward part: 4 times the width, or where it is gated two thirds of
// that, rounded up to a multiple of 32.
int64_t DefaultIntermediate(const nn::ModelConfig& config) {
  if (!config.gated) return 4 * config.width;
  constexpr int64_t kMultiple = 32;
  return (8 * config.width / 3 + kMultiple - 1) / kMultiple * kMultiple;
}

// Layers that see the last `sliding_window` keys only: all of Mistral's, five of six of Gemma 3's.
std::vector<bool> SlidingLayers(const nn::ModelConfig& config) {
  constexpr int64_t kGemmaPattern = 6;
  if (config.sliding_window == 0) return {};
  std::vector<bool> sliding(static_cast<size_t>(config.layers), true);
  if (config.family == nn::ModelFamily::kGemma3) {
    for (int64_t i = 0; i < config.layers; ++i) sliding[i] = (i + 1) % kGemmaPattern != 0;
  }
  return sliding;
}

const char* DtypeName(SavedDtype dtype) {
  return dtype == SavedDtype::kBfloat16  ? "bfloat16"
         : dtype == SavedDtype::kFloat16 ? "float16"
                                         : "float32";
}

nn::ModelConfig NewModel(const LearnerRequest& request) {
  const ModelSection& section = request.model;
  nn::ModelConfig config;
  config.family = section.family;
  config.gated = section.family != nn::ModelFamily::kGpt2;
  if (section.family == nn::ModelFamily::kGpt2 || section.family == nn::ModelFamily::kGemma3)
    config.activation = kernels::FeedForwardActivation::kGeluTanh;
  config.width = section.width;
  config.layers = section.layers;
  config.heads = section.heads;
  config.kv_heads = section.kv_heads > 0 ? section.kv_heads : section.heads;
  config.head_dim = section.head_dim > 0 ? section.head_dim : section.width / section.heads;
  config.intermediate =
      section.intermediate > 0 ? section.intermediate : DefaultIntermediate(config);
  config.vocab = section.vocab > 0 ? section.vocab : request.tokenizer_vocab;
  config.max_positions = section.positions > 0 ? section.positions : request.context;
  config.norm_epsilon = section.norm_epsilon;
  config.rope.theta = config.local_rope.theta = section.rope_theta;
  config.sliding_window = section.sliding_window;
  config.sliding = SlidingLayers(config);
  config.attention_scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  config.tied = section.tied;
  config.dtype = DtypeName(section.dtype);
  config.eos_ids.assign(request.eos_ids.begin(), request.eos_ids.end());
  nn::SetFamilySwitches(config);
  nn::CheckModelConfig(config, "[model]");
  return config;
}

nn::ModelConfig ModelOf(const LearnerRequest& request) {
  if (request.model.path.empty()) return NewModel(request);
  nn::ModelConfig config = nn::ReadModelConfig(request.model.path);
  if (request.model.dtype != SavedDtype::kModel) {
    config.dtype = DtypeName(request.model.dtype);
    nn::SetFamilySwitches(config);  // Gemma's embedding scale is rounded to the dtype
  }
  // what it learns to end texts with ends them, as it does for TRL
  for (const int32_t id : request.eos_ids) {
    if (std::ranges::find(config.eos_ids, id) == config.eos_ids.end()) config.eos_ids.push_back(id);
  }
  return config;
}

nn::LoraConfig AdapterOf(const LoraConfig& lora) {
  nn::LoraConfig config;
  config.rank = lora.rank;
  config.alpha = lora.alpha;
  config.rslora = lora.use_rslora;
  config.target_modules = lora.target_modules;
  config.modules_to_save = lora.modules_to_save;
  if (!lora.target_regex.empty()) {
    config.target_modules = {lora.target_regex};
    config.target_is_regex = true;
  }
  return config;
}

// Tokens of a pass where the config leaves it open: enough to keep the products efficient, within
// about a gigabyte of activations.
int64_t DefaultMicroBatch(const nn::ModelConfig& config, bool recompute) {
  constexpr double kBytes = 1e9;
  constexpr int64_t kMost = 4096;
  const int64_t kept = 4 * config.width + config.qkv_width() + 2 * config.intermediate;
  const double floats =
      static_cast<double>(recompute ? config.width : kept) * static_cast<double>(config.layers) +
      static_cast<double>(kept);
  return std::clamp(static_cast<int64_t>(kBytes / (4 * floats)), int64_t{256}, kMost);
}

nn::LanguageTrainerOptions OptionsOf(const LearnerRequest& request, const nn::ModelConfig& config) {
  const SftConfig& train = request.train;
  nn::LanguageTrainerOptions options;
  options.compute =
      train.dtype == LearnDtype::kBfloat16 ? nn::ComputeType::kBf16 : nn::ComputeType::kF32;
  options.checkpoint_activations = train.activation_checkpointing;
  options.micro_batch_tokens = train.micro_batch_tokens > 0
                                   ? train.micro_batch_tokens
                                   : DefaultMicroBatch(config, train.activation_checkpointing);
  options.threads = train.threads > 0 ? train.threads : core::NumCores();
  options.adapter_folder = request.lora.path;
  if (request.lora.rank > 0) options.lora = AdapterOf(request.lora);
  options.seed = request.seed;
  options.evaluate_only = request.evaluate_only;
  return options;
}

class SftLearner : public LanguageModelLearner {
 public:
  SftLearner(const LearnerRequest& request, std::shared_ptr<const nn::DecoderLayout> layout,
             std::unique_ptr<nn::LanguageTrainer> trainer, LearnerInfo info)
      : LanguageModelLearner(std::move(info)),
        request_(request),
        layout_(std::move(layout)),
        trainer_(std::move(trainer)) {}

  algos::UpdateMetrics Update(const rollout::SequenceBatch& batch, int64_t update,
                              double /*progress*/) override {
    const SftConfig& train = request_.train;
    const int64_t targets = nn::CountTargets(batch);
    PAWL_CHECK_GT(targets, 0, "targets of a batch");
    log_prob_.resize(static_cast<size_t>(targets));
    const auto derivative = static_cast<float>(-1 / static_cast<double>(targets));
    const kernels::TokenLoss loss = [derivative](int64_t, auto, auto, std::span<float> dlog_prob,
                                                 auto) {
      std::fill(dlog_prob.begin(), dlog_prob.end(), derivative);
    };
    trainer_->Gradient(batch, loss, log_prob_, {});
    const double mean = MeanLoss();
    const double norm = trainer_->GradientNorm();
    CheckFinite(mean, norm, update);
    const double learning_rate = LearningRateAt(train, update, request_.total_updates);
    const bool clips = train.max_grad_norm > 0 && norm > train.max_grad_norm;
    trainer_->Step({.learning_rate = learning_rate,
                    .beta1 = train.beta1,
                    .beta2 = train.beta2,
                    .epsilon = train.epsilon,
                    .weight_decay = train.weight_decay},
                   clips ? static_cast<float>(train.max_grad_norm / norm) : 1.0f, update + 1);
    return {{"loss", mean}, {"grad_norm", norm}, {"learning_rate", learning_rate}};
  }

  void Score(const rollout::SequenceBatch& batch, const nn::TokenScores& scores) override {
    trainer_->Score(batch, scores);
  }

  std::vector<int32_t> Generate(std::span<const int32_t> prompt,
                                const nn::GenerateOptions& options) override {
    return trainer_->Generate(prompt, options);
  }

  void WriteModel(const std::filesystem::path& folder) const override {
    const nn::LoraWeights* adapter = trainer_->Lora();
    if (!nn::AllFinite(trainer_->Weights()) || (adapter && !nn::AllFinite(adapter->values()))) {
      throw RunError({.what = "the weights are not finite", .expected = "numbers"});
    }
    if (adapter) {
      nn::WriteAdapter(folder, *adapter, *layout_, trainer_->Weights(), request_.model.path);
    } else {
      nn::WriteModelOptions options;
      options.dtype = layout_->config().dtype;
      nn::WriteModelFiles(folder, *layout_, trainer_->Weights(), options);
    }
  }

  std::span<const float> Weights() const override { return trainer_->Weights(); }
  void Save(core::ArrayMap& out) const override {
    trainer_->Save(out);
    for (const auto& array : out.arrays()) {
      if (array.dtype != core::DType::kF32 || nn::AllFinite(out.Get<float>(array.name))) continue;
      throw RunError({.what = fmt::format("the last update left '{}' not finite", array.name),
                      .expected = "numbers: no checkpoint is made of them",
                      .hint = "a smaller train.learning_rate or train.weight_decay; the last "
                              "checkpoint is good"});
    }
  }
  void Load(const core::ArrayMap& in) override { trainer_->Load(in); }

 private:
  double MeanLoss() const {
    return -std::accumulate(log_prob_.begin(), log_prob_.end(), 0.0) /
           static_cast<double>(log_prob_.size());
  }
  // Before the step: the weights stay as they were.
  void CheckFinite(double loss, double norm, int64_t update) {
    if (std::isfinite(loss) && std::isfinite(norm)) return;
    const std::string tensor =
        std::isfinite(loss) ? "gradient of " + trainer_->NonFiniteGradient() : "loss";
    throw RunError({.what = fmt::format("the {} of update {} is not finite", tensor, update),
                    .expected = "numbers",
                    .hint = "a smaller train.learning_rate, or a longer warm-up"});
  }

  LearnerRequest request_;
  std::shared_ptr<const nn::DecoderLayout> layout_;
  std::unique_ptr<nn::LanguageTrainer> trainer_;
  std::vector<float> log_prob_;  // of the last batch's targets
};

LearnerInfo InfoOf(const nn::ModelConfig& config, nn::LanguageTrainer& trainer,
                   const LearnerRequest& request) {
  LearnerInfo info;
  info.parameters = nn::CountParameters(config);
  info.trained_parameters = info.parameters;
  if (const nn::LoraWeights* lora = trainer.Lora()) {
    info.trained_parameters = static_cast<int64_t>(lora->layout().size());
    for (const auto* saved : lora->layout().saved())
      info.trained_parameters += static_cast<int64_t>(saved->count);
  }
  info.description = fmt::format(
      "{}, {} layers of {}, {:.2f}M parameters{}, {}", nn::InfoOf(config.family).model_type,
      config.layers, config.width, static_cast<double>(info.parameters) / 1e6,
      info.trained_parameters == info.parameters
          ? ""
          : fmt::format(" ({:.2f}M trained)", static_cast<double>(info.trained_parameters) / 1e6),
      trainer.Description());
  info.vocab = config.vocab;
  info.max_positions = config.max_positions;
  info.flops_per_token = nn::TrainingFlopsPerToken(
      config, request.context > 0 ? request.context : config.max_positions,
      info.trained_parameters == info.parameters);
  info.eos_ids.assign(config.eos_ids.begin(), config.eos_ids.end());
  return info;
}
}  // namespace

std::unique_ptr<LanguageModelLearner> MakeSftLearner(const LearnerRequest& request) {
  const nn::ModelConfig config = ModelOf(request);
  const auto layout = std::make_shared<const nn::DecoderLayout>(config);
  const nn::FillWeights fill = [&](std::span<float> weights) {
    if (request.model.path.empty()) {
      nn::InitializeWeights(*layout, request.model.init_std, request.seed, weights);
    } else {
      nn::ReadWeights(request.model.path, *layout, weights);
    }
  };
  const nn::LanguageTrainerOptions options = OptionsOf(request, config);
  auto trainer = request.device == "cuda"
                     ? nn::MakeTorchTrainer(layout, fill, options, request.device)
                     : nn::MakeCpuTrainer(layout, fill, options);
  LearnerInfo info = InfoOf(config, *trainer, request);
  return std::make_unique<SftLearner>(request, layout, std::move(trainer), std::move(info));
}

}  // namespace pawl::rlhf
