// What `pawl train` does around the loop of every stage: the dry run, the run folder, a run that is
// finished already, the log file.
#pragma once
#include <functional>
#include <string>

#include "train/run_config.h"
#include "train/run_folder.h"
#include "train/train_run.h"

namespace pawl::train {

struct StagePlan {
  RunConfig config;
  std::string dry_run_lines;  // what would run, each line indented by two
  // The loop; returns the exit code.
  std::function<int(const RunFolder& folder)> run;
};

// Everything that can be checked without a run folder has been checked before.
int Launch(const TrainOptions& options, const StagePlan& plan);

}  // namespace pawl::train
