#include "train/task_config.h"

#include <algorithm>
#include <filesystem>

namespace pawl::train {
namespace {

[[noreturn]] void Refuse(const std::string& path, const std::string& what,
                         const std::string& expected) {
  throw UserError({.what = what, .where = path, .expected = expected});
}

void CheckPrompts(const TaskConfig& task, const std::string& path) {
  const bool choice = task.kind == TaskKind::kChoice;
  if (task.prompt.empty()) Refuse(path, "no prompt", "prompt = \"{{ question }}\"");
  const bool judged = choice || task.judge != Judge::kProgram;
  if (judged && task.answer.empty()) Refuse(path, "no answer", "answer = \"{{ answer }}\"");
  if (choice && task.choices.empty() == task.choices_column.empty())
    Refuse(path, "no choices, or both kinds", "either choices or choices_column");
  if (choice && task.choices.size() == 1) Refuse(path, "one choice", "two or more");
  if (!choice && task.judge == Judge::kProgram && task.program.empty()) {
    Refuse(path, "judge = \"program\" without a program",
           "program = \"{{ prompt }}{{ completion }}\"");
  }
  if (task.chat && task.shots > 0) Refuse(path, "shots in a chat", "shots = 0, or chat = false");
}

void CheckJudge(const TaskConfig& task, const std::string& path) {
  for (const std::string& name : task.extract) {
    constexpr const char* kNames[] = {"gsm8k", "last_number", "boxed", "pattern"};
    if (std::ranges::find(kNames, name) == std::end(kNames))
      Refuse(path, fmt::format("extract '{}'", name), "gsm8k, last_number, boxed or pattern");
    if (name == "pattern" && task.pattern.empty())
      Refuse(path, "no pattern", "a regular expression");
  }
  for (const int64_t k : task.pass_at) {
    if (task.samples > 1 && k > task.samples)
      Refuse(path, fmt::format("pass@{} of {} samples", k, task.samples), "at most samples");
  }
  if (std::ranges::find(task.stop, "") != task.stop.end())
    Refuse(path, "an empty text in stop", "texts that end an answer");
  if (task.samples > 1 && task.temperature == 0)
    Refuse(path, "samples that are all the same", "temperature above 0");
  if (task.samples > 1 && task.judge == Judge::kBleu)
    Refuse(path, "BLEU of many samples", "samples = 1");
}

// A task's name is that of a file of --outputs.
void CheckName(const std::string& name, const std::string& path) {
  const bool plain =
      std::ranges::all_of(name, [](char c) { return c != '/' && c != 127 && (c < 0 || c >= 32); });
  if (!plain || name.empty() || name == "." || name == ".." || name.size() > 200)
    Refuse(path + ": name", fmt::format("a name of {} bytes that is no file's", name.size()),
           "letters and digits, at most 200");
}

void CheckTask(const TaskConfig& task, const std::string& path) {
  CheckName(task.name, path);
  for (const std::string& part : task.sandbox) {
    if (part.empty() || part.find('\0') != std::string::npos)
      Refuse(path + ": sandbox", "an empty part, or one with NUL", "a program and its arguments");
  }
  if (task.files.empty()) {
    throw UserError({.what = "no files",
                     .where = path + ": files",
                     .expected = "at least one",
                     .hint = "--set files='[\"data.jsonl\"]'"});
  }
  if (task.kind == TaskKind::kPerplexity) {
    if (task.context > 0 && task.stride > task.context)
      Refuse(path + ": stride", "longer than the context", "windows that leave nothing out");
    return;
  }
  CheckPrompts(task, path);
  if (task.kind == TaskKind::kGenerate) CheckJudge(task, path);
}
}  // namespace

TaskConfig ReadTask(const std::string& path, const std::vector<std::string>& assignments) {
  core::Table table = core::Table::ParseFile(path);
  for (const std::string& assignment : assignments) table = table.WithOverride(assignment);
  TaskConfig task;
  core::LoadConfig(table, task);
  if (task.name.empty()) task.name = std::filesystem::path(path).stem().string();
  CheckTask(task, path);
  return task;
}

TaskConfig TextTask(const std::string& file, int64_t context, int64_t stride) {
  TaskConfig task;
  task.name = std::filesystem::path(file).stem().string();
  task.files = {file};
  task.context = context;
  task.stride = stride;
  CheckTask(task, "--text");
  return task;
}

}  // namespace pawl::train
