// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the only
// source of randomness. A stream is keyed by (seed, role, index, step), so that what it yields
// never depends on which thread or process asks: an environment's reset noise is keyed by (seed,
// kEnvReset, env_idx, episode), its actions by (seed, kAction, env_idx, step). Plain copyable
// value; not shared between threads.
#pragma once
#include <array>
#include <cstdint>

namespace pawl::core {

// What a stream is for. Values are part of every saved run: append, never renumber. 3 is free.
enum class Role : uint8_t {
  kInit = 1,         // weights;                    index = parameter, step = 0; adapters 1
  kEnvReset = 2,     // reset noise;                index = env_idx, step = episode
  kAction = 4,       // policy sampling;            index = env_idx, step = step of that environment
  kShuffle = 5,      // minibatch permutations;     index = epoch, step = update; text: 0, epoch
  kEvalReset = 6,    // evaluation resets;          index = episode
  kEvalAction = 7,   // evaluation sampling;        index = episode, step = step
  kModel = 8,        // per-environment model randomisation; index = env_idx
  kBootstrap = 9,    // bootstrap confidence intervals
  kGeneration = 10,  // tokens;                    index = sample, step = position
  kTest = 250,       // tests and benchmarks
};

class Philox {
 public:
  Philox() : Philox(0, Role::kTest, 0, 0) {}
  // index < 2^32, step < 2^56.
  Philox(uint64_t seed, Role role, uint64_t index, uint64_t step);

  uint32_t NextU32();
  uint64_t NextU64() {
    uint64_t high = NextU32();
    return high << 32 | NextU32();
  }
  // Uniform in [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(NextU64() >> 11) * 0x1p-53; }
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  // Uniform integer in [0, n), unbiased (Lemire 2019). n >= 1.
  uint32_t Below(uint32_t n);
  // Standard normal (Box-Muller in double; both values are used).
  double Normal();

  // The raw block function: out = Philox4x32-10(counter, key).
  static std::array<uint32_t, 4> Block(std::array<uint32_t, 4> counter,
                                       std::array<uint32_t, 2> key);

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> buffer_{};
  uint32_t used_ = 4;       // words of buffer_ already handed out
  uint32_t has_spare_ = 0;  // a second Box-Muller value waits in spare_
  double spare_ = 0;
};

}  // namespace pawl::core
