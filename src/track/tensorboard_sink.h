// TensorBoard event files without TensorBoard: one event per update with a scalar per metric, under
// the tags that Stable-Baselines3 uses (metric_table.h), at the environment step. Undefined values
// are left out. Written by the learner loop; resume first calls CutEventsBack (event_file.h).
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "track/append_file.h"
#include "track/event_file.h"
#include "track/sink.h"

namespace pawl::track {

class TensorboardSink : public Sink {
 public:
  // Goes on with the folder's last event file, or starts
  // events.out.tfevents.<seconds>.<host>.<process>.0. `wall_time_s` gives seconds since 1970
  // (TensorBoard's "relative" and "wall" axes); the system clock by default.
  explicit TensorboardSink(const std::filesystem::path& folder,
                           std::function<double()> wall_time_s = {});
  void Write(int64_t step, const Metrics& metrics) override;
  void Flush() override { file_.Sync(); }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  struct Tag {
    std::string text;  // "" = not written
    double scale = 1;
  };
  const Tag& TagOf(const std::string& name);

  std::function<double()> wall_time_s_;
  AppendFile file_;
  std::unordered_map<std::string, Tag> tags_;
  std::vector<Scalar> scalars_;
};

}  // namespace pawl::track
