// One training run from config to report: `pawl train`. The config's stage decides which loop runs:
// a policy's (train_run.cc: collect, update, measure, save) or a language model's (language_run.h).
#pragma once
#include <string>
#include <vector>

namespace pawl::train {

struct TrainOptions {
  std::string config_path;
  std::string run_folder;                // "" = runs/<name of the config>
  std::vector<std::string> assignments;  // key=value
  bool resume = false;
  bool dry_run = false;
};

// Runs to the end; throws pawl::Error. Returns the exit code: 0, or 130 when interrupted (saved,
// can be resumed).
int Train(const TrainOptions& options);

}  // namespace pawl::train
