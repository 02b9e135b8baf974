#include "arm_experts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace pawl::envs {
namespace {

using Vec3 = std::array<double, 3>;

Vec3 operator+(const Vec3& a, const Vec3& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
Vec3 operator-(const Vec3& a, const Vec3& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double PlanarNorm(const Vec3& a) { return std::hypot(a[0], a[1]); }

// Reads observation parts by name and steers the set-point.
class Scripted : public ArmExpert {
 public:
  explicit Scripted(const EnvSpec& spec) : spec_(spec) {}

 protected:
  int Offset(const std::string& name) const {
    int offset = 0;
    for (const auto& part : spec_.observation) {
      if (part.name == name) return offset;
      offset += part.size;
    }
    throw RunError({.what = "no observation part " + name});
  }
  Vec3 Read(std::span<const double> observation, const std::string& name) const {
    const int at = Offset(name);
    return {observation[at], observation[at + 1], observation[at + 2]};
  }
  double ReadOne(std::span<const double> observation, const std::string& name) const {
    return observation[Offset(name)];
  }
  // a = clip((target - x_d) / 0.04) and the gripper: -1 closed, 1 open
  void Steer(std::span<const double> observation, const Vec3& target, double gripper,
             std::span<double> action, double step = 0.04) const {
    const Vec3 setpoint = Read(observation, "tool_position") + Read(observation, "setpoint_error");
    for (int i = 0; i < 3; ++i) {
      action[i] = std::clamp(target[i] - setpoint[i], -step, step) / 0.04;
    }
    if (action.size() > 3) action[3] = gripper;
  }

 private:
  EnvSpec spec_;
};

class ReachExpert : public Scripted {
 public:
  using Scripted::Scripted;
  void Act(std::span<const double> o, std::span<double> action) override {
    Steer(o, Read(o, "goal_position"), -1, action);
  }
};

// Hover, lower, close until both pads touch, carry the set-point by what is left to the goal.
class PickExpert : public Scripted {
 public:
  using Scripted::Scripted;
  void Begin() override { held_steps_ = 0; }
  void Act(std::span<const double> o, std::span<double> action) override {
    const Vec3 tool = Read(o, "tool_position"), cube = Read(o, "cube_position");
    const Vec3 to_cube = Read(o, "tool_to_cube");
    held_steps_ = ReadOne(o, "both_pads_touch") > 0 ? held_steps_ + 1 : 0;
    const bool over = PlanarNorm(to_cube) < 0.01, around = over && std::abs(to_cube[2]) < 0.012;
    if (held_steps_ >= 3) {
      Steer(o, tool + Read(o, "cube_to_goal"), -1, action);
    } else if (held_steps_ > 0 || around) {
      Steer(o, cube, -1, action);
    } else if (over) {
      Steer(o, cube, 1, action);
    } else {
      Steer(o, cube + Vec3{0, 0, 0.10}, 1, action);
    }
  }

 private:
  int held_steps_ = 0;
};

// Go behind the cube on the goal line, drop, push in small steps, correcting across the line.
class PushExpert : public Scripted {
 public:
  using Scripted::Scripted;
  void Begin() override { pushing_ = false; }
  void Act(std::span<const double> o, std::span<double> action) override {
    const Vec3 tool = Read(o, "tool_position"), cube = Read(o, "cube_position");
    const Vec3 left = Read(o, "cube_to_goal");
    const double length = std::max(PlanarNorm(left), 1e-6);
    const Vec3 along = {left[0] / length, left[1] / length, 0}, across = {-along[1], along[0], 0};
    const Vec3 offset = tool - cube;
    const double cross = offset[0] * across[0] + offset[1] * across[1];
    const double ahead = offset[0] * along[0] + offset[1] * along[1];
    if (length < 0.012) {
      Steer(o, tool, -1, action);
      return;
    }
    if (pushing_ && (std::abs(cross) > 0.03 || ahead > 0.01)) pushing_ = false;
    // the hand is wider where the push is diagonal
    const double gap = 0.06 * (1 + std::min(std::abs(along[0]), std::abs(along[1])));
    Vec3 behind = cube;
    for (int i = 0; i < 2; ++i) behind[i] -= gap * along[i];
    if (!pushing_) {
      const bool there = PlanarNorm(behind - tool) < 0.012;
      behind[2] = there ? 0.022 : 0.085;
      if (!there && tool[2] < 0.07) behind[0] = tool[0], behind[1] = tool[1];
      if (there && tool[2] < 0.032) pushing_ = true;
      Steer(o, behind, -1, action);
      return;
    }
    Vec3 target = tool;
    const double push = std::min(0.025, length);
    for (int i = 0; i < 2; ++i) target[i] += push * along[i] - 0.9 * cross * across[i];
    target[2] = 0.022;
    Steer(o, target, -1, action);
  }

 private:
  bool pushing_ = false;
};

// Rise beside the handle, go over the gap behind it, lower the fingers into the gap, pull.
class DrawerExpert : public Scripted {
 public:
  using Scripted::Scripted;
  void Begin() override { hooked_ = false; }
  void Act(std::span<const double> o, std::span<double> action) override {
    const Vec3 tool = Read(o, "tool_position"), to_handle = Read(o, "tool_to_handle");
    const Vec3 handle = tool + to_handle;
    const Vec3 gap = handle + Vec3{0.024, 0, 0};
    const Vec3 offset = gap - tool;
    if (PlanarNorm(offset) < 0.012 && tool[2] < handle[2] + 0.004) hooked_ = true;
    Vec3 target;
    if (hooked_) {
      target = {tool[0] - 0.05, handle[1], handle[2] - 0.005};
    } else if (PlanarNorm(offset) < 0.010) {
      target = {gap[0], gap[1], handle[2] - 0.005};
    } else if (tool[2] < handle[2] + 0.045) {
      target = {std::min(tool[0], handle[0] - 0.06), tool[1], handle[2] + 0.07};
    } else {
      target = {gap[0], gap[1], handle[2] + 0.06};
    }
    Steer(o, target, -1, action);
  }

 private:
  bool hooked_ = false;
};

}  // namespace

std::unique_ptr<ArmExpert> MakeArmExpert(const std::string& id, const EnvSpec& spec) {
  if (id == "ArmReach") return std::make_unique<ReachExpert>(spec);
  if (id == "ArmLift" || id == "ArmPickToGoal") return std::make_unique<PickExpert>(spec);
  if (id == "ArmPushForward" || id == "ArmPushAny") return std::make_unique<PushExpert>(spec);
  PAWL_CHECK(id == "ArmDrawer", "no expert for {}", id);
  return std::make_unique<DrawerExpert>(spec);
}

double ExpertSuccessRate(Env& env, ArmExpert& expert, int episodes, uint64_t seed) {
  std::vector<double> observation(env.Spec().ObservationSize()), action(env.Spec().action.size);
  int successes = 0;
  for (int episode = 0; episode < episodes; ++episode) {
    env.Reset(core::Philox(seed, core::Role::kEvalReset, episode, 0), observation);
    expert.Begin();
    StepResult result;
    while (!result.terminated && !result.truncated) {
      expert.Act(observation, action);
      result = env.Step(action, observation);
    }
    successes += result.success;
  }
  return static_cast<double>(successes) / episodes;
}

}  // namespace pawl::envs
