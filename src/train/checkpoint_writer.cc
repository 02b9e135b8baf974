#include "train/checkpoint_writer.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/error.h"

namespace pawl::train {
namespace {
constexpr std::chrono::seconds kLeastDeadline{300};
constexpr size_t kSlowBytesPerSecond = 10'000'000;
}  // namespace

std::chrono::seconds CheckpointWriter::AllowedSeconds(size_t size_bytes) {
  return kLeastDeadline + std::chrono::seconds(size_bytes / kSlowBytesPerSecond);
}

size_t CheckpointWriter::Job::SizeBytes() const {
  size_t size = 0;
  for (const auto& [path, bytes] : files) size += bytes.size();
  for (const auto& [path, pieces] : views) {
    for (const auto& piece : pieces) size += piece.size();
  }
  return size;
}

CheckpointWriter::CheckpointWriter(std::filesystem::path root, int keep)
    : root_(std::move(root)), keep_(keep), thread_([this] { Loop(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CheckpointWriter::Start(int64_t step, nn::CheckpointFiles files, std::vector<int64_t> protect,
                             std::function<void()> after, nn::CheckpointViews views) {
  Wait();
  {
    std::lock_guard lock(mutex_);
    job_ = Job{step, std::move(files), std::move(protect), std::move(after), std::move(views)};
  }
  changed_.notify_all();
}

void CheckpointWriter::Wait() {
  std::unique_lock lock(mutex_);
  const auto allowed = AllowedSeconds(job_ ? job_->SizeBytes() : 0);
  if (!changed_.wait_for(lock, allowed, [this] { return !job_; })) {
    const Error error = RunError({.what = fmt::format("checkpoint {} is not written after {} s",
                                                      job_->step, allowed.count()),
                                  .where = root_.string(),
                                  .hint = "does the disk hang?"});
    std::fprintf(stderr, "pawl: %s\n", error.what());
    std::_Exit(error.exit_code());
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void CheckpointWriter::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return job_ || stop_; });
    if (!job_) return;
    // the job stays set (and untouched by others) while it is written
    const Job& job = *job_;
    lock.unlock();
    std::exception_ptr error;
    try {
      nn::CommitCheckpoint(root_, job.step, job.files, job.views);
      if (job.after) job.after();
      nn::PruneCheckpoints(root_, keep_, job.protect);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    error_ = error;
    job_.reset();
    changed_.notify_all();
  }
}

}  // namespace pawl::train
