// What the metrics of a run are called, measured in and mean: one table behind the TensorBoard tags
// and the report's plots. docs/metrics.md gives the formulas, and a test holds it to this table.
// Immutable.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace pawl::track {

struct MetricInfo {
  const char* name;   // key in metrics.jsonl
  const char* title;  // for people
  const char* unit;   // "steps", "s", "nats", "" where it has none
  const char* tag;    // TensorBoard, as Stable-Baselines3 names it where it has such a metric; "" =
                      // not written there
  double tag_scale = 1;  // value in TensorBoard = tag_scale * value in metrics.jsonl
};

std::span<const MetricInfo> MetricTable();
// nullptr for a metric that is not in the table.
const MetricInfo* FindMetric(std::string_view name);
// The table's tag, or "pawl/<name>" for a metric that is not in it.
std::string TensorboardTag(std::string_view name);

}  // namespace pawl::track
