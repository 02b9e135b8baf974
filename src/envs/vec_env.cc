#include "envs/vec_env.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/thread_pool.h"

namespace pawl::envs {
namespace {

// How often an idle thread looks again before it sleeps: some tens of microseconds, the time of a
// policy's forward pass, against the 50 microseconds that waking a sleeping thread costs.
constexpr int kSpins = 2000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

int NumThreads(const VecEnvOptions& options, int num_envs) {
  const int wanted = options.num_threads > 0 ? options.num_threads : core::NumCores();
  return std::clamp(wanted, 1, num_envs);
}

}  // namespace

VecEnv::VecEnv(const EnvConfig& config, uint64_t seed, VecEnvOptions options) {
  if (config.num_envs < 1) {
    throw UserError({.what = fmt::format("{} environments", config.num_envs),
                     .where = "env.num_envs",
                     .expected = "at least 1"});
  }
  for (int i = 0; i < config.num_envs; ++i) {
    envs_.push_back({.block = EnvBlock(config, seed, i, 1, options.block)});
  }
  obs_size_ = Spec().ObservationSize();
  action_size_ = Spec().action.size;
  for (PooledEnv& env : envs_) env.action.resize(action_size_);
  all_ids_.resize(num_envs());
  std::iota(all_ids_.begin(), all_ids_.end(), 0);
  scratch_ids_.resize(num_envs());

  const uint64_t capacity = std::bit_ceil(static_cast<uint64_t>(num_envs()));
  ring_mask_ = capacity - 1;
  finished_ = std::vector<std::atomic<int>>(capacity);
  const int num_threads = NumThreads(options, num_envs());
  for (int t = 0; t < num_threads; ++t) {
    queues_.push_back(std::make_unique<Queue>());
    queues_.back()->ring = std::vector<std::atomic<int>>(capacity);
  }
  for (int t = 1; t < num_threads; ++t) threads_.emplace_back([this, t] { WorkerLoop(t); });
}

VecEnv::~VecEnv() {
  stop_.store(true);
  sent_.fetch_add(1);
  sent_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

int VecEnv::Home(int env_idx) const {
  return static_cast<int>(static_cast<int64_t>(env_idx) * num_threads() / num_envs());
}

void VecEnv::Reset(const VecEnvSlots& slots) {
  const size_t n = envs_.size();
  PAWL_CHECK_EQ(slots.observations.size(), n * obs_size_, "observations must be [N, O]");
  PAWL_CHECK_EQ(slots.final_observations.size(), n * obs_size_, "final observations: [N, O]");
  PAWL_CHECK_EQ(slots.results.size(), n, "results must be [N]");
  for (const PooledEnv& env : envs_) PAWL_CHECK(!env.in_flight, "Reset while a step is running");
  slots_ = slots;
  for (PooledEnv& env : envs_) env.work = Work::kReset;
  Start(all_ids_);
  Recv(scratch_ids_);
}

void VecEnv::Step(std::span<const double> actions) {
  Send(all_ids_, actions);
  Recv(scratch_ids_);
}

void VecEnv::Send(std::span<const int> env_ids, std::span<const double> actions) {
  PAWL_CHECK_EQ(actions.size(), env_ids.size() * action_size_, "actions must be [n, A]");
  PAWL_CHECK(!slots_.results.empty(), "Reset comes before the first step");
  // all are checked before any starts, so that a refused call has done nothing
  for (size_t k = 0; k < env_ids.size(); ++k) {
    const int id = env_ids[k];
    PAWL_CHECK(id >= 0 && id < num_envs(), "environment {}", id);
    PAWL_CHECK(!envs_[id].in_flight, "environment {} is stepping already", id);
    envs_[id].named = false;
  }
  for (const int id : env_ids) {
    PAWL_CHECK(!envs_[id].named, "environment {} is named twice", id);
    envs_[id].named = true;
  }
  for (size_t k = 0; k < env_ids.size(); ++k) {
    PooledEnv& env = envs_[env_ids[k]];
    std::copy_n(actions.begin() + k * action_size_, action_size_, env.action.begin());
    env.work = Work::kStep;
  }
  Start(env_ids);
}

void VecEnv::Start(std::span<const int> env_ids) {
  for (int id : env_ids) {
    envs_[id].in_flight = true;
    Queue& queue = *queues_[Home(id)];
    const uint64_t tail = queue.tail.load(std::memory_order_relaxed);
    queue.ring[tail & ring_mask_].store(id, std::memory_order_relaxed);
    queue.tail.store(tail + 1, std::memory_order_release);
  }
  sent_.fetch_add(1);
  sent_.notify_all();
}

void VecEnv::Recv(std::span<int> env_ids) {
  const auto in_flight =
      std::count_if(envs_.begin(), envs_.end(), [](const PooledEnv& env) { return env.in_flight; });
  PAWL_CHECK_LE(env_ids.size(), static_cast<size_t>(in_flight), "Recv of more than was sent");
  size_t received = 0;
  int spins = 0;
  for (;;) {
    const uint32_t published = published_.load(std::memory_order_acquire);
    received = Collect(env_ids, received);
    if (received == env_ids.size()) break;
    if (TryWork(0)) {
      spins = 0;
    } else if (++spins < kSpins) {
      Pause();
    } else {
      // the other threads are inside their last environments
      published_.wait(published);
    }
  }
  std::exception_ptr error;
  for (int id : env_ids) {
    envs_[id].in_flight = false;
    if (envs_[id].error != nullptr) error = std::exchange(envs_[id].error, nullptr);
  }
  if (error != nullptr) std::rethrow_exception(error);
}

size_t VecEnv::Collect(std::span<int> env_ids, size_t received) {
  while (received < env_ids.size()) {
    std::atomic<int>& entry = finished_[finished_head_ & ring_mask_];
    const int value = entry.load(std::memory_order_acquire);
    if (value == 0) break;
    entry.store(0, std::memory_order_relaxed);
    ++finished_head_;
    env_ids[received++] = value - 1;
  }
  return received;
}

int VecEnv::TryTake(Queue& queue) {
  uint64_t head = queue.head.load(std::memory_order_relaxed);
  while (head < queue.tail.load(std::memory_order_acquire)) {
    // the slot cannot be reused before head moves: at most N environments wait
    const int id = queue.ring[head & ring_mask_].load(std::memory_order_relaxed);
    if (queue.head.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel)) return id;
  }
  return -1;
}

bool VecEnv::TryWork(int thread) {
  // own environments first: their simulation is in this core's caches
  for (int k = 0; k < num_threads(); ++k) {
    const int id = TryTake(*queues_[(thread + k) % num_threads()]);
    if (id >= 0) {
      Run(id);
      return true;
    }
  }
  return false;
}

void VecEnv::Run(int env_idx) {
  PooledEnv& env = envs_[env_idx];
  const auto observation = slots_.observations.subspan(env_idx * obs_size_, obs_size_);
  try {
    if (env.work == Work::kReset) {
      env.block.ResetOne(0, observation);
    } else {
      slots_.results[env_idx] =
          env.block.StepOne(0, env.action, observation,
                            slots_.final_observations.subspan(env_idx * obs_size_, obs_size_));
    }
  } catch (...) {
    env.error = std::current_exception();
  }
  // acquire and release: completions are one chain, so whoever is told of one (published_) finds
  // the earlier positions taken
  const uint64_t position = finished_tail_.fetch_add(1, std::memory_order_acq_rel);
  finished_[position & ring_mask_].store(env_idx + 1, std::memory_order_release);
  published_.fetch_add(1, std::memory_order_acq_rel);
  published_.notify_one();
}

void VecEnv::WorkerLoop(int thread) {
  int spins = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    const uint32_t sent = sent_.load(std::memory_order_acquire);
    if (TryWork(thread)) {
      spins = 0;
    } else if (++spins < kSpins) {
      Pause();
    } else if (!stop_.load(std::memory_order_relaxed)) {
      sent_.wait(sent);
      spins = 0;
    }
  }
}

std::vector<EpisodeRecord> VecEnv::TakeEpisodes() {
  std::vector<EpisodeRecord> all;
  for (PooledEnv& env : envs_) {
    if (env.in_flight) continue;
    for (EpisodeRecord& record : env.block.TakeEpisodes()) all.push_back(record);
  }
  return all;
}

}  // namespace pawl::envs
