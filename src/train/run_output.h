// Everything a training run shows and writes beside its checkpoints: progress line, log,
// metrics.jsonl, TensorBoard events, and at the end the summary, summary.json and report.html.
// Learner's thread.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "algos/ppo.h"
#include "track/jsonl_sink.h"
#include "track/progress_sink.h"
#include "track/tensorboard_sink.h"
#include "train/actors.h"
#include "train/evaluator.h"
#include "train/run_folder.h"

namespace pawl::train {

struct RunSummary {
  int64_t env_steps = 0, updates = 0;
  double time_s = 0;  // training, over all resumes
  double evaluation_s = 0, video_s = 0;
  bool stopped_early = false;
  bool video = false;
  std::optional<Evaluation> evaluation;
};

class RunOutput {
 public:
  RunOutput(const RunFolder& folder, const TrainConfig& config);
  ~RunOutput();

  // Cuts metrics and events back to a checkpoint (0: to nothing) and opens them.
  void CutBack(int64_t updates, int64_t env_steps);
  // The start-up lines.
  void Begin(const std::string& update_path, const ActorGroup& actors, int64_t env_steps);
  void Write(int64_t env_steps, const track::Metrics& metrics);
  void Flush();  // metrics and events onto the disk
  // A line of what the run does once training is over.
  void Closing(const std::string& what);
  void Interrupted(int64_t updates, int64_t env_steps);
  // The closing summary, summary.json and the report.
  void Finish(const RunSummary& summary);

 private:
  void PrintWhereTimeWent() const;
  void WriteSummary(const RunSummary& summary) const;

  RunFolder folder_;
  TrainConfig config_;
  std::unique_ptr<track::JsonlSink> jsonl_;
  std::unique_ptr<track::TensorboardSink> tensorboard_;
  std::unique_ptr<track::ProgressSink> progress_;
  track::Metrics last_;
  bool first_ = true;
};

}  // namespace pawl::train
