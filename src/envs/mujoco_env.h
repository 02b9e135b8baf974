// What every Gymnasium-like MuJoCo task shares: a simulation, a frame skip, a time limit, the last
// good observation. A task says how an episode starts, what is observed and what a step is worth.
// Stepped by the one thread that owns it.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "envs/env.h"
#include "envs/mujoco_sim.h"
#include "envs/mujoco_view.h"
#include "envs/time_limit.h"

namespace pawl::envs {

struct CameraConfig {
  double distance = 4;
  double azimuth = 90;
  double elevation = -20;
  std::vector<double> lookat = {0, 0, 0};
  int trackbodyid = -1;
  template <class V>
  void Visit(V& v) {
    v.Field("distance", distance, {.help = "camera to target", .min = 0, .unit = "m"});
    v.Field("azimuth", azimuth, {.help = "camera direction around z", .unit = "degrees"});
    v.Field("elevation", elevation,
            {.help = "camera direction above the horizon", .unit = "degrees"});
    v.Field("lookat", lookat, {.help = "target of the camera: x, y, z", .unit = "m"});
    v.Field("trackbodyid", trackbodyid,
            {.help = "body that the camera follows; -1: none", .min = -1});
  }
};

// The keywords that all of them have.
struct MujocoArgs {
  std::string xml_file;
  int frame_skip = 1;
  int max_episode_steps = 1000;
  CameraConfig default_camera_config;
  template <class V>
  void VisitCommon(V& v) {
    v.Field("xml_file", xml_file,
            {.help = "model file; a plain name is one of Gymnasium's, else a path with / or ."});
    v.Field("frame_skip", frame_skip, {.help = "physics steps per action", .min = 1, .max = 10000});
    v.Field("max_episode_steps", max_episode_steps, {.help = "time limit; 0: none", .min = 0});
    v.Section("default_camera_config", default_camera_config, "camera of videos");
  }
};

// [low, high] from a config value; throws UserError unless it has two numbers in order. `key` is
// the keyword.
struct Interval {
  double low, high;
};
Interval ToInterval(const std::vector<double>& values, const std::string& key);

class MujocoEnv : public Env, public MujocoView {
 public:
  const EnvSpec& Spec() const final { return spec_; }
  void Reset(core::Philox rng, std::span<double> observation) final;
  StepResult Step(std::span<const double> action, std::span<double> observation) final;
  void SaveState(core::ByteWriter& out) const final;
  void LoadState(core::ByteReader& in) final;
  MujocoScene Scene() const final;

  // Begins an episode at a given state, qpos [nq] and qvel [nv], instead of a sampled one.
  void ResetTo(std::span<const double> qpos, std::span<const double> qvel,
               std::span<double> observation);
  MujocoSim& sim() { return sim_; }
  const MujocoSim& sim() const { return sim_; }

 protected:
  // `args` must outlive nothing: what is needed later is copied. The task completes spec_ in its
  // constructor: observation parts and extra_names; the rest is filled here.
  // `needs_contact_forces`: it reads cfrc_ext (mj_rnePostConstraint).
  MujocoEnv(const MujocoArgs& args, std::string id);
  // Called once by the task's constructor when spec_ is complete.
  void FinishSpec();

  // Changes the initial state, qpos [nq] (the model's qpos0) and qvel [nv] (zeros), into a sampled
  // one.
  virtual void SampleInitialState(core::Philox& rng, std::span<double> qpos,
                                  std::span<double> qvel) = 0;
  // After a reset or a load: what the next Evaluate compares with (positions before the step).
  virtual void OnEpisodeBegin() {}
  virtual void Observe(std::span<double> observation) const = 0;
  // Reward and termination of the step just made; fills extra_.
  virtual StepResult Evaluate(std::span<const double> action) = 0;
  // What Evaluate keeps from step to step, beyond the physics.
  virtual void SaveTask(core::ByteWriter&) const {}
  virtual void LoadTask(core::ByteReader&) {}

  const mjModel& model() const { return sim_.model(); }
  const mjData& data() const { return sim_.data(); }
  double dt() const { return dt_; }  // s per control step
  // qpos += U(-scale, scale) and qvel += U(-scale, scale), or scale * N(0, 1) where
  // normal_velocity.
  static void AddNoise(core::Philox& rng, double scale, bool normal_velocity,
                       std::span<double> qpos, std::span<double> qvel);

  EnvSpec spec_;
  std::vector<double> extra_;  // [extra_names]
  bool needs_contact_forces_ = false;

 private:
  void BeginEpisode(std::span<double> observation);

  MujocoSim sim_;
  int frame_skip_;
  double dt_;
  TimeLimit time_limit_;
  MujocoScene scene_;
  std::vector<double> initial_qpos_, initial_qvel_;  // [nq], [nv]: scratch for the sampled state
  std::vector<double> last_observation_;             // [O], the last finite one
};

// The bounds, names and size of a model's controls.
ActionSpec ControlSpec(const mjModel& model);

}  // namespace pawl::envs
