#include "core/thread_pool.h"

#include <algorithm>
#include <system_error>

#include "core/error.h"
#include "core/spin.h"

namespace pawl::core {

int NumCores() {
  // glibc counts the affinity mask, and answers 0 where it cannot
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

ThreadPool::ThreadPool(int num_threads) {
  PAWL_CHECK_GE(num_threads, 1, "threads of a pool");
  try {
    for (int i = 1; i < num_threads; ++i) threads_.emplace_back([this, i] { ThreadMain(i); });
  } catch (const std::system_error& error) {
    const size_t started = threads_.size();
    Join();
    throw RunError({.what = fmt::format("cannot start thread {} of {} ({})", started + 2,
                                        num_threads, error.code().message()),
                    .where = "a pool of threads",
                    .hint = "fewer threads, or a higher limit (ulimit -u)?"});
  }
}

ThreadPool::~ThreadPool() { Join(); }

void ThreadPool::Join() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  has_job_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::RunJob(int64_t n, void (*call)(const void*, int64_t, int), const void* body) {
  PAWL_CHECK(!running_.exchange(true), "ThreadPool::Run while another Run is under way");
  struct Running {
    std::atomic<bool>& flag;
    ~Running() { flag = false; }
  } running{running_};

  Job job;
  job.n = n;
  job.call = call;
  job.body = body;
  const bool shared = !threads_.empty() && n > 1;
  if (shared) {
    {
      std::lock_guard lock(mutex_);
      job_ = &job;
      ++job_count_;
    }
    has_job_.notify_all();
  }
  Work(job, 0);
  if (shared) {
    {
      std::lock_guard lock(mutex_);
      job_ = nullptr;  // nobody joins any more: the job lives on this stack
    }
    const auto done = [&] { return job.workers.load(std::memory_order_acquire) == 0; };
    SpinUntil(done);
    std::unique_lock lock(mutex_);
    job_done_.wait(lock, done);
  }
  if (job.failure) std::rethrow_exception(job.failure);
}

// Indices are handed out in ascending order, so every index below a failed one runs to its end: the
// lowest failure is the same in every run, although the rest is left out.
void ThreadPool::Work(Job& job, int worker) {
  for (int64_t i; (i = job.next.fetch_add(1, std::memory_order_relaxed)) < job.n;) {
    try {
      job.call(job.body, i, worker);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (i < job.failed_index) {
        job.failed_index = i;
        job.failure = std::current_exception();
      }
      job.next.store(job.n, std::memory_order_relaxed);
    }
  }
}

void ThreadPool::ThreadMain(int worker) {
  uint64_t last_job = 0;
  while (true) {
    SpinUntil([&] { return job_count_.load(std::memory_order_acquire) != last_job; });
    std::unique_lock lock(mutex_);
    if (!stopping_ && job_ == nullptr && job_count_ != last_job) {
      last_job = job_count_;  // over before this thread came: wait, awake, for the next one
      continue;
    }
    has_job_.wait(lock, [&] { return stopping_ || (job_ != nullptr && job_count_ != last_job); });
    if (stopping_) return;
    last_job = job_count_;
    Job& job = *job_;
    ++job.workers;
    lock.unlock();
    Work(job, worker);
    lock.lock();
    if (--job.workers == 0) job_done_.notify_one();
  }
}

}  // namespace pawl::core
