// The closing figures of a policy's run: on the terminal, in summary.json, and with them the
// report. Learner's thread.
#pragma once
#include <optional>

#include "train/evaluator.h"
#include "train/run_output.h"
#include "train/train_config.h"

namespace pawl::train {

struct RunSummary {
  int64_t env_steps = 0, updates = 0;
  double time_s = 0;  // training, over all resumes
  double evaluation_s = 0, video_s = 0;
  bool stopped_early = false;
  bool video = false;
  std::optional<Evaluation> evaluation;
};

void FinishPpo(const RunSummary& summary, const TrainConfig& config, const RunFolder& folder,
               RunOutput& output);

}  // namespace pawl::train
