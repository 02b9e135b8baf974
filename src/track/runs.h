// The runs on this disk: a run is a folder with config.toml and metrics.jsonl. Behind `pawl runs`
// and the report. Nothing is indexed: folders are read when asked. Thread-safe (no state).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "track/sink.h"
#include "track/task_results.h"

namespace pawl::track {

enum class RunStatus : uint8_t {
  kFinished,     // summary.json is there
  kRunning,      // a process holds the run's lock
  kInterrupted,  // neither: can go on with --resume
  kUnreadable,   // listed, but its files cannot be read
};
const char* Name(RunStatus status);

// The evaluation at the end of a run (summary.json); NaN where undefined.
struct RunEvaluation {
  double episodes = 0;
  double return_mean = 0, return_low = 0, return_high = 0;
  double success_rate = 0, success_low = 0, success_high = 0;
  double episode_length_mean = 0;
};

// The loss on held-out text at the end of a language run (summary.json); NaN where undefined.
struct RunLoss {
  double loss = 0, perplexity = 0, targets = 0;
};

struct RunInfo {
  std::filesystem::path path;
  std::string name;  // relative to the folder that was scanned
  RunStatus status = RunStatus::kInterrupted;
  // from config.toml, "" where it does not say; of a language run the model and its stage
  std::string env, algorithm;
  int64_t seed = 0, total_steps = 0;
  int64_t total_updates = 0;  // of a language run; 0 of others
  int64_t modified_s = 0;     // when metrics.jsonl was last written, seconds since 1970
  Metrics last;               // the last line of metrics.jsonl
  std::string machine;        // summary.json: what it ran on, "" where it does not say
  int64_t best_step = -1;     // best.json: of the best evaluation during training, -1 for none
  double best_score = 0;      // its success rate, or return where there is no success; or its loss
  std::optional<RunEvaluation> evaluation;
  std::optional<RunLoss> loss;
  std::vector<TaskResult> tasks;  // of a language run
  bool is_language() const { return total_updates > 0; }
};

bool IsRunFolder(const std::filesystem::path& folder);
// The folder that a user means: a path, or a name as `pawl runs list` shows it (under runs/).
std::filesystem::path RunPath(const std::filesystem::path& name);
// Throws UserError where the folder is no run.
RunInfo ReadRun(const std::filesystem::path& folder);
// The runs in a folder and in its sub-folders, four levels deep; newest last. A damaged one is
// listed with what could be read. Throws UserError where there is no such folder.
std::vector<RunInfo> ScanRuns(const std::filesystem::path& root);

// A table for people, one line per run.
std::string RunsTable(std::span<const RunInfo> runs);
// Everything known of one run, one fact per line.
std::string RunText(const RunInfo& run);

// "AMD EPYC 7543 32-Core Processor, 2 threads": this machine's processor, for summary.json.
std::string DescribeMachine();

}  // namespace pawl::track
