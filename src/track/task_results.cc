#include "track/task_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "track/number_text.h"
#include "track/plot.h"

namespace pawl::track {
namespace {
using Json = nlohmann::ordered_json;

double Number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>()
                                                     : std::numeric_limits<double>::quiet_NaN();
}

std::string IntervalText(const TaskResult& result) {
  if (!std::isfinite(result.low) || !std::isfinite(result.high)) return "";
  return fmt::format("{} to {}", ShortNumber(result.low), ShortNumber(result.high));
}

TaskResult ResultOf(const std::string& model, const std::string& task, const Json& json) {
  TaskResult result{.model = model, .task = task};
  if (const auto metric = json.find("metric"); metric != json.end() && metric->is_string())
    result.metric = metric->get<std::string>();
  result.value = Number(json, "value");
  result.items = Number(json, "n");
  result.low = result.high = std::numeric_limits<double>::quiet_NaN();
  const auto interval = json.find("ci95");
  const bool pair = interval != json.end() && interval->is_array() && interval->size() == 2 &&
                    (*interval)[0].is_number() && (*interval)[1].is_number();
  if (pair) {
    result.low = (*interval)[0].get<double>();
    result.high = (*interval)[1].get<double>();
  }
  return result;
}
}  // namespace

std::vector<TaskResult> ReadTaskResults(const std::filesystem::path& path) {
  std::vector<TaskResult> results;
  std::ifstream file(path, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("model") || !json["model"].is_string()) continue;
    if (!json.contains("tasks") || !json["tasks"].is_object()) continue;
    for (const auto& [task, entry] : json["tasks"].items()) {
      if (!entry.is_object()) continue;
      const std::filesystem::path model = json["model"].get<std::string>();
      TaskResult result = ResultOf(model.filename().string(), task, entry);
      std::erase_if(results, [&](const TaskResult& old) {
        return old.model == result.model && old.task == result.task;
      });
      results.push_back(std::move(result));
    }
  }
  return results;
}

std::string ResultText(const TaskResult& result) {
  const std::string interval = IntervalText(result);
  return fmt::format("{} {}{}, n = {}", result.metric, ShortNumber(result.value),
                     interval.empty() ? "" : fmt::format(" ({})", interval),
                     ShortNumber(result.items, 12));
}

std::string TasksSection(const std::vector<TaskResult>& results) {
  if (results.empty()) return "";
  std::string rows =
      "<tr><th>task</th><th>metric</th><th>value</th><th>95 % interval</th><th>n</th>"
      "<th>model</th></tr>";
  for (const TaskResult& result : results) {
    rows += "<tr>";
    for (const std::string& cell :
         {result.task, result.metric, ShortNumber(result.value), IntervalText(result),
          ShortNumber(result.items, 12), result.model})
      rows += "<td>" + EscapeHtml(cell) + "</td>";
    rows += "</tr>";
  }
  return "<section><h2>Evaluations</h2><table>" + rows + "</table></section>\n";
}

}  // namespace pawl::track
