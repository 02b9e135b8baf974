#include "train/language_config.h"

#include <filesystem>
#include <limits>

namespace pawl::train {
namespace {

void CheckTokenizer(const LanguageConfig& config) {
  const bool own = config.data.tokenizer == text::TokenizerKind::kModel;
  if (own && config.model.path.empty() && config.data.tokenizer_path.empty()) {
    throw UserError(
        {.what = "data.tokenizer is \"model\", but model.path and data.tokenizer_path are empty",
         .where = "data.tokenizer",
         .expected = "\"char\" or \"byte\" for a new model, or data.tokenizer_path",
         .hint = "pawl tokenizer train learns a vocabulary"});
  }
  const std::pair<const char*, bool> of_folders[] = {
      {"data.tokenizer_path", !config.data.tokenizer_path.empty()},
      {"data.eos_token", !config.data.eos_token.empty()},
      {"data.chat_template", !config.data.chat_template.empty()}};
  for (const auto& [key, set] : of_folders) {
    if (own || !set) continue;
    throw UserError({.what = fmt::format("{} is set, but data.tokenizer is not \"model\"", key),
                     .where = key,
                     .expected = "data.tokenizer = \"model\", or not this key"});
  }
  if (!own && !config.model.path.empty()) {
    throw UserError({.what = "data.tokenizer is set beside model.path",
                     .where = "data.tokenizer",
                     .expected = "\"model\": the one it was trained with"});
  }
}

void CheckEvaluation(const LanguageConfig& config) {
  const bool any = config.data.holdout > 0 || !config.data.eval_files.empty();
  if (config.eval.every_updates > 0 && !any) {
    throw UserError({.what = "eval.every_updates is set, but nothing is held out",
                     .where = "data.holdout",
                     .expected = "a share above 0, or data.eval_files"});
  }
  if (config.eval.every_updates == 0 && (config.eval.patience > 0 || config.eval.target_loss > 0)) {
    throw UserError({.what = "a loss to stop at is set, but nothing evaluates during training",
                     .where = "eval.every_updates",
                     .expected = "a number of updates above 0"});
  }
}

void CheckSamples(const SampleConfig& samples) {
  if (samples.every_updates > 0 && samples.prompts.empty()) {
    throw UserError({.what = "samples.every_updates is set, but samples.prompts is empty",
                     .where = "samples.prompts",
                     .expected = "texts to go on from"});
  }
  for (const auto& prompt : samples.prompts) {
    if (!prompt.empty()) continue;
    throw UserError({.what = "an empty prompt",
                     .where = "samples.prompts",
                     .expected = "a text of at least one character",
                     .hint = "\"\\n\" begins a new line"});
  }
}
}  // namespace

LanguageConfig LoadLanguageConfig(const core::Table& table) {
  LanguageConfig config;
  core::LoadConfig(table, config);
  ResolvePaths(config);
  CheckLanguageConfig(config);
  return config;
}

void CheckLanguageConfig(const LanguageConfig& config) {
  CheckDevice(config.device);
  text::CheckDataConfig(config.data);
  rlhf::CheckLearnConfig(config.model, config.train, config.lora);
  CheckTokenizer(config);
  CheckEvaluation(config);
  // places within a batch are 32-bit numbers
  if (config.train.sequences * (config.data.context + 1) > std::numeric_limits<int32_t>::max()) {
    throw UserError({.what = fmt::format("{} sequences of {} tokens are too many for one update",
                                         config.train.sequences, config.data.context),
                     .where = "train.sequences",
                     .expected = "fewer than 2^31 tokens together"});
  }
  CheckSamples(config.samples);
}

void ResolvePaths(LanguageConfig& config) {
  const auto resolve = [](std::string& path) {
    if (!path.empty()) path = std::filesystem::absolute(path).lexically_normal().string();
  };
  for (auto& path : config.data.files) resolve(path);
  for (auto& path : config.data.eval_files) resolve(path);
  resolve(config.data.tokenizer_path);
  resolve(config.data.chat_template);
  resolve(config.model.path);
  resolve(config.lora.path);
}

RunConfig DescribeRun(const LanguageConfig& config) {
  return RunConfigOf(config, "total_updates", config.total_updates);
}

}  // namespace pawl::train
