// What a run of any stage shows and writes beside its checkpoints: progress line, log,
// metrics.jsonl, TensorBoard events, and at the end summary.json and report.html. Learner's thread.
#pragma once
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/error.h"
#include "track/jsonl_sink.h"
#include "track/progress_sink.h"
#include "track/tensorboard_sink.h"
#include "train/run_folder.h"

namespace pawl::train {

class RunOutput {
 public:
  explicit RunOutput(const RunFolder& folder) : folder_(folder) {}

  // Cuts metrics and events back to a checkpoint (0: to nothing). `step`: what Write was given.
  void CutBack(int64_t updates, int64_t step);
  // Opens them and begins the progress line, which is named after the folder.
  void Open(track::ProgressOptions progress);
  void Write(int64_t step, const track::Metrics& metrics);
  void Flush();  // metrics and events onto the disk
  // The progress line is over; what is printed next stands below it.
  void EndProgress() { progress_.reset(); }
  // A line of what the run does once training is over.
  void Closing(const std::string& what);
  // "interrupted after 3 updates (`steps`); saved. ..."
  void Interrupted(int64_t updates, const std::string& steps);
  // A line of shares of the phases' seconds ("learning" of learning_s); nothing where there are
  // none.
  void PrintWhereTimeWent(std::initializer_list<const char*> phases) const;
  // summary.json with the machine added, last of the run's own files: it marks the run as finished.
  // Then the report.
  void WriteSummary(nlohmann::ordered_json figures);
  const track::Metrics& last() const { return last_; }

 private:
  RunFolder folder_;
  std::unique_ptr<track::JsonlSink> jsonl_;
  std::unique_ptr<track::TensorboardSink> tensorboard_;
  std::unique_ptr<track::ProgressSink> progress_;
  track::Metrics last_;
};

// Throws the error of an update that failed once more, with what was left to look into it: `leave`
// writes that to `folder`, which is made here, and says what and where it is. Whatever goes wrong
// in there is added to the error's message, never put in its place.
[[noreturn]] void ThrowBadUpdate(const Error& error, const std::filesystem::path& folder,
                                 const std::function<std::string()>& leave);

}  // namespace pawl::train
