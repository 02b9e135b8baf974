// Reacher and Pusher: an arm in the plane reaches a target; an arm pushes a cylinder to a goal.
// Gymnasium 1.4's formulas.
#include <algorithm>
#include <cmath>

#include "envs/gym_entries.h"
#include "envs/gym_observation.h"
#include "envs/mujoco_env.h"

namespace pawl::envs {
namespace {

struct Vec3 {
  double x, y, z;
  double Norm() const { return std::sqrt(x * x + y * y + z * z); }
};

Vec3 Between(const mjData& data, int from_body, int to_body) {
  const double* a = data.xpos + 3 * from_body;
  const double* b = data.xpos + 3 * to_body;
  return {b[0] - a[0], b[1] - a[1], b[2] - a[2]};
}

struct ReacherArgs : MujocoArgs {
  double reward_dist_weight = 1, reward_control_weight = 1;
  ReacherArgs() {
    xml_file = "reacher.xml";
    frame_skip = 2;
    max_episode_steps = 50;
    default_camera_config.distance = 0.8;
    default_camera_config.elevation = -60;
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("reward_dist_weight", reward_dist_weight, {.help = "times the distance to the target"});
    v.Field("reward_control_weight", reward_control_weight, {.help = "times the squared action"});
  }
};

class ReacherEnv : public MujocoEnv {
 public:
  explicit ReacherEnv(const ReacherArgs& args)
      : MujocoEnv(args, "Reacher-v5"),
        dist_weight_(args.reward_dist_weight),
        control_weight_(args.reward_control_weight),
        fingertip_(sim().BodyId("fingertip")),
        target_(sim().BodyId("target")) {
    PAWL_CHECK(model().nq >= 4 && model().nv >= 4, "Reacher needs two joints and a target");
    spec_.observation = {
        VectorPart("cos_joint_angle", 2, ""), VectorPart("sin_joint_angle", 2, ""),
        VectorPart("target_position", static_cast<int>(model().nq) - 2, "m", PartRole::kGoal),
        VectorPart("joint_velocity", 2, "rad/s"), VectorPart("target_to_fingertip", 2, "m")};
    spec_.extra_names = {"reward_dist", "reward_ctrl"};
    FinishSpec();
  }

 protected:
  // the joints near 0, the target anywhere in a disc of 0.2 m
  void SampleInitialState(core::Philox& rng, std::span<double> qpos,
                          std::span<double> qvel) override {
    const size_t nq = qpos.size(), nv = qvel.size();
    AddNoise(rng, 0.1, false, qpos, {});
    double x, y;
    do {
      x = rng.Uniform(-0.2, 0.2);
      y = rng.Uniform(-0.2, 0.2);
    } while (std::sqrt(x * x + y * y) >= 0.2);
    qpos[nq - 2] = x;
    qpos[nq - 1] = y;
    AddNoise(rng, 0.005, false, {}, qvel);
    qvel[nv - 2] = qvel[nv - 1] = 0;
  }

  void Observe(std::span<double> observation) const override {
    const double* qpos = data().qpos;
    double* out = observation.data();
    for (int i = 0; i < 2; ++i) *out++ = std::cos(qpos[i]);
    for (int i = 0; i < 2; ++i) *out++ = std::sin(qpos[i]);
    out = std::copy(qpos + 2, qpos + model().nq, out);
    out = std::copy_n(data().qvel, 2, out);
    const Vec3 offset = Between(data(), target_, fingertip_);
    *out++ = offset.x;
    *out++ = offset.y;
  }

  // reward = -w_d |fingertip - target| - w_c |a|^2
  StepResult Evaluate(std::span<const double> action) override {
    const double dist = -Between(data(), target_, fingertip_).Norm() * dist_weight_;
    const double ctrl = -SumOfSquares(action) * control_weight_;
    extra_ = {dist, ctrl};
    return {.reward = dist + ctrl};
  }

 private:
  double dist_weight_, control_weight_;
  int fingertip_, target_;
};

struct PusherArgs : MujocoArgs {
  double reward_near_weight = 0.5, reward_dist_weight = 1, reward_control_weight = 0.1;
  PusherArgs() {
    xml_file = "pusher_v5.xml";
    frame_skip = 5;
    max_episode_steps = 100;
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("reward_near_weight", reward_near_weight, {.help = "times arm to object"});
    v.Field("reward_dist_weight", reward_dist_weight, {.help = "times object to goal"});
    v.Field("reward_control_weight", reward_control_weight, {.help = "times the squared action"});
  }
};

class PusherEnv : public MujocoEnv {
 public:
  explicit PusherEnv(const PusherArgs& args)
      : MujocoEnv(args, "Pusher-v5"),
        near_weight_(args.reward_near_weight),
        dist_weight_(args.reward_dist_weight),
        control_weight_(args.reward_control_weight),
        tip_(sim().BodyId("tips_arm")),
        object_(sim().BodyId("object")),
        goal_(sim().BodyId("goal")) {
    PAWL_CHECK(model().nq >= 11 && model().nv >= 11, "Pusher needs seven joints and two sliders");
    spec_.observation = {VectorPart("joint_position", 7, "rad"),
                         VectorPart("joint_velocity", 7, "rad/s"),
                         VectorPart("tip_position", 3, "m"), VectorPart("object_position", 3, "m"),
                         VectorPart("goal_position", 3, "m", PartRole::kGoal)};
    spec_.extra_names = {"reward_dist", "reward_ctrl", "reward_near"};
    FinishSpec();
  }

 protected:
  // the arm at its initial pose, the object in a box but not within 0.17 m of the goal
  void SampleInitialState(core::Philox& rng, std::span<double> qpos,
                          std::span<double> qvel) override {
    const size_t nq = qpos.size(), nv = qvel.size();
    double x, y;
    do {
      x = rng.Uniform(-0.3, 0.0);
      y = rng.Uniform(-0.2, 0.2);
    } while (std::sqrt(x * x + y * y) <= 0.17);
    qpos[nq - 4] = x;
    qpos[nq - 3] = y;
    qpos[nq - 2] = qpos[nq - 1] = 0;
    AddNoise(rng, 0.005, false, {}, qvel);
    std::fill(qvel.end() - std::min<size_t>(4, nv), qvel.end(), 0.0);
  }

  void Observe(std::span<double> observation) const override {
    double* out = observation.data();
    out = std::copy_n(data().qpos, 7, out);
    out = std::copy_n(data().qvel, 7, out);
    for (int body : {tip_, object_, goal_}) out = std::copy_n(data().xpos + 3 * body, 3, out);
  }

  // reward = -w_d |goal - object| - w_c |a|^2 - w_n |object - tip|
  StepResult Evaluate(std::span<const double> action) override {
    const double near = -Between(data(), tip_, object_).Norm() * near_weight_;
    const double dist = -Between(data(), goal_, object_).Norm() * dist_weight_;
    const double ctrl = -SumOfSquares(action) * control_weight_;
    extra_ = {dist, ctrl, near};
    return {.reward = dist + ctrl + near};
  }

 private:
  double near_weight_, dist_weight_, control_weight_;
  int tip_, object_, goal_;
};

}  // namespace

std::vector<EnvEntry> ManipulationEntries() {
  return {
      MakeEntry<ReacherArgs>(
          "Reacher-v5", "a planar arm of two links reaches a target",
          [](const ReacherArgs& args) { return std::make_unique<ReacherEnv>(args); }),
      MakeEntry<PusherArgs>(
          "Pusher-v5", "an arm of seven joints pushes a cylinder to a goal",
          [](const PusherArgs& args) { return std::make_unique<PusherEnv>(args); }),
  };
}

}  // namespace pawl::envs
