// Helpers of the training tests: whole runs in a temporary folder, compared without their clocks.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "track/metrics_file.h"
#include "train/train_run.h"

namespace pawl::train {

// A file system in memory where there is one with room, else the temporary directory: for tests
// that save hundreds of times, whose waits for a disk would be most of their time. (A SIGKILL loses
// nothing that the kernel has been given, so they see the same on either.)
std::filesystem::path FastFolder();

// A fresh folder under the test's temporary directory, removed at the end.
class TempFolder {
 public:
  explicit TempFolder(const std::filesystem::path& root = std::filesystem::temp_directory_path());
  ~TempFolder();
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A small Pendulum config (8 environments, 6 updates, both normalisers) written to `path`.
std::filesystem::path WriteSmallConfig(const std::filesystem::path& path,
                                       const std::string& more = "");

// Every file of a run by its relative path, but log.txt: what a refused resume must not change.
std::map<std::string, std::string> FilesOf(const std::filesystem::path& run);

// Runs `pawl train` in this process; returns its exit code.
int RunTraining(const std::filesystem::path& config, const std::filesystem::path& run,
                std::vector<std::string> assignments = {}, bool resume = false);

// metrics.jsonl without the fields of clock and memory, one text per update.
std::vector<std::string> MetricsWithoutClocks(const std::filesystem::path& run);
// policy and training state of the newest checkpoint, as bytes.
std::string NewestState(const std::filesystem::path& run);

}  // namespace pawl::train
