#include "train/run_checkpoints.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/log.h"

namespace pawl::train {
namespace {
// checkpoint.every_updates = 0 aims at this much work between two checkpoints
constexpr double kWorkSeconds = 1.5;
// and at this much for each second that handing one over took (gigabytes of a language model)
constexpr double kWorkPerSave = 20;

std::string BestJson(const BestScore& best) {
  const nlohmann::json json = {{"step", best.step}, {"score", best.score}};
  return json.dump() + "\n";
}
}  // namespace

std::optional<FoundCheckpoint> RunCheckpoints::TakeNewest() {
  std::vector<std::string> skipped;
  auto found = NewestCheckpoint(folder_.checkpoints(), skipped);
  for (const auto& line : skipped) PAWL_LOG_WARN("{}", line);
  for (const auto& ref : nn::ListCheckpoints(folder_.checkpoints())) {
    if (!found || ref.step > found->step) nn::SetCheckpointAside(ref.folder);
  }
  return found;
}

void RunCheckpoints::Begin(int64_t updates, bool saved) {
  first_ = updates;
  last_ = saved ? updates : -1;
}

bool RunCheckpoints::Due(int64_t updates) const {
  int64_t every = config_.every_updates;
  if (every == 0) {
    const double per_update =
        (core::MonotonicSeconds() - started_) / static_cast<double>(updates - first_);
    const double work = std::max(kWorkSeconds, kWorkPerSave * save_s_);
    every = std::max<int64_t>(1, static_cast<int64_t>(work / per_update));
  }
  return updates - std::max(last_, first_) >= every;
}

void RunCheckpoints::Save(int64_t step, int64_t updates, nn::CheckpointFiles files,
                          const BestScore& best, nn::CheckpointViews views) {
  const double begin = core::MonotonicSeconds();
  std::vector<int64_t> protect;
  if (best.step >= 0) protect.push_back(best.step);
  std::function<void()> after;
  if (best.step == step) {
    after = [path = folder_.best(), text = BestJson(best)] { core::WriteFileAtomic(path, text); };
  }
  const bool borrowed = !views.empty();
  writer_.Start(step, std::move(files), protect, std::move(after), std::move(views));
  if (borrowed) writer_.Wait();
  last_ = updates;
  save_s_ = core::MonotonicSeconds() - begin;
}

void RunCheckpoints::WriteBest(const BestScore& best) const {
  if (best.step >= 0) core::WriteFileAtomic(folder_.best(), BestJson(best));
}

}  // namespace pawl::train
