// Writes checkpoints in the background: the learner hands over copied bytes and goes on; one is
// written at a time, the next waits. An error of the writer (disk full) is thrown at the next call.
// Learner's thread calls; one own thread writes.
#pragma once
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "nn/checkpoint.h"

namespace pawl::train {

class CheckpointWriter {
 public:
  CheckpointWriter(std::filesystem::path root, int keep);
  ~CheckpointWriter();  // waits for the last write; its error is lost (call Wait first)
  // Waits for the write before, then starts this one: the checkpoint, then `after` (files that name
  // it), then the removal of old ones but those in `protect`, so that no file ever names a
  // checkpoint that is not there.
  // Memory behind `views` must stay as it is until Wait returns.
  void Start(int64_t step, nn::CheckpointFiles files, std::vector<int64_t> protect,
             std::function<void()> after = nullptr, nn::CheckpointViews views = {});
  // Returns when nothing is being written; throws what the last write threw. A disk that hangs
  // (AllowedSeconds) ends the program with one line: a thread inside a write cannot be given up.
  void Wait();
  // How long Wait waits for a checkpoint of this size: 300 s, and as long as a very slow disk
  // (10 MB/s) would take.
  static std::chrono::seconds AllowedSeconds(size_t size_bytes);

 private:
  struct Job {
    int64_t step;
    nn::CheckpointFiles files;
    std::vector<int64_t> protect;
    std::function<void()> after;
    nn::CheckpointViews views;
    size_t SizeBytes() const;
  };
  void Loop();
  std::filesystem::path root_;
  int keep_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Job> job_;  // guarded by mutex_; set while waiting or being written
  std::exception_ptr error_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace pawl::train
