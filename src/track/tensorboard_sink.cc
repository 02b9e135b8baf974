#include "track/tensorboard_sink.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>

#include "track/metric_table.h"

namespace pawl::track {
namespace {
namespace fs = std::filesystem;

double SystemSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

fs::path EventFile(const fs::path& folder, double wall_time_s) {
  const auto files = FindEventFiles(folder);
  if (!files.empty()) return files.back();
  char host[256] = "localhost";
  ::gethostname(host, sizeof(host) - 1);
  return folder / fmt::format("events.out.tfevents.{}.{}.{}.0", static_cast<int64_t>(wall_time_s),
                              host, ::getpid());
}
}  // namespace

TensorboardSink::TensorboardSink(const fs::path& folder, std::function<double()> wall_time_s)
    : wall_time_s_(wall_time_s ? std::move(wall_time_s) : SystemSeconds),
      file_(EventFile(folder, wall_time_s_())) {
  if (fs::file_size(file_.path()) == 0)
    file_.Append(FrameRecord(EncodeFileVersion(wall_time_s_())));
}

const TensorboardSink::Tag& TensorboardSink::TagOf(const std::string& name) {
  const auto [slot, is_new] = tags_.try_emplace(name);
  if (is_new) {
    const MetricInfo* info = FindMetric(name);
    slot->second = {.text = TensorboardTag(name), .scale = info != nullptr ? info->tag_scale : 1};
  }
  return slot->second;
}

void TensorboardSink::Write(int64_t step, const Metrics& metrics) {
  scalars_.clear();
  for (const auto& [name, value] : metrics) {
    const Tag& tag = TagOf(name);
    if (tag.text.empty() || !std::isfinite(value)) continue;
    scalars_.push_back({.tag = tag.text, .value = static_cast<float>(tag.scale * value)});
  }
  if (!scalars_.empty()) file_.Append(FrameRecord(EncodeScalars(wall_time_s_(), step, scalars_)));
}

}  // namespace pawl::track
