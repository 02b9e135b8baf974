#include "train/rollout_slab.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace pawl::train {
namespace {
// Hands out 64-byte aligned pieces of the mapping; with a null base it only counts.
struct Carver {
  std::byte* base;
  size_t used = 0;
  template <class T>
  void Take(T*& field, size_t count) {
    field = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += (count * sizeof(T) + 63) / 64 * 64;
  }
};
}  // namespace

Error DescriptorError(const std::string& what, int code) {
  return RunError(
      {.what = fmt::format("{}: {}", what, std::strerror(code)),
       .hint = code == EMFILE
                   ? "raise `ulimit -n`: actor processes take 203 descriptors and two for each"
                   : ""});
}

RolloutSlab::RolloutSlab(const SlabShape& shape) : shape_(shape) {
  memfd_ = memfd_create("pawl-rollout", MFD_CLOEXEC);
  if (memfd_ < 0) throw DescriptorError("memfd_create", errno);
  Map();
}

RolloutSlab::RolloutSlab(const SlabShape& shape, int memfd) : shape_(shape), memfd_(memfd) {
  Map();
}

RolloutSlab::~RolloutSlab() {
  if (base_) munmap(base_, size_bytes_);
  if (memfd_ >= 0) close(memfd_);
}

void RolloutSlab::Map() {
  const size_t t = shape_.time, b = shape_.batch, o = shape_.obs, a = shape_.act;
  auto carve = [&](std::byte* base) {
    Carver c{base};
    c.Take(weights, shape_.weights);
    c.Take(norm_mean, o);
    c.Take(norm_variance, o);
    c.Take(raw_observation, b * o);
    c.Take(observation, t * b * o);
    c.Take(action, t * b * a);
    c.Take(log_prob, t * b);
    c.Take(value, t * b);
    c.Take(raw_reward, t * b);
    c.Take(terminated, t * b);
    c.Take(truncated, t * b);
    c.Take(raw_final_observation, t * b * o);
    c.Take(moments, b * (1 + 2 * o));
    c.Take(records, b * shape_.record_slots);
    c.Take(record_count, b);
    c.Take(phases, b);
    c.Take(heartbeat, b);
    c.Take(state, b * shape_.state_bytes);
    c.Take(state_size, b);
    c.Take(reward, t * b);
    c.Take(final_observation, t * b * o);
    c.Take(final_value, t * b);
    c.Take(last_observation, b * o);
    c.Take(last_value, b);
    return c.used;
  };
  size_bytes_ = carve(nullptr);
  if (ftruncate(memfd_, static_cast<off_t>(size_bytes_)) != 0) {
    throw RunError({.what = fmt::format("no rollout memory of {} bytes ({})", size_bytes_,
                                        std::strerror(errno)),
                    .hint = "fewer env.num_envs, or a shorter ppo.horizon"});
  }
  base_ = mmap(nullptr, size_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, memfd_, 0);
  if (base_ == MAP_FAILED) {
    base_ = nullptr;
    throw RunError({.what = fmt::format("cannot map {} bytes of rollout memory ({})", size_bytes_,
                                        std::strerror(errno)),
                    .hint = "fewer env.num_envs, or a shorter ppo.horizon"});
  }
  carve(static_cast<std::byte*>(base_));
}

rollout::TrajectoryBatch RolloutSlab::View(int64_t version) const {
  return {.time = shape_.time,
          .batch = shape_.batch,
          .obs = shape_.obs,
          .act = shape_.act,
          .version = version,
          .observation = observation,
          .action = action,
          .log_prob = log_prob,
          .value = value,
          .reward = reward,
          .terminated = terminated,
          .truncated = truncated,
          .final_observation = final_observation,
          .final_value = final_value,
          .last_observation = last_observation,
          .last_value = last_value};
}

}  // namespace pawl::train
