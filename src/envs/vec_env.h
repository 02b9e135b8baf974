// A pool of environments on threads, for library users and benchmarks: Step steps all of them, Send
// and Recv let the fast ones run ahead of the slow ones. Rows of the caller's arrays belong to
// environments: results are written straight there. One thread calls it (the caller is also one of
// the working threads); what comes out does not depend on the threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "envs/env_block.h"

namespace pawl::envs {

struct VecEnvOptions {
  int num_threads = 0;  // the caller's included; 0: one per core
  EnvBlockOptions block;
};

// Where results go, row env_idx for environment env_idx. The caller keeps them alive until the next
// Reset or the end, and reads a row only while its environment is not stepping.
struct VecEnvSlots {
  std::span<double> observations;        // [N, O] where the policy acts next
  std::span<double> final_observations;  // [N, O] written where an episode ended
  std::span<StepResult> results;         // [N]
};

class VecEnv {
 public:
  // Makes config.num_envs environments. Throws UserError for a bad config.
  VecEnv(const EnvConfig& config, uint64_t seed, VecEnvOptions options = {});
  ~VecEnv();
  VecEnv(const VecEnv&) = delete;
  VecEnv& operator=(const VecEnv&) = delete;

  const EnvSpec& Spec() const { return envs_[0].block.Spec(); }
  int num_envs() const { return static_cast<int>(envs_.size()); }
  int num_threads() const { return static_cast<int>(queues_.size()); }

  // Begins the next episode of every environment and binds the slots. None may be stepping.
  void Reset(const VecEnvSlots& slots);
  // One step of every environment; actions: [N, A].
  void Step(std::span<const double> actions);

  // Starts one step of the named environments, each named once and none stepping; actions: [n, A],
  // copied. Returns at once.
  void Send(std::span<const int> env_ids, std::span<const double> actions);
  // Waits for env_ids.size() environments, the first that finish, and writes their numbers. Throws
  // what a step threw.
  void Recv(std::span<int> env_ids);

  // Episodes that ended, by environment; only of environments that are not stepping.
  std::vector<EpisodeRecord> TakeEpisodes();

 private:
  enum class Work : uint8_t { kReset, kStep };
  struct PooledEnv {
    EnvBlock block;  // of one
    Work work = Work::kStep;
    bool in_flight = false;      // sent and not received; the caller's view
    bool named = false;          // scratch of Send: in the present list already
    std::vector<double> action;  // [A]
    std::exception_ptr error;    // what the step threw
  };
  // Environment numbers of one home thread. The caller pushes; any thread takes. Never holds more
  // than N.
  struct alignas(64) Queue {
    std::vector<std::atomic<int>> ring;
    alignas(64) std::atomic<uint64_t> head{0};
    alignas(64) std::atomic<uint64_t> tail{0};
  };

  void Start(std::span<const int> env_ids);
  int TryTake(Queue& queue);
  // Steps one waiting environment, own queue first; false when none waits.
  bool TryWork(int thread);
  void Run(int env_idx);
  void WorkerLoop(int thread);
  // Moves finished environments into env_ids from `received` on; returns the new count.
  size_t Collect(std::span<int> env_ids, size_t received);
  int Home(int env_idx) const;

  std::vector<PooledEnv> envs_;
  VecEnvSlots slots_;
  std::vector<int> all_ids_, scratch_ids_;  // [N]
  int obs_size_ = 0, action_size_ = 0;
  uint64_t ring_mask_ = 0;
  std::vector<std::unique_ptr<Queue>> queues_;  // one per thread
  std::vector<std::atomic<int>> finished_;      // ring: environment + 1, 0 while empty
  alignas(64) std::atomic<uint64_t> finished_tail_{0};
  alignas(64) std::atomic<uint32_t> published_{0};  // environments in finished_, ever
  alignas(64) std::atomic<uint32_t> sent_{0};       // calls of Start, ever
  uint64_t finished_head_ = 0;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace pawl::envs
