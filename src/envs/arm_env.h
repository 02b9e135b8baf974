// What every arm task shares: the joined model, a simulation of it, the set-point control, the
// arm's half of the observation, the time limit. A task says where its things are at a reset, what
// else is observed, and what a step is worth. Everything is in the rig's base frame (x forward, z
// up, table top z = 0). Stepped by the one thread that owns it.
#pragma once
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/config.h"
#include "envs/arm_control.h"
#include "envs/arm_model.h"
#include "envs/env.h"
#include "envs/mujoco_view.h"
#include "envs/registry.h"
#include "envs/time_limit.h"

namespace pawl::envs {

// The keywords that all arm tasks have.
struct ArmArgs {
  ArmControlOptions control;
  int max_episode_steps = 75;
  double reset_noise = 0.02;
  template <class V>
  void VisitCommon(V& v) {
    v.Field("action", control.action,
            {.help = "cartesian: tool set-point; joint: joint set-points"});
    v.Field("max_episode_steps", max_episode_steps,
            {.help = "time limit, truncates; 0: none", .min = 0});
    v.Field("action_scale", control.action_scale,
            {.help = "cartesian: set-point motion per step at action 1",
             .min = 0,
             .max = 1,
             .unit = "m"});
    v.Field("leash", control.leash,
            {.help = "cartesian: set-point at most this far from the tool, per axis",
             .min = 0,
             .max = 1,
             .unit = "m"});
    v.Field("joint_action_scale", control.joint_action_scale,
            {.help = "joint: set-point motion per step at action 1",
             .min = 0,
             .max = 3,
             .unit = "rad"});
    v.Field("joint_leash", control.joint_leash,
            {.help = "joint: set-point at most this far from the joint",
             .min = 0,
             .max = 3,
             .unit = "rad"});
    v.Field("reset_noise", reset_noise,
            {.help = "each joint starts at home +- this", .min = 0, .max = 1, .unit = "rad"});
  }
};

// 1 - tanh(5 d): 1 at the target, 0.54 at 10 cm, 0.01 at half a metre.
inline double Nearness(double distance) { return 1 - std::tanh(5 * distance); }
inline double Distance(const double* a, const double* b) {
  const double x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
  return std::sqrt(x * x + y * y + z * z);
}
// A point in a box, 2 or 3 axes as the box has.
inline void SampleIn(const RigBox& box, core::Philox& rng, double* point) {
  for (size_t i = 0; i < box.low.size(); ++i) point[i] = rng.Uniform(box.low[i], box.high[i]);
}
// Writes b - a and moves on.
inline void PutDifference(const double* a, const double* b, double*& out) {
  for (int i = 0; i < 3; ++i) *out++ = b[i] - a[i];
}

class ArmEnv : public Env, public MujocoView {
 public:
  const EnvSpec& Spec() const final { return spec_; }
  void Reset(core::Philox rng, std::span<double> observation) final;
  StepResult Step(std::span<const double> action, std::span<double> observation) final;
  void SaveState(core::ByteWriter& out) const final;
  void LoadState(core::ByteReader& in) final;
  MujocoScene Scene() const final;

  const ArmModel& arm() const { return *arm_; }
  const std::shared_ptr<const ArmModel>& shared_arm() const { return arm_; }
  const ArmControl& control() const { return control_; }
  const MujocoSim& sim() const { return sim_; }

 protected:
  struct Setup {
    std::string id, rig, scene;  // scene: a file of src/envs/models without its ending
    bool needs_gripper = false, starts_open = true;
    MujocoScene view;
  };
  ArmEnv(const ArmArgs& args, const Setup& setup);
  // Called once at the end of the task's constructor. parts: its half of the observation;
  // extra_names: its metrics; object_geoms: what the gripper may hold.
  void FinishSpec(std::vector<ObservationPart> parts, std::vector<std::string> extra_names,
                  const std::vector<std::string>& object_geoms);

  // Places the task's things in qpos and mocap_pos of freshly reset data.
  virtual void SampleTask(core::Philox& rng, mjData& data) = 0;
  // Appends the task's half of the observation and moves `out` on.
  virtual void ObserveTask(double*& out) const = 0;
  // Reward and success of the present state; fills extra_.
  virtual StepResult Evaluate() = 0;

  const mjModel& model() const { return *arm_->model; }
  const mjData& data() const { return sim_.data(); }
  const double* tool() const { return data().site_xpos + 3 * arm_->tool_site; }
  bool holding() const { return holding_; }  // both pads touch the object
  const double* mocap(int body) const { return data().mocap_pos + 3 * model().body_mocapid[body]; }
  double* mocap(int body, mjData& data) const {
    return data.mocap_pos + 3 * model().body_mocapid[body];
  }

  std::vector<double> extra_;  // [extra_names]

 private:
  bool BothPadsTouchObject() const;
  double PadDistance() const;
  void Observe(std::span<double> observation);

  std::shared_ptr<const ArmModel> arm_;
  MujocoSim sim_;
  ArmControl control_;
  EnvSpec spec_;
  TimeLimit time_limit_;
  MujocoScene view_;
  double reset_noise_;
  bool starts_open_;
  bool holding_ = false;
  bool derived_ = false;  // whether mjData holds what mj_step1 computes from the present state
  std::vector<uint8_t> contact_role_;     // per geom: 1 left pad, 2 right pad, 4 object
  std::vector<double> last_observation_;  // [O], the last finite one
};

inline ObservationPart ArmPart(const char* name, int size, const char* unit,
                               PartRole role = PartRole::kPolicy) {
  return {.name = name, .size = size, .unit = unit, .role = role, .shape = {size}};
}

// The registry's entry of a task: Task(args, rig path).
template <class Task, class Args>
EnvEntry MakeArmEntry(std::string id, std::string summary, Args defaults) {
  return {.id = std::move(id),
          .summary = std::move(summary),
          .make = [defaults](const EnvConfig& config, uint64_t, int) -> std::unique_ptr<Env> {
            Args args = defaults;
            core::LoadConfig(config.args, args, "env.args");
            return std::make_unique<Task>(args, config.rig);
          },
          .describe_args = [defaults] { return core::DescribeConfig(defaults, "env.args"); },
          .has_rig = true};
}

}  // namespace pawl::envs
