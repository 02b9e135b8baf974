#include "train/run_output.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "track/event_file.h"
#include "track/metrics_file.h"
#include "track/report.h"

namespace pawl::train {

RunOutput::RunOutput(const RunFolder& folder, const TrainConfig& config)
    : folder_(folder), config_(config) {}
RunOutput::~RunOutput() = default;

void RunOutput::CutBack(int64_t updates, int64_t env_steps) {
  track::CutMetricsBack(folder_.metrics(), updates);
  track::CutEventsBack(folder_.path, env_steps);
  last_ = track::ReadLastMetrics(folder_.metrics());
  if (updates > 0 && track::Value(last_, "updates") != static_cast<double>(updates)) {
    PAWL_LOG_WARN("{} lacks the rows up to update {}: curves will have a gap",
                  folder_.metrics().string(), updates);
  }
}

void RunOutput::Begin(const std::string& update_path, const ActorGroup& actors, int64_t env_steps) {
  jsonl_ = std::make_unique<track::JsonlSink>(folder_.metrics());
  tensorboard_ = std::make_unique<track::TensorboardSink>(folder_.path);
  PAWL_LOG_INFO("{} in {}: {} environment{} on {}, update by {}", config_.env.id,
                folder_.path.string(), config_.env.num_envs, config_.env.num_envs == 1 ? "" : "s",
                actors.Description(), update_path);
  progress_ = std::make_unique<track::ProgressSink>(
      track::ProgressOptions{.name = folder_.path.filename().string(),
                             .total_steps = config_.total_steps,
                             .first_step = env_steps});
}

void RunOutput::Write(int64_t env_steps, const track::Metrics& metrics) {
  jsonl_->Write(env_steps, metrics);
  tensorboard_->Write(env_steps, metrics);
  progress_->Write(env_steps, metrics);
  last_ = metrics;
  if (std::exchange(first_, false)) {
    PAWL_LOG_DEBUG("first update done; largest log-ratio of its first minibatch {:g}",
                   track::Value(metrics, "first_minibatch_max_log_ratio"));
  }
}

void RunOutput::Flush() {
  jsonl_->Flush();
  tensorboard_->Flush();
}

void RunOutput::Interrupted(int64_t updates, int64_t env_steps) {
  progress_.reset();
  Flush();
  std::printf(
      "interrupted after %lld updates (%lld steps); saved. Go on with the same command and "
      "--resume\n",
      static_cast<long long>(updates), static_cast<long long>(env_steps));
}

void RunOutput::Closing(const std::string& what) {
  progress_.reset();
  PAWL_LOG_INFO("{}", what);
}

void RunOutput::Finish(const RunSummary& summary) {
  progress_.reset();
  Flush();
  std::printf("\n%s: %lld steps, %lld updates in %.1f s of training%s\n", config_.env.id.c_str(),
              static_cast<long long>(summary.env_steps), static_cast<long long>(summary.updates),
              summary.time_s,
              summary.stopped_early ? " (stopped early: the evaluation reached its goal)" : "");
  if (summary.evaluation) {
    const Evaluation& e = *summary.evaluation;
    if (e.has_success) {
      std::printf("  success       %5.1f %%   (95 %% interval %.1f to %.1f, %zu %s episodes)\n",
                  100 * e.success_rate, 100 * e.success_ci95.low, 100 * e.success_ci95.high,
                  e.episodes.size(), config_.eval.deterministic ? "deterministic" : "stochastic");
    }
    std::printf("  return        %7.2f   (95 %% interval %.2f to %.2f)\n", e.return_mean,
                e.return_ci95.low, e.return_ci95.high);
  }
  PrintWhereTimeWent();
  if (summary.evaluation) std::printf("  and then      evaluation %.1f s", summary.evaluation_s);
  if (summary.video)
    std::printf("%s video %.1f s", summary.evaluation ? "," : "  and then     ", summary.video_s);
  if (summary.evaluation || summary.video) std::printf("\n");
  WriteSummary(summary);
  track::WriteReport(folder_.path);
  std::printf("  checkpoint    %s\n",
              nn::CheckpointFolder(folder_.checkpoints(), summary.env_steps).c_str());
  if (summary.video) std::printf("  video         %s\n", folder_.video().c_str());
  std::printf("  report        %s\n", folder_.report().c_str());
}

void RunOutput::PrintWhereTimeWent() const {
  const char* const phases[] = {"physics",  "observation", "inference",
                                "learning", "transport",   "other"};
  double total = 0;
  for (const char* phase : phases) total += track::Value(last_, std::string(phase) + "_s");
  if (!(total > 0)) return;
  std::printf("  time went to ");
  const char* separator = "";
  for (const char* phase : phases) {
    std::printf("%s %.0f %% %s", separator,
                100 * track::Value(last_, std::string(phase) + "_s") / total, phase);
    separator = ",";
  }
  std::printf("\n");
}

// Written last of the run's own files: it marks the run as finished.
void RunOutput::WriteSummary(const RunSummary& summary) const {
  nlohmann::ordered_json json;
  if (summary.evaluation) json = ToJson(*summary.evaluation);
  json.update({{"env_steps", summary.env_steps},
               {"updates", summary.updates},
               {"time_s", summary.time_s},
               {"evaluation_s", summary.evaluation_s},
               {"video_s", summary.video_s},
               {"stopped_early", summary.stopped_early},
               {"machine", track::DescribeMachine()}});
  core::WriteFileAtomic(folder_.summary(), json.dump(1) + "\n");
}

}  // namespace pawl::train
