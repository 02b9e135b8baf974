#include "train/language_subject.h"

#include "core/log.h"
#include "nn/lora_files.h"
#include "train/language_setup.h"
#include "train/run_checkpoints.h"
#include "train/run_folder.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;

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

void LoadText(const fs::path& folder, LanguageSubject& subject) {
  auto [tokenizer, chat] = OpenTokenizer(folder);
  subject.tokenizer = std::move(tokenizer);
  subject.chat = std::move(chat);
}

LanguageSubject FromModelFolder(const fs::path& path, const SubjectOptions& options,
                                const rlhf::LearnerFactory& factory) {
  if (options.best) {
    throw UserError({.what = "--best beside a model folder",
                     .where = "--best",
                     .expected = "the folder of a run"});
  }
  LanguageSubject subject;
  subject.name = path.string();
  subject.config.device = options.device;
  subject.config.model.path = path.string();
  if (nn::IsAdapterFolder(path)) {
    subject.config.model.path = BaseOf(path);
    subject.config.lora.path = path.string();
  }
  subject.config.data.context = options.context;
  // an adapter's folder need not have a tokenizer of its own
  const bool own =
      fs::exists(path / "tokenizer_config.json") || fs::exists(path / "tokenizer.json");
  LoadText(own ? path : fs::path(subject.config.model.path), subject);
  auto request = RequestOf(subject.config, *subject.tokenizer);
  request.evaluate_only = true;
  subject.learner = factory(request);
  return subject;
}

LanguageSubject FromRun(const fs::path& path, const SubjectOptions& options,
                        const rlhf::LearnerFactory& factory) {
  const RunFolder run{RunOf(path)};
  std::vector<std::string> skipped;
  const FoundCheckpoint found = FindCheckpoint(path, options.best, skipped);
  for (const auto& line : skipped) PAWL_LOG_WARN("{}", line);
  LanguageSubject subject;
  subject.name = found.folder.string();
  core::LoadConfig(core::Table::ParseFile(run.config().string()), subject.config);
  subject.config.device = options.device;  // not the one it was trained on
  subject.run = run.path;
  LoadText(run.tokenizer(), subject);
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
}  // namespace

bool IsModelFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "config.json", ignored) || nn::IsAdapterFolder(path);
}

bool IsLanguagePath(const fs::path& path) {
  if (IsModelFolder(path)) return true;
  const fs::path run = RunOf(path);
  if (run.empty()) return false;
  return StageOf(core::Table::ParseFile((run / "config.toml").string())) != Stage::kPpo;
}

LanguageSubject OpenLanguageModel(const fs::path& path, const SubjectOptions& options,
                                  const rlhf::LearnerFactory& factory) {
  CheckDevice(options.device);
  LoadDevice(options.device);
  return IsModelFolder(path) ? FromModelFolder(path, options, factory)
                             : FromRun(path, options, factory);
}

}  // namespace pawl::train
