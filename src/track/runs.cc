#include "track/runs.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/thread_pool.h"
#include "track/metrics_file.h"
#include "track/number_text.h"

namespace pawl::track {
namespace {
namespace fs = std::filesystem;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kMaxDepth = 4;

int64_t ModifiedSeconds(const fs::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? int64_t{info.st_mtime} : 0;
}

// Whether a process holds the run (train/run_folder.cc), as it does while it writes it.
bool IsLocked(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

// "llama 4 x 128", or the name of the folder that the model started from.
std::string ModelText(const toml::table& config) {
  const auto path = config.at_path("model.path").value_or(std::string());
  if (!path.empty()) {  // a run's model/ says nothing without the run
    const fs::path folder(path);
    const std::string name = folder.filename().string();
    return name == "model" || name == "best_model"
               ? (folder.parent_path().filename() / name).string()
               : name;
  }
  return fmt::format("{} {} x {}", config.at_path("model.family").value_or(std::string()),
                     config.at_path("model.layers").value_or(int64_t{0}),
                     config.at_path("model.width").value_or(int64_t{0}));
}

void ReadConfig(const fs::path& path, RunInfo& run) {
  try {
    const toml::table config = toml::parse(core::ReadTextFile(path));
    run.env = config.at_path("env.id").value_or(std::string());
    run.seed = config["seed"].value_or(int64_t{0});
    run.total_steps = config["total_steps"].value_or(int64_t{0});
    run.algorithm = config.contains("ppo") ? "PPO" : "";
    const auto stage = config["stage"].value_or(std::string());
    if (stage == "pretrain" || stage == "sft") {
      run.algorithm = stage;
      run.env = ModelText(config);
      run.total_updates = config["total_updates"].value_or(int64_t{0});
    }
  } catch (const toml::parse_error&) {
    // a damaged config is still a run to be listed
  }
}

double Number(const nlohmann::json& value) {
  return value.is_number() ? value.get<double>() : kNaN;
}

void ReadInterval(const nlohmann::json& object, const char* key, double& low, double& high) {
  const auto found = object.find(key);
  const bool pair = found != object.end() && found->is_array() && found->size() == 2;
  low = pair ? Number((*found)[0]) : kNaN;
  high = pair ? Number((*found)[1]) : kNaN;
}

void ReadSummary(const fs::path& path, RunInfo& run) {
  const auto object =
      nlohmann::json::parse(core::ReadTextFile(path), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return;
  const auto number = [&object](const char* key) {
    return Number(object.value(key, nlohmann::json()));
  };
  if (object.contains("machine") && object["machine"].is_string()) run.machine = object["machine"];
  if (object.contains("eval_loss") && object["eval_loss"].is_number())
    run.loss = {number("eval_loss"), number("eval_perplexity"), number("eval_targets")};
  if (!object.contains("return_mean")) return;
  RunEvaluation& evaluation = run.evaluation.emplace();
  evaluation.episodes = number("episodes");
  evaluation.return_mean = number("return_mean");
  evaluation.success_rate = number("success_rate");
  evaluation.episode_length_mean = number("episode_length_mean");
  ReadInterval(object, "return_ci95", evaluation.return_low, evaluation.return_high);
  ReadInterval(object, "success_ci95", evaluation.success_low, evaluation.success_high);
}

void Scan(const fs::path& folder, const fs::path& root, int depth, std::vector<RunInfo>& runs) {
  if (IsRunFolder(folder)) {
    try {
      runs.push_back(ReadRun(folder));
    } catch (const std::exception&) {  // one bad run must not hide the others
      runs.push_back({.path = folder, .name = folder.filename().string()});
      runs.back().status = RunStatus::kUnreadable;
    }
    const fs::path relative = fs::relative(folder, root);
    if (relative != ".") runs.back().name = relative.string();
    return;
  }
  if (depth == kMaxDepth) return;
  std::error_code ignored;
  for (const auto& entry :
       fs::directory_iterator(folder, fs::directory_options::skip_permission_denied, ignored)) {
    if (entry.is_directory(ignored) && !entry.is_symlink(ignored))
      Scan(entry.path(), root, depth + 1, runs);
  }
}

std::string DateText(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm local{};
  ::localtime_r(&time, &local);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &local)};
}

// "12.3 (10.1 to 14.5)".
std::string WithInterval(double value, double low, double high, std::string (*text)(double)) {
  if (!std::isfinite(low) || !std::isfinite(high)) return text(value);
  return fmt::format("{} ({} to {})", text(value), text(low), text(high));
}
std::string ReturnText(double value) { return ShortNumber(value); }
}  // namespace

const char* Name(RunStatus status) {
  static constexpr const char* kNames[] = {"finished", "running", "interrupted", "unreadable"};
  return kNames[static_cast<size_t>(status)];
}

bool IsRunFolder(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "config.toml", ignored) &&
         fs::exists(folder / "metrics.jsonl", ignored);
}

fs::path RunPath(const fs::path& name) {
  std::error_code ignored;
  const fs::path listed = fs::path("runs") / name;
  return !fs::exists(name, ignored) && fs::exists(listed, ignored) ? listed : name;
}

RunInfo ReadRun(const fs::path& folder) {
  if (!IsRunFolder(folder)) {
    throw UserError({.what = fmt::format("'{}' is no run", folder.string()),
                     .expected = "a folder with config.toml and metrics.jsonl",
                     .hint = "`pawl runs list` shows the runs"});
  }
  RunInfo run;
  run.path = folder;
  // "runs/a/" ends in an empty file name
  run.name = fs::absolute(folder / ".").lexically_normal().parent_path().filename().string();
  ReadConfig(folder / "config.toml", run);
  run.last = ReadLastMetrics(folder / "metrics.jsonl");
  run.modified_s = ModifiedSeconds(folder / "metrics.jsonl");
  if (fs::exists(folder / "best.json")) {
    const auto best =
        nlohmann::json::parse(core::ReadTextFile(folder / "best.json"), nullptr, false);
    if (best.is_object() && best.contains("step") && best["step"].is_number_integer()) {
      run.best_step = best["step"];
      run.best_score = Number(best.value("score", nlohmann::json()));
    }
  }
  run.tasks = ReadTaskResults(folder / "evaluations.jsonl");
  if (fs::exists(folder / "summary.json")) {
    run.status = RunStatus::kFinished;
    ReadSummary(folder / "summary.json", run);
  } else if (IsLocked(folder)) {
    run.status = RunStatus::kRunning;
  }
  return run;
}

std::vector<RunInfo> ScanRuns(const fs::path& root) {
  if (!fs::is_directory(root)) {
    throw UserError({.what = fmt::format("there is no folder '{}'", root.string()),
                     .expected = "a folder with runs in it",
                     .hint = "`pawl train` makes them under runs/"});
  }
  std::vector<RunInfo> runs;
  Scan(root, root, 0, runs);
  std::sort(runs.begin(), runs.end(), [](const RunInfo& a, const RunInfo& b) {
    return a.modified_s != b.modified_s ? a.modified_s < b.modified_s : a.name < b.name;
  });
  return runs;
}

std::string RunsTable(std::span<const RunInfo> runs) {
  size_t name_width = 4, env_width = 11;
  bool language = false;  // a column more
  for (const RunInfo& run : runs) {
    name_width = std::max(name_width, run.name.size());
    env_width = std::max(env_width, run.env.size());
    language |= run.is_language();
  }
  const auto row = [&](const std::string& name, const std::string& env, const std::string& steps,
                       const std::string& reward, const std::string& success,
                       const std::string& loss, const std::string& written,
                       const std::string& status) {
    return fmt::format("{:<{}}  {:<{}}  {:>7}  {:>9}  {:>9}  {}{:<16}  {}\n", name, name_width, env,
                       env_width, steps, reward, success,
                       language ? fmt::format("{:>9}  ", loss) : "", written, status);
  };
  std::string table =
      row("run", "environment", "steps", "return", "success", "loss", "last written", "status");
  for (const RunInfo& run : runs) {
    const bool evaluated = run.evaluation.has_value();
    const double reward =
        evaluated ? run.evaluation->return_mean : Value(run.last, "episode_return");
    const double success =
        evaluated ? run.evaluation->success_rate : Value(run.last, "success_rate");
    const double loss = run.loss ? run.loss->loss : Value(run.last, "loss");
    table += row(
        run.name, run.env, CountText(Value(run.last, run.is_language() ? "tokens" : "env_steps")),
        ShortNumber(reward), PercentText(success), ShortNumber(run.is_language() ? loss : kNaN),
        DateText(run.modified_s), Name(run.status));
  }
  return table;
}

namespace {
using Line = std::function<void(const char* key, const std::string& value)>;

void PolicyText(const RunInfo& run, const Line& line) {
  line("steps", fmt::format("{} of {}", CountText(Value(run.last, "env_steps")),
                            CountText(static_cast<double>(run.total_steps))));
  line("updates", ShortNumber(Value(run.last, "updates"), 12));
  line("wall time", DurationText(Value(run.last, "time_s")));
  line("return", ShortNumber(Value(run.last, "episode_return")) + " (last 100 training episodes)");
  if (std::isfinite(Value(run.last, "success_rate"))) {
    line("success", PercentText(Value(run.last, "success_rate")) + " (last 100 training episodes)");
  }
  if (run.evaluation) {
    const RunEvaluation& e = *run.evaluation;
    line("evaluation", ShortNumber(e.episodes) + " episodes; 95 % intervals in brackets");
    line("  return", WithInterval(e.return_mean, e.return_low, e.return_high, ReturnText));
    line("  success", WithInterval(e.success_rate, e.success_low, e.success_high, PercentText));
    line("  length", ShortNumber(e.episode_length_mean) + " steps");
  }
  if (run.best_step >= 0) {
    line("best",
         fmt::format("{} at {} steps (in training; `pawl eval --best`)",
                     ShortNumber(run.best_score), CountText(static_cast<double>(run.best_step))));
  }
}

void LanguageText(const RunInfo& run, const Line& line) {
  line("updates",
       fmt::format("{} of {}", ShortNumber(Value(run.last, "updates"), 12), run.total_updates));
  line("tokens", CountText(Value(run.last, "tokens")));
  line("wall time", DurationText(Value(run.last, "time_s")));
  line("loss", ShortNumber(Value(run.last, "loss")) + " nats (last update)");
  if (run.loss) {
    line("evaluation",
         fmt::format("{} nats, perplexity {} ({} held-out tokens)", ShortNumber(run.loss->loss),
                     ShortNumber(run.loss->perplexity), CountText(run.loss->targets)));
  }
  for (const TaskResult& result : run.tasks) {
    line("task", fmt::format("{}: {}; {}", result.task, ResultText(result), result.model));
  }
  if (run.best_step >= 0) {
    line("best", fmt::format("{} nats after {} updates (in training; `pawl eval --best`)",
                             ShortNumber(run.best_score), run.best_step));
  }
}
}  // namespace

std::string RunText(const RunInfo& run) {
  std::string text;
  const auto line = [&text](const char* key, const std::string& value) {
    if (!value.empty() && value != "-") text += fmt::format("{:<15} {}\n", key, value);
  };
  line("run", run.path.string());
  line("status", Name(run.status));
  line(run.is_language() ? "model" : "environment", run.env);
  line(run.is_language() ? "stage" : "algorithm", run.algorithm);
  line("seed", std::to_string(run.seed));
  run.is_language() ? LanguageText(run, line) : PolicyText(run, line);
  line("machine", run.machine);
  line("last written", DateText(run.modified_s));
  return text;
}

std::string DescribeMachine() {
  std::ifstream info("/proc/cpuinfo");
  std::string line, model = "unknown processor";
  while (std::getline(info, line)) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      model = line.substr(colon + 2);
      break;
    }
  }
  return fmt::format("{}, {} threads", model, core::NumCores());
}

}  // namespace pawl::track
