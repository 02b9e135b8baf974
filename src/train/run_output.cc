#include "train/run_output.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/log.h"
#include "track/event_file.h"
#include "track/metrics_file.h"
#include "track/report.h"

namespace pawl::train {

void RunOutput::CutBack(int64_t updates, int64_t step) {
  track::CutMetricsBack(folder_.metrics(), updates);
  track::CutEventsBack(folder_.path, step);
  last_ = track::ReadLastMetrics(folder_.metrics());
  if (updates > 0 && track::Value(last_, "updates") != static_cast<double>(updates)) {
    PAWL_LOG_WARN("{} lacks the rows up to update {}: curves will have a gap",
                  folder_.metrics().string(), updates);
  }
}

void RunOutput::Open(track::ProgressOptions progress) {
  jsonl_ = std::make_unique<track::JsonlSink>(folder_.metrics());
  tensorboard_ = std::make_unique<track::TensorboardSink>(folder_.path);
  progress.name = folder_.path.filename().string();
  progress_ = std::make_unique<track::ProgressSink>(std::move(progress));
}

void RunOutput::Write(int64_t step, const track::Metrics& metrics) {
  jsonl_->Write(step, metrics);
  tensorboard_->Write(step, metrics);
  progress_->Write(step, metrics);
  last_ = metrics;
}

void RunOutput::Flush() {
  jsonl_->Flush();
  tensorboard_->Flush();
}

void RunOutput::Interrupted(int64_t updates, const std::string& steps) {
  EndProgress();
  Flush();
  std::printf(
      "interrupted after %lld updates (%s); saved. Go on with the same command and --resume\n",
      static_cast<long long>(updates), steps.c_str());
}

void RunOutput::Closing(const std::string& what) {
  EndProgress();
  PAWL_LOG_INFO("{}", what);
}

void RunOutput::PrintWhereTimeWent(std::initializer_list<const char*> phases) const {
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

void RunOutput::WriteSummary(nlohmann::ordered_json figures) {
  figures["machine"] = track::DescribeMachine();
  core::WriteFileAtomic(folder_.summary(), figures.dump(1) + "\n");
  track::WriteReport(folder_.path);
}

void ThrowBadUpdate(const Error& error, const std::filesystem::path& folder,
                    const std::function<std::string()>& leave) {
  std::string left;
  try {
    std::filesystem::create_directories(folder);
    left = leave();
  } catch (const std::exception& second) {
    left = fmt::format("what led to it could not be written ({})", second.what());
  }
  throw Error(fmt::format("{}; {}", error.what(), left), error.exit_code());
}

}  // namespace pawl::train
