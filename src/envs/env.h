// The waist of control: one environment. A worker thread owns each object and steps it;
// observations, rewards and actions are double here (as in Gymnasium v5) and become float32 once,
// at the policy. Implementations are listed in registry.cc.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/rng.h"

namespace pawl::envs {

// Who may see a part of the observation.
enum class PartRole : uint8_t { kPolicy, kCriticOnly, kGoal, kImage };

struct ObservationPart {
  std::string name;  // "joint_position"
  int size = 0;      // numbers in it; parts follow each other in the flat observation
  std::string unit;  // "rad", "m/s", "" where it has none
  PartRole role = PartRole::kPolicy;
  std::string dtype = "float64";
  std::vector<int> shape;  // {size} unless an image: {height, width, channels}
};

struct ActionSpec {
  int size = 0;                    // numbers per action; 1 for a discrete one
  int num_choices = 0;             // > 0: discrete, the action is an index in [0, num_choices)
  std::vector<double> low, high;   // bounds, continuous only: [size]
  std::vector<std::string> names;  // what each number does, with its unit
  bool discrete() const { return num_choices > 0; }
};

struct EnvSpec {
  std::string id;       // "HalfCheetah-v5", "ArmReach"
  std::string version;  // changes when the task's physics, reward or layout does
  std::vector<ObservationPart> observation;
  ActionSpec action;
  int max_episode_steps = 0;             // time limit; reaching it truncates. 0: none
  double control_period_s = 0;           // simulated time per step, 0 where there is none
  bool has_success = false;              // whether StepResult::success means anything
  std::vector<std::string> extra_names;  // extra metrics per step, the order of StepResult::extra
  int ObservationSize() const {
    int size = 0;
    for (const auto& part : observation) size += part.size;
    return size;
  }
};

// Why the simulation ended an episode by itself.
enum class Divergence : uint8_t {
  kNone,
  kBadPosition,
  kBadVelocity,
  kBadAcceleration,
  kContactMemory,
  kConstraintMemory
};
inline constexpr const char* kDivergenceNames[] = {
    "none", "bad qpos", "bad qvel", "bad qacc", "contact memory", "constraint memory"};

struct StepResult {
  double reward = 0;
  bool terminated = false;  // the task ended: no bootstrap
  bool truncated = false;   // the time limit (or another limit outside the task) cut it: bootstrap
                            // from the observation
  bool success = false;     // the success condition holds at this step
  Divergence divergence =
      Divergence::kNone;  // set: terminated, reward 0, the observation is the last finite one
  std::span<const double>
      extra;  // [EnvSpec::extra_names] or empty; valid until the environment's next call
};

class Env {
 public:
  virtual ~Env() = default;
  virtual const EnvSpec& Spec() const = 0;
  // Begins an episode. `rng` is that episode's own stream (role kEnvReset, env_idx, episode);
  // observation: [O].
  virtual void Reset(core::Philox rng, std::span<double> observation) = 0;
  // action: [A] inside or outside the bounds (the caller clips; MuJoCo clamps controls itself).
  // observation: [O]. Called only between a Reset and the first result with terminated or
  // truncated.
  virtual StepResult Step(std::span<const double> action, std::span<double> observation) = 0;
  // Everything the next Step reads. After LoadState into any object made from the same config, the
  // following steps are equal in every bit, rewards included.
  virtual void SaveState(core::ByteWriter& out) const = 0;
  virtual void LoadState(core::ByteReader& in) = 0;
};

}  // namespace pawl::envs
