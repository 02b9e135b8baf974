// A fixed set of threads for parallel loops: environment blocks, tiles of a matrix product, file
// shards. The calling thread works too, so a pool of size 1 has no threads at all. Which thread
// runs which index is not fixed: a loop body must not let its result depend on it. An idle thread
// spins for 50 us, so that loops which follow each other closely start in about a microsecond, and
// then sleeps.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace pawl::core {

// The processors this process may run on (its affinity mask), at least 1: the default everywhere a
// number of threads is asked for.
int NumCores();

class ThreadPool {
 public:
  // num_threads >= 1, the caller of Run included.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  // Calls f(i), or f(i, worker) with the worker's number in [0, size()) (for scratch memory), for i
  // in [0, n), each once; threads take the next index as they come free. Returns when all are done.
  // If calls throw, later indices may be left out, and the exception of the lowest index is
  // rethrown: always the same one, whatever the timing. One Run at a time; no Run from inside f.
  template <class F>
  void Run(int64_t n, const F& f) {
    RunJob(
        n,
        [](const void* body, int64_t i, [[maybe_unused]] int worker) {
          if constexpr (std::is_invocable_v<const F&, int64_t, int>) {
            (*static_cast<const F*>(body))(i, worker);
          } else {
            (*static_cast<const F*>(body))(i);
          }
        },
        &f);
  }

 private:
  struct Job {
    int64_t n = 0;
    void (*call)(const void* body, int64_t i, int worker) = nullptr;
    const void* body = nullptr;
    std::atomic<int64_t> next{0};
    std::atomic<int> workers{0};       // pool threads inside; changed under mutex_
    int64_t failed_index = INT64_MAX;  // guarded by mutex_
    std::exception_ptr failure;
  };
  void RunJob(int64_t n, void (*call)(const void*, int64_t, int), const void* body);
  void Work(Job& job, int worker);
  void ThreadMain(int worker);
  void Join();

  std::mutex mutex_;
  std::condition_variable has_job_;
  std::condition_variable job_done_;
  Job* job_ = nullptr;  // open for pool threads to join
  std::atomic<uint64_t> job_count_{
      0};  // a thread joins each job at most once; changed under mutex_
  bool stopping_ = false;
  std::atomic<bool> running_{false};
  std::vector<std::thread> threads_;
};

}  // namespace pawl::core
