#include "train/run_checkpoints.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/log.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;
// checkpoint.every_updates = 0 aims at this much work between two checkpoints
constexpr double kWorkSeconds = 1.5;
// and at this much for each second that handing one over took (gigabytes of a language model)
constexpr double kWorkPerSave = 20;

std::string BestJson(const BestScore& best) {
  const nlohmann::json json = {{"step", best.step}, {"score", best.score}};
  return json.dump() + "\n";
}
}  // namespace

std::optional<FoundCheckpoint> RunCheckpoints::FindNewest() const {
  std::vector<std::string> refused;
  auto found = NewestCheckpoint(folder_.checkpoints(), refused);
  if (!found && refused.empty() && fs::exists(folder_.summary())) {
    throw RunError({.what = fmt::format("'{}' is finished, but its checkpoints are gone",
                                        folder_.path.string()),
                    .hint = "nothing was changed; --run DIR starts a new run"});
  }
  if (!found && !refused.empty()) {
    throw RunError({.what = fmt::format("none of the {} checkpoints of '{}' can be read ({})",
                                        refused.size(), folder_.path.string(), refused.front()),
                    .hint = "nothing was changed; is the disk sound? --run DIR starts a new run"});
  }
  for (const auto& line : refused) PAWL_LOG_WARN("{}", line);
  return found;
}

void RunCheckpoints::Begin(int64_t updates, const FoundCheckpoint* from, const BestScore& best) {
  first_ = updates;
  last_ = from != nullptr ? updates : -1;
  if (from == nullptr) return;
  for (const auto& ref : nn::ListCheckpoints(folder_.checkpoints())) {
    if (ref.step > from->step) nn::SetCheckpointAside(ref.folder);
  }
  if (best.step >= 0) core::WriteFileAtomic(folder_.best(), BestJson(best));
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

}  // namespace pawl::train
