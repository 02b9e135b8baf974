// Scripted policies for the arm tasks, functions of the observation alone: they prove that a task
// can be solved. Cartesian actions with the built-in rig's observation layout.
#pragma once
#include <memory>
#include <span>
#include <string>

#include "envs/env.h"

namespace pawl::envs {

class ArmExpert {
 public:
  virtual ~ArmExpert() = default;
  // Forgets the last episode.
  virtual void Begin() {}
  // observation: [O]; action: [4].
  virtual void Act(std::span<const double> observation, std::span<double> action) = 0;
};

// By task id: ArmReach, ArmLift, ArmPickToGoal, ArmPushForward, ArmPushAny, ArmDrawer.
std::unique_ptr<ArmExpert> MakeArmExpert(const std::string& id, const EnvSpec& spec);

// Share of episodes with success at the last step, seeds (seed, reset 0..episodes-1).
double ExpertSuccessRate(Env& env, ArmExpert& expert, int episodes, uint64_t seed);

}  // namespace pawl::envs
