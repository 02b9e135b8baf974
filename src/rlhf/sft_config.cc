#include "rlhf/sft_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pawl::rlhf {
namespace {

// Throws unless every size is the default: beside a folder they would be ignored.
void CheckNoSizes(const ModelSection& model) {
  ModelSection untouched;
  untouched.path = model.path;
  untouched.dtype = model.dtype;
  const auto differences = core::ConfigDifferences(core::DescribeConfig(untouched, "model"),
                                                   core::DescribeConfig(model, "model"));
  if (differences.empty()) return;
  throw UserError({.what = fmt::format("model.path is set beside sizes of a new model ({})",
                                       fmt::join(differences, "; ")),
                   .where = "model.path",
                   .expected = "the folder alone: it says what the model is"});
}

// Keys that the family has no use for.
void CheckUsed(const ModelSection& model) {
  const bool slides =
      model.family != nn::ModelFamily::kLlama && model.family != nn::ModelFamily::kGpt2;
  if (model.sliding_window > 0 && !slides) {
    throw UserError({.what = fmt::format("model.sliding_window is {}, but such models have none",
                                         model.sliding_window),
                     .where = "model.sliding_window",
                     .expected = "0, or a family with windows (mistral, qwen2, qwen3, gemma3)"});
  }
}

// An adapter that is gone on with says itself what it is; without one nothing of it counts.
void CheckLoraConfig(const ModelSection& model, const LoraConfig& lora) {
  LoraConfig untouched;
  untouched.path = lora.path;
  const auto differences = core::ConfigDifferences(core::DescribeConfig(untouched, "lora"),
                                                   core::DescribeConfig(lora, "lora"));
  if (!lora.path.empty() && !differences.empty()) {
    throw UserError({.what = fmt::format("lora.path is set beside settings of a new adapter ({})",
                                         fmt::join(differences, "; ")),
                     .where = "lora.path",
                     .expected = "the folder alone: it says what the adapter is"});
  }
  if (lora.path.empty() && lora.rank == 0 && !differences.empty()) {
    throw UserError({.what = fmt::format("[lora] is set, but lora.rank is 0: no adapter ({})",
                                         fmt::join(differences, "; ")),
                     .where = "lora.rank",
                     .expected = "the rank of a new adapter"});
  }
  const bool adapts = lora.rank > 0 || !lora.path.empty();
  if (!adapts) return;
  if (model.path.empty()) {
    throw UserError({.what = "[lora] is set for a new model",
                     .where = "model.path",
                     .expected = "a trained model for the adapters to sit on"});
  }
  if (model.dtype != SavedDtype::kModel) {
    throw UserError({.what = "model.dtype is set beside [lora]: no model is written",
                     .where = "model.dtype",
                     .expected = "model, its default"});
  }
  if (lora.path.empty() && lora.target_modules.empty()) {
    throw UserError({.what = "lora.target_modules is empty",
                     .where = "lora.target_modules",
                     .expected = "names of linear layers, as [\"q_proj\", \"v_proj\"]"});
  }
}

void CheckSizes(const ModelSection& model) {
  if (model.head_dim == 0 && model.width % model.heads != 0) {
    throw UserError({.what = fmt::format("model.width {} is no multiple of model.heads {}",
                                         model.width, model.heads),
                     .where = "model.heads",
                     .expected = "a divisor of model.width, or model.head_dim"});
  }
  if (model.kv_heads > 0 && model.heads % model.kv_heads != 0) {
    throw UserError({.what = fmt::format("model.heads {} is no multiple of model.kv_heads {}",
                                         model.heads, model.kv_heads),
                     .where = "model.kv_heads",
                     .expected = "a divisor of model.heads, or 0"});
  }
}
}  // namespace

double LearningRateAt(const SftConfig& config, int64_t update, int64_t total_updates) {
  const double high = config.learning_rate, low = config.min_learning_rate;
  if (update < config.warmup_updates) {
    return high * static_cast<double>(update + 1) / static_cast<double>(config.warmup_updates + 1);
  }
  const double falling =
      static_cast<double>(std::max<int64_t>(1, total_updates - config.warmup_updates));
  const double done =
      std::clamp(static_cast<double>(update - config.warmup_updates) / falling, 0.0, 1.0);
  switch (config.schedule) {
    case Schedule::kConstant:
      return high;
    case Schedule::kLinear:
      return high + (low - high) * done;
    case Schedule::kCosine:
      return low + 0.5 * (1 + std::cos(std::numbers::pi * done)) * (high - low);
  }
  return high;
}

void CheckLearnConfig(const ModelSection& model, const SftConfig& train, const LoraConfig& lora) {
  if (model.path.empty()) {
    CheckSizes(model);
    CheckUsed(model);
  } else {
    CheckNoSizes(model);
  }
  if (train.schedule != Schedule::kConstant && train.min_learning_rate > train.learning_rate) {
    throw UserError({.what = fmt::format("train.min_learning_rate {:g} is above "
                                         "train.learning_rate {:g}",
                                         train.min_learning_rate, train.learning_rate),
                     .where = "train.min_learning_rate",
                     .expected = "at most train.learning_rate"});
  }
  CheckLoraConfig(model, lora);
}

}  // namespace pawl::rlhf
