#include "train/evaluate_language.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "track/append_file.h"
#include "track/number_text.h"
#include "track/report.h"
#include "track/runs.h"
#include "train/language_setup.h"
#include "train/language_subject.h"
#include "train/run_folder.h"
#include "train/task_prompt.h"
#include "train/task_runner.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
// of a batch; the result does not depend on it
constexpr int64_t kBatchTokens = 8192;

// The files of --data, or the run's own hold-out. Takes the tokenizer.
text::LoadedData TextOf(LanguageSubject& subject, const EvaluateOptions& options) {
  auto data = subject.config.data;
  if (data.context == 0) data.context = subject.learner->info().max_positions;
  data.tokenizer = text::TokenizerKind::kModel;
  if (!options.data.empty()) {
    auto set = text::LoadEvalData(options.data, data, std::move(subject.tokenizer), subject.chat);
    if (!set.eval->empty()) return set;
    throw UserError({.what = "nothing to evaluate on",
                     .where = "--data",
                     .expected = "a text of at least 2 tokens"});
  }
  if (subject.run.empty()) {
    throw UserError({.what = "a model folder has no text of its own",
                     .where = "--data",
                     .expected = "a text file to evaluate on"});
  }
  auto loaded = text::LoadData(data, std::move(subject.tokenizer), subject.chat);
  if (!loaded.eval->empty()) return loaded;
  throw UserError({.what = "the run held no text out",
                   .where = "--data",
                   .expected = "a text file to evaluate on"});
}

// How the text was read: as the run does, where it is one.
const char* FormatName(const LanguageSubject& subject, const EvaluateOptions& options) {
  auto data = subject.config.data;
  if (!options.data.empty()) data.files = options.data;
  const auto format = text::FormatOf(data);
  for (const auto& [name, value] : core::EnumNames<text::DataFormat>::kTable) {
    if (value == format) return name;
  }
  return "";
}

// The loss on a run's hold-out, or on --data read as the run reads its own. Takes the tokenizer.
TaskResult EvaluateHoldOut(LanguageSubject& subject, const EvaluateOptions& options) {
  const text::LoadedData data = TextOf(subject, options);
  const text::SequenceSource& text = *data.eval;
  CheckFit(subject.learner->info(), *data.tokenizer, text.context(), "--context");
  text::SpreadBatches batches(text, 0, std::max<int64_t>(1, kBatchTokens / text.context()));
  std::vector<SequenceScore> scores;
  uint32_t asked = 0;
  text::TokenBatch batch;
  while (batches.Next(batch)) {
    asked = AddAsked(asked, batch.tokens, batch.is_target);
    for (const SequenceScore& score : ScoreBatch(*subject.learner, batch)) scores.push_back(score);
  }
  TaskResult result{.name = options.data.empty() ? "held_out" : "data",
                    .metrics = PerplexityMetrics(scores)};
  result.asked = asked;
  for (const SequenceScore& score : scores) result.n += score.targets;
  result.notes.push_back(
      fmt::format("data.format {}, context {}", FormatName(subject, options), text.context()));
  return result;
}

// Options that would be ignored.
void CheckOptions(const EvaluateOptions& options) {
  const auto refuse = [](const char* option, const char* expected) {
    throw UserError({.what = fmt::format("{} would do nothing here", option),
                     .where = option,
                     .expected = expected});
  };
  if (options.stride > 0 && options.text.empty()) refuse("--stride", "--text FILE beside it");
  if (!options.set.empty() && options.tasks.empty()) refuse("--set", "--task TASK.toml beside it");
  if (!options.outputs.empty() && options.tasks.empty())
    refuse("--outputs", "--task TASK.toml beside it");
  if (options.context > 0 && options.text.empty() && !options.tasks.empty())
    refuse("--context", "--set context=N, for perplexity tasks");
}

void CheckCanBeScored(const TaskConfig& task, const EvaluateOptions& options) {
  if (task.kind != TaskKind::kGenerate || task.judge != Judge::kProgram || !task.sandbox.empty())
    return;
  if (!options.outputs.empty() && options.against.empty()) return;
  throw UserError(
      {.what = "programs are not run without a sandbox",
       .where = fmt::format("task '{}': sandbox", task.name),
       .expected = "a command that reads a program and exits with 0 where it passes",
       .hint = options.against.empty()
                   ? "--set sandbox='[\"my_sandbox\"]', or --outputs FOLDER to keep the answers"
                   : "--set sandbox='[\"my_sandbox\"]'"});
}

// All that is wrong with them is told before a model is read.
std::vector<TaskConfig> TasksOf(const EvaluateOptions& options) {
  std::vector<TaskConfig> tasks;
  for (const std::string& path : options.tasks) tasks.push_back(ReadTask(path, options.set));
  for (const std::string& file : options.text)
    tasks.push_back(TextTask(file, options.context, options.stride));
  for (size_t i = 0; i < tasks.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (tasks[i].name != tasks[k].name) continue;
      throw UserError({.what = fmt::format("two tasks named '{}'", tasks[i].name),
                       .where = "--task",
                       .expected = "a name of its own for each"});
    }
    CheckCanBeScored(tasks[i], options);
    CheckItems(tasks[i]);
  }
  return tasks;
}

// What tasks ask of a model.
void CheckModel(std::span<const TaskConfig> tasks, const TaskModel& model) {
  for (const TaskConfig& task : tasks) {
    if (task.kind != TaskKind::kPerplexity) PromptEncoder(task, model);
  }
}

// Answers to each item, for people and other programs: of a task that did not end in
// <task>.jsonl.part, so that those of an earlier one stay.
class OutputFile {
 public:
  OutputFile(const EvaluateOptions& options, const TaskConfig& task) {
    if (options.outputs.empty() || task.kind == TaskKind::kPerplexity) return;
    fs::create_directories(options.outputs);
    path_ = fs::path(options.outputs) / (task.name + ".jsonl");
    if (fs::is_directory(path_)) {
      throw UserError({.what = fmt::format("'{}' is a folder", path_.string()),
                       .where = "--outputs",
                       .expected = "a folder without one of this name"});
    }
    fs::remove(Part());
    file_ = std::make_unique<track::AppendFile>(Part());
  }
  std::function<void(const std::string&)> writer() {
    if (file_ == nullptr) return {};
    return [this](const std::string& json) { file_->Append(json + "\n"); };
  }
  void Finish() {
    if (file_ == nullptr) return;
    file_->Sync();
    fs::rename(Part(), path_);
  }

 private:
  fs::path Part() const { return path_.string() + ".part"; }
  fs::path path_;
  std::unique_ptr<track::AppendFile> file_;
};

struct Evaluated {
  std::string model;
  int64_t context = 0;  // of its hold-out
  fs::path run;
  std::vector<TaskResult> results;
  std::vector<Json> settings;  // of each
};

// What was asked, as far as it is not a task's default.
Json SettingsOf(const TaskConfig& task) {
  const TaskConfig plain;
  Json json = {{"files", task.files}};
  const auto add = [&](const char* key, const auto& value, const auto& otherwise) {
    if (value != otherwise) json[key] = value;
  };
  add("limit", task.limit, plain.limit);
  add("context", task.context, plain.context);
  add("stride", task.stride, plain.stride);
  add("shots", task.shots, plain.shots);
  add("shots_files", task.shots_files, plain.shots_files);
  add("chat", task.chat, plain.chat);
  add("max_tokens", task.max_tokens, plain.max_tokens);
  add("samples", task.samples, plain.samples);
  add("temperature", task.temperature, plain.temperature);
  add("seed", task.seed, plain.seed);
  return json;
}

Evaluated EvaluateModel(const fs::path& path, const EvaluateOptions& options,
                        std::span<const TaskConfig> tasks, bool keep_outputs, int64_t context,
                        const rlhf::LearnerFactory& factory) {
  SubjectOptions wanted{.best = options.best};
  if (tasks.empty()) wanted.context = context;
  if (!options.device.empty()) wanted.device = options.device;
  LanguageSubject subject = OpenLanguageModel(path, wanted, factory);
  Evaluated evaluated{.model = subject.name, .run = subject.run};
  if (tasks.empty()) {
    evaluated.results.push_back(EvaluateHoldOut(subject, options));
    evaluated.context = subject.config.data.context > 0 ? subject.config.data.context
                                                        : subject.learner->info().max_positions;
    evaluated.settings.push_back({{"files", options.data}, {"context", evaluated.context}});
    return evaluated;
  }
  CheckFit(subject.learner->info(), *subject.tokenizer, 0, "");
  const TaskModel model{
      .learner = *subject.learner, .tokenizer = *subject.tokenizer, .chat = subject.chat.get()};
  CheckModel(tasks, model);
  for (const TaskConfig& task : tasks) {
    std::optional<OutputFile> outputs;
    TaskRequest request;
    if (keep_outputs) request.on_item = outputs.emplace(options, task).writer();
    evaluated.results.push_back(RunTask(task, model, request));
    if (outputs) outputs->Finish();
    evaluated.settings.push_back(SettingsOf(task));
  }
  return evaluated;
}

Json ValueJson(const TaskMetric& metric) {
  const Interval interval = IntervalOf(metric);
  return {{"value", ValueOf(metric)}, {"ci95", {interval.low, interval.high}}};
}

// The fields of a metric and, beside another model, how far the two are apart.
Json MetricJson(const TaskMetric& metric, const TaskMetric* against, bool same_items) {
  Json json = ValueJson(metric);
  if (against == nullptr) return json;
  const MetricDifference difference = DifferenceOf(metric, *against, same_items);
  json["against"] = ValueJson(*against);
  json["difference"] = {{"value", difference.value}, {"ci95", nullptr}};
  if (difference.ci95) json["difference"]["ci95"] = {difference.ci95->low, difference.ci95->high};
  return json;
}

Json TaskJson(const TaskResult& result, const TaskResult* against) {
  const auto other = [&](size_t i) {
    return against != nullptr && i < against->metrics.size() ? &against->metrics[i] : nullptr;
  };
  const bool same_items = against != nullptr && result.asked == against->asked;
  Json json;
  json["metric"] = nullptr;  // not scored
  if (!result.metrics.empty()) {
    json["metric"] = result.metrics[0].name;
    json.update(MetricJson(result.metrics[0], other(0), same_items));
  }
  json["n"] = result.n;
  for (size_t i = 1; i < result.metrics.size(); ++i)
    json["metrics"][result.metrics[i].name] = MetricJson(result.metrics[i], other(i), same_items);
  if (!result.notes.empty()) json["notes"] = result.notes;
  return json;
}

Json ResultJson(const Evaluated& evaluated, const Evaluated* against) {
  Json json = {{"model", evaluated.model}};
  if (against != nullptr) json["against"] = against->model;
  for (size_t i = 0; i < evaluated.results.size(); ++i) {
    json["tasks"][evaluated.results[i].name] =
        TaskJson(evaluated.results[i], against != nullptr ? &against->results[i] : nullptr);
    json["tasks"][evaluated.results[i].name]["settings"] = evaluated.settings[i];
  }
  return json;
}

std::string NumberText(const TaskMetric& metric, double value) {
  return metric.is_share ? track::PercentText(value) : track::ShortNumber(value);
}

void PrintMetric(const TaskMetric& metric, const TaskMetric* against, bool same_items) {
  const Interval interval = IntervalOf(metric);
  std::printf("  %-20s %-10s 95 %% interval %s to %s\n", metric.name.c_str(),
              NumberText(metric, ValueOf(metric)).c_str(), NumberText(metric, interval.low).c_str(),
              NumberText(metric, interval.high).c_str());
  if (against == nullptr) return;
  const MetricDifference difference = DifferenceOf(metric, *against, same_items);
  std::string interval_text = "not the same items or windows";
  if (difference.ci95) {
    interval_text = fmt::format("95 % interval {} to {}", NumberText(metric, difference.ci95->low),
                                NumberText(metric, difference.ci95->high));
  }
  std::printf("  %-20s %-10s the other has %s; %s\n", "  difference",
              NumberText(metric, difference.value).c_str(),
              NumberText(*against, ValueOf(*against)).c_str(), interval_text.c_str());
}

void PrintTable(const Evaluated& evaluated, const Evaluated* against) {
  std::printf("%s%s\n", evaluated.model.c_str(),
              against != nullptr ? (" against " + against->model).c_str() : "");
  for (size_t i = 0; i < evaluated.results.size(); ++i) {
    const TaskResult& result = evaluated.results[i];
    std::printf("%s, n = %lld%s\n", result.name.c_str(), static_cast<long long>(result.n),
                result.metrics.empty() ? ", not scored" : "");
    for (const std::string& note : result.notes) std::printf("  (%s)\n", note.c_str());
    const TaskResult* other = against != nullptr ? &against->results[i] : nullptr;
    for (size_t k = 0; k < result.metrics.size(); ++k)
      PrintMetric(result.metrics[k], other != nullptr ? &other->metrics[k] : nullptr,
                  other != nullptr && result.asked == other->asked);
  }
}
}  // namespace

int EvaluateLanguage(const fs::path& path, const EvaluateOptions& options,
                     const rlhf::LearnerFactory& factory) {
  CheckOptions(options);
  const fs::path against = options.against.empty() ? "" : track::RunPath(options.against);
  if (!against.empty() && !IsLanguagePath(against)) {
    throw UserError({.what = fmt::format("'{}' is no language model", options.against),
                     .where = "--against",
                     .expected = "a Hugging Face folder, an adapter, a run or a checkpoint"});
  }
  const std::vector<TaskConfig> tasks = TasksOf(options);
  const Evaluated evaluated =
      EvaluateModel(path, options, tasks, /*keep_outputs=*/true, options.context, factory);
  std::optional<Evaluated> other;
  if (!against.empty())
    other =
        EvaluateModel(against, options, tasks, /*keep_outputs=*/false, evaluated.context, factory);
  const Json json = ResultJson(evaluated, other ? &*other : nullptr);
  if (options.json) {
    std::printf("%s\n", json.dump().c_str());
  } else {
    PrintTable(evaluated, other ? &*other : nullptr);
  }
  if (evaluated.run.empty()) return 0;
  try {
    const RunFolder folder{evaluated.run};
    track::AppendFile(folder.evaluations()).Append(json.dump() + "\n");
    if (fs::exists(folder.report())) track::WriteReport(folder.path);
  } catch (const Error& error) {  // somebody else's run may be there to be read only
    PAWL_LOG_WARN("the result is not kept: {}", error.what());
  }
  return 0;
}

}  // namespace pawl::train
