// What `pawl eval` found of a language run: the lines of evaluations.jsonl, for `pawl runs show`
// and the report. No state.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace pawl::track {

// The main metric of a task; `low` to `high` is its 95 % interval, NaN where there is none.
struct TaskResult {
  std::string model;  // the name of its checkpoint's folder
  std::string task, metric;
  double value = 0, low = 0, high = 0;
  double items = 0;
};

// The newest result of each model and task, in the order of the file. A missing file has none;
// lines that are torn are passed over.
std::vector<TaskResult> ReadTaskResults(const std::filesystem::path& path);
// "exact_match 0.31 (0.285 to 0.335), n = 1319".
std::string ResultText(const TaskResult& result);
// A section of the report; "" where there are none.
std::string TasksSection(const std::vector<TaskResult>& results);

}  // namespace pawl::track
