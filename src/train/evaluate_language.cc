#include "train/evaluate_language.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "nn/lora_files.h"
#include "track/number_text.h"
#include "train/language_setup.h"
#include "train/run_checkpoints.h"
#include "train/run_folder.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;
// of a batch; the result does not depend on it
constexpr int64_t kBatchTokens = 8192;

// The run that a path is, or is a checkpoint of; empty where it is neither.
fs::path RunOf(const fs::path& path) {
  const fs::path plain = fs::absolute(path / ".").lexically_normal().parent_path();
  const bool inside = plain.parent_path().filename() == "checkpoints";
  std::error_code ignored;
  for (const fs::path& folder : {plain, inside ? plain.parent_path().parent_path() : plain}) {
    if (fs::exists(folder / "config.toml", ignored)) return folder;
  }
  return {};
}

bool IsModelFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "config.json", ignored) || nn::IsAdapterFolder(path);
}

// What a PEFT adapter was trained for.
std::string BaseOf(const fs::path& adapter) {
  std::string base;
  nn::ReadAdapterConfig(adapter, &base);
  std::error_code ignored;
  if (!base.empty() && fs::exists(fs::path(base) / "config.json", ignored)) return base;
  throw UserError({.what = fmt::format("the adapter's base '{}' is no model folder here", base),
                   .where = adapter.string(),
                   .expected = "base_model_name_or_path in adapter_config.json to be its folder"});
}

std::string DeviceOf(const EvaluateOptions& options) {
  return options.device.empty() ? "cpu" : options.device;
}

struct Subject {
  LanguageConfig config;
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::unique_ptr<rlhf::LanguageModelLearner> learner;
  std::string name;  // the checkpoint or folder
};

Subject FromModelFolder(const fs::path& path, const EvaluateOptions& options,
                        const rlhf::LearnerFactory& factory) {
  if (options.best) {
    throw UserError({.what = "--best beside a model folder",
                     .where = "--best",
                     .expected = "the folder of a run"});
  }
  Subject subject;
  subject.name = path.string();
  subject.config.device = DeviceOf(options);
  subject.config.model.path = path.string();
  if (nn::IsAdapterFolder(path)) {
    subject.config.model.path = BaseOf(path);
    subject.config.lora.path = path.string();
  }
  subject.config.data.context = options.context;
  subject.tokenizer = text::LoadTokenizer(path);
  auto request = RequestOf(subject.config, *subject.tokenizer);
  request.evaluate_only = true;
  subject.learner = factory(request);
  return subject;
}

Subject FromRun(const fs::path& path, const EvaluateOptions& options,
                const rlhf::LearnerFactory& factory) {
  const RunFolder run{RunOf(path)};
  std::vector<std::string> skipped;
  const FoundCheckpoint found = FindCheckpoint(path, options.best, skipped);
  for (const auto& line : skipped) PAWL_LOG_WARN("{}", line);
  Subject subject;
  subject.name = found.folder.string();
  core::LoadConfig(core::Table::ParseFile(run.config().string()), subject.config);
  subject.config.device = DeviceOf(options);  // not the one it was trained on
  subject.tokenizer = text::LoadTokenizer(run.tokenizer());
  auto request = RequestOf(subject.config, *subject.tokenizer);  // the model of the run's context
  if (options.context > 0) subject.config.data.context = options.context;
  request.evaluate_only = true;
  subject.learner = factory(request);
  const auto state =
      core::BorrowSafetensors(nn::FileIn(found.files, kTrainingState, subject.name), subject.name);
  CheckBase(state, ChecksumOfBase(subject.config), fmt::format("evaluate '{}'", subject.name));
  subject.learner->Load(state);
  return subject;
}

// The files of --data, or the run's own hold-out. Takes the tokenizer.
text::LoadedData TextOf(Subject& subject, const EvaluateOptions& options, bool model_folder) {
  auto data = subject.config.data;
  if (data.context == 0) data.context = subject.learner->info().max_positions;
  data.tokenizer = text::TokenizerKind::kModel;
  if (!options.data.empty()) {
    auto set = text::LoadEvalData(options.data, data, std::move(subject.tokenizer));
    if (!set.eval->empty()) return set;
    throw UserError({.what = "nothing to evaluate on",
                     .where = "--data",
                     .expected = "a text of at least 2 tokens"});
  }
  if (model_folder) {
    throw UserError({.what = "a model folder has no text of its own",
                     .where = "--data",
                     .expected = "a text file to evaluate on"});
  }
  auto loaded = text::LoadData(data, std::move(subject.tokenizer));
  if (!loaded.eval->empty()) return loaded;
  throw UserError({.what = "the run held no text out",
                   .where = "--data",
                   .expected = "a text file to evaluate on"});
}

// How the text was read: as the run does, where it is one.
const char* FormatName(const Subject& subject, const EvaluateOptions& options) {
  auto data = subject.config.data;
  if (!options.data.empty()) data.files = options.data;
  const auto format = text::FormatOf(data);
  for (const auto& [name, value] : core::EnumNames<text::DataFormat>::kTable) {
    if (value == format) return name;
  }
  return "";
}
}  // namespace

bool IsLanguagePath(const fs::path& path) {
  if (IsModelFolder(path)) return true;
  const fs::path run = RunOf(path);
  if (run.empty()) return false;
  return StageOf(core::Table::ParseFile((run / "config.toml").string())) != Stage::kPpo;
}

int EvaluateLanguage(const fs::path& path, const EvaluateOptions& options,
                     const rlhf::LearnerFactory& factory) {
  const std::string device = DeviceOf(options);
  CheckDevice(device);
  LoadDevice(device);
  const bool model_folder = IsModelFolder(path);
  Subject subject =
      model_folder ? FromModelFolder(path, options, factory) : FromRun(path, options, factory);
  const text::LoadedData data = TextOf(subject, options, model_folder);
  const text::SequenceSource& text = *data.eval;
  CheckFit(subject.learner->info(), *data.tokenizer, text.context(), "--context");
  const text::SpreadBatches batches(text, 0, std::max<int64_t>(1, kBatchTokens / text.context()));
  const rlhf::LossSum sum = EvaluateBatches(*subject.learner, batches);
  const double loss = sum.loss_sum / static_cast<double>(sum.targets);
  const char* format = FormatName(subject, options);
  if (options.json) {
    const nlohmann::ordered_json json = {{"loss", loss},          {"perplexity", std::exp(loss)},
                                         {"tokens", sum.targets}, {"context", text.context()},
                                         {"format", format},      {"checkpoint", subject.name}};
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf(
        "%s\n  loss        %.4f nats per token\n  perplexity  %s\n  tokens      %lld, data.format "
        "%s, context %lld\n",
        subject.name.c_str(), loss, track::ShortNumber(std::exp(loss)).c_str(),
        static_cast<long long>(sum.targets), format, static_cast<long long>(text.context()));
  }
  return 0;
}

}  // namespace pawl::train
