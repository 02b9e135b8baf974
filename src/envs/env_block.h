// The unit that actors step: the environments [first_env, first_env + count) with same-step
// autoreset, their episode counters and their streams. What an environment does depends on (config,
// seed, env_idx) only, never on how environments are cut into blocks or which thread steps them.
// One thread at a time per block; VecEnv steps blocks of one.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/rng.h"
#include "envs/env.h"
#include "envs/registry.h"

namespace pawl::envs {

// A finished episode.
struct EpisodeRecord {
  int env_idx = 0;
  int64_t episode = 0;        // index among this environment's episodes, from 0
  double episode_return = 0;  // sum of unscaled rewards
  int64_t length = 0;         // env steps
  bool success = false;       // at the last step
  bool success_any = false;   // at any step
  bool terminated = false;    // else truncated
  Divergence divergence = Divergence::kNone;
};

struct EnvBlockOptions {
  bool clip_actions =
      true;  // continuous actions to the bounds, as SB3 does; else they go in as they are
  core::Role reset_role =
      core::Role::kEnvReset;  // stream of episode e of environment i: (seed, role, i, e)
  std::string dump_folder;  // where an environment that gave a bad number is written; "" = nowhere
};

class EnvBlock {
 public:
  // Throws UserError for a bad config.
  EnvBlock(const EnvConfig& config, uint64_t seed, int first_env, int count,
           EnvBlockOptions options = {});
  ~EnvBlock();
  EnvBlock(EnvBlock&&) noexcept;

  int first_env() const { return first_env_; }
  int count() const { return static_cast<int>(slots_.size()); }
  const EnvSpec& Spec() const { return *spec_; }
  const Env& env(int i) const { return *slots_[i].env; }

  // Starts the next episode of every environment (0 at first). observations: [n, O].
  void Reset(std::span<double> observations);
  void ResetOne(int i, std::span<double> observation);

  // One step of each environment. actions [n, A] (a discrete action is its index). observations [n,
  // O]: where the policy acts next, after the reset where an episode ended. final_observations [n,
  // O]: only rows of ended episodes are written, with the true last observation. results [n]: of
  // this step. Throws RunError, naming environment and quantity, for an action, reward or
  // observation that is not finite (a counted divergence is not an error).
  void Step(std::span<const double> actions, std::span<double> observations,
            std::span<double> final_observations, std::span<StepResult> results);
  // The same for environment i of the block, with that environment's rows: [A], [O], [O].
  StepResult StepOne(int i, std::span<const double> action, std::span<double> observation,
                     std::span<double> final_observation);

  // Episodes that ended since the last TakeEpisodes, in the order of ending.
  const std::vector<EpisodeRecord>& episodes() const { return episodes_; }
  std::vector<EpisodeRecord> TakeEpisodes();

  // Running sums of environment i: its present episode and all it has diverged, by reason.
  int64_t episode(int i) const { return slots_[i].counters.episode; }
  double episode_return(int i) const { return slots_[i].counters.episode_return; }
  int64_t episode_length(int i) const { return slots_[i].counters.length; }
  std::span<const int64_t> divergences(int i) const { return slots_[i].counters.divergences; }
  // The observation that the policy acts on next: [O].
  std::span<const double> observation(int i) const { return slots_[i].observation; }

  // Everything that the following steps of environment i depend on, counters and present
  // observation included; not the episodes that were not taken yet. Any block that holds env_idx
  // first_env() + i can load it.
  void SaveState(int i, core::ByteWriter& out) const;
  void LoadState(int i, core::ByteReader& in);

 private:
  struct Counters {
    int64_t episode = -1;  // none yet
    int64_t length = 0;
    double episode_return = 0;
    int64_t success_any = 0;
    std::array<int64_t, std::size(kDivergenceNames)> divergences{};
  };
  struct Slot {
    std::unique_ptr<Env> env;
    Counters counters;
    std::vector<double> action;       // [A] clipped
    std::vector<double> observation;  // [O] what the policy acts on next
  };
  void CheckAction(int i, std::span<const double> action) const;
  void FinishEpisode(int i, const StepResult& result);
  // Writes the environment to the dump folder and throws.
  [[noreturn]] void ThrowBadNumber(int i, const std::string& quantity,
                                   std::span<const double> action) const;

  uint64_t seed_;
  int first_env_;
  EnvBlockOptions options_;
  std::vector<Slot> slots_;
  const EnvSpec* spec_ = nullptr;  // of the first environment
  int obs_size_ = 0, action_size_ = 0;
  std::vector<EpisodeRecord> episodes_;
};

}  // namespace pawl::envs
