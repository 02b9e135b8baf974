// The cube tasks: push it forward, push it anywhere, lift it, carry it to a goal in the air. One
// observation for all.
#include "envs/arm_env.h"
#include "envs/arm_registry.h"

namespace pawl::envs {
namespace {

constexpr double kHalfSize = 0.02;  // m, half the cube's edge (models/arm_cube.xml)

class ArmCubeEnv : public ArmEnv {
 protected:
  ArmCubeEnv(const ArmArgs& args, Setup setup)
      : ArmEnv(args, AddScene(std::move(setup))),
        cube_(sim().BodyId("cube")),
        goal_(sim().BodyId("goal")),
        qpos_(model().jnt_qposadr[model().body_jntadr[cube_]]),
        dof_(model().jnt_dofadr[model().body_jntadr[cube_]]) {
    FinishSpec({ArmPart("cube_position", 3, "m"), ArmPart("tool_to_cube", 3, "m"),
                ArmPart("cube_to_goal", 3, "m", PartRole::kGoal),
                ArmPart("cube_velocity", 3, "m/s"), ArmPart("cube_rotation_r00_r10_r01", 3, "")},
               {"goal_distance", "cube_height", "holding"}, {"cube"});
  }

  void ObserveTask(double*& out) const override {
    out = std::copy_n(cube(), 3, out);
    PutDifference(tool(), cube(), out);
    PutDifference(cube(), goal(), out);
    out = std::copy_n(data().qvel + dof_, 3, out);
    const double* rotation = data().xmat + 9 * cube_;
    for (int i : {0, 3, 1}) *out++ = rotation[i];
  }

  // The cube flat on the table at (x, y), turned by `yaw` rad.
  void PlaceCube(const double* xy, double yaw, mjData& data) const {
    double* pose = data.qpos + qpos_;
    const double values[7] = {xy[0], xy[1], kHalfSize, std::cos(yaw / 2), 0, 0, std::sin(yaw / 2)};
    std::copy_n(values, 7, pose);
  }
  void PlaceGoal(double x, double y, double z, mjData& data) const {
    double* position = mocap(goal_, data);
    position[0] = x;
    position[1] = y;
    position[2] = z;
  }

  const double* cube() const { return data().xpos + 3 * cube_; }
  const double* goal() const { return mocap(goal_); }
  double height() const { return cube()[2] - kHalfSize; }  // of its lower face when it lies flat
  double goal_distance() const { return Distance(cube(), goal()); }
  StepResult Finish(double reward, bool success) {
    extra_[0] = goal_distance();
    extra_[1] = height();
    extra_[2] = holding() ? 1 : 0;
    return {.reward = reward, .success = success};
  }
  // Speed of the arm: the norm of its joint velocities, rad/s.
  double ArmSpeed() const {
    double sum = 0;
    for (int dof : arm().dof_adr) sum += data().qvel[dof] * data().qvel[dof];
    return std::sqrt(sum);
  }

 private:
  static Setup AddScene(Setup setup) {
    setup.scene = "arm_cube";
    setup.view = {.azimuth = 140, .elevation = -25, .distance = 1.6, .lookat = {0.32, 0, 0.24}};
    return setup;
  }

  int cube_, goal_, qpos_, dof_;
};

struct PushArgs : ArmArgs {
  double success_distance = 0.03;
  PushArgs() {
    max_episode_steps = 60;
    control.min_height = 0.02;
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("min_height", control.min_height,
            {.help = "floor of the set-point", .min = 0, .max = 1, .unit = "m"});
    v.Field("success_distance", success_distance, {.help = "cube to goal", .min = 0, .unit = "m"});
  }
};

class ArmPush : public ArmCubeEnv {
 protected:
  ArmPush(const PushArgs& args, Setup setup)
      : ArmCubeEnv(args, std::move(setup)), success_distance_(args.success_distance) {}

  // [0.5 (1 - tanh 5 d_p) + (1 - tanh 5 d_g) + 1.5 s] / 3; d_p: tool to the point 3.5 cm behind the
  // cube on the goal line
  StepResult Evaluate() override {
    const double x = goal()[0] - cube()[0], y = goal()[1] - cube()[1];
    const double length = std::max(std::hypot(x, y), 1e-6);
    const double behind[3] = {cube()[0] - 0.035 * x / length, cube()[1] - 0.035 * y / length,
                              0.025};
    const bool on_table = height() < 0.01;
    const bool success = goal_distance() < success_distance_ && on_table;
    const double reward =
        (0.5 * Nearness(Distance(tool(), behind)) + Nearness(goal_distance()) + 1.5 * success) / 3;
    return Finish(reward, success);
  }

 private:
  double success_distance_;
};

class ArmPushForward : public ArmPush {
 public:
  ArmPushForward(const PushArgs& args, const std::string& rig)
      : ArmPush(args, {.id = "ArmPushForward", .rig = rig, .starts_open = false}),
        area_(arm().Area(arm().rig.config.areas.push_forward_cube, "push_forward_cube",
                         "ArmPushForward")) {}

 protected:
  void SampleTask(core::Philox& rng, mjData& data) override {
    double xy[2];
    SampleIn(area_, rng, xy);
    PlaceCube(xy, 0, data);
    const double ahead = rng.Uniform(0.10, 0.18), aside = rng.Uniform(-0.05, 0.05);
    PlaceGoal(xy[0] + ahead, xy[1] + aside, kHalfSize, data);
  }

 private:
  RigBox area_;
};

class ArmPushAny : public ArmPush {
 public:
  ArmPushAny(const PushArgs& args, const std::string& rig)
      : ArmPush(args, {.id = "ArmPushAny", .rig = rig, .starts_open = false}),
        cube_area_(arm().Area(arm().rig.config.areas.cube, "cube", "ArmPushAny")),
        goal_area_(
            arm().Area(arm().rig.config.areas.push_any_goal, "push_any_goal", "ArmPushAny")) {}

 protected:
  void SampleTask(core::Philox& rng, mjData& data) override {
    double xy[2], goal[2];
    SampleIn(cube_area_, rng, xy);
    PlaceCube(xy, 0, data);
    // at least 8 cm to go; a rig whose areas hardly allow that gets the last try
    for (int i = 0; i < 1000; ++i) {
      SampleIn(goal_area_, rng, goal);
      if (std::hypot(goal[0] - xy[0], goal[1] - xy[1]) >= 0.08) break;
    }
    PlaceGoal(goal[0], goal[1], kHalfSize, data);
  }

 private:
  RigBox cube_area_, goal_area_;
};

struct LiftArgs : ArmArgs {
  double success_height = 0.08;
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("success_height", success_height,
            {.help = "cube above the table", .min = 0, .unit = "m"});
  }
};

class ArmLift : public ArmCubeEnv {
 public:
  ArmLift(const LiftArgs& args, const std::string& rig)
      : ArmCubeEnv(args, {.id = "ArmLift", .rig = rig, .needs_gripper = true}),
        area_(arm().Area(arm().rig.config.areas.cube, "cube", "ArmLift")),
        success_height_(args.success_height) {}

 protected:
  void SampleTask(core::Philox& rng, mjData& data) override {
    double xy[2];
    SampleIn(area_, rng, xy);
    PlaceCube(xy, rng.Uniform(-0.4, 0.4), data);
    PlaceGoal(xy[0], xy[1], kHalfSize + kFullHeight, data);
  }

  // [1 - tanh 5d + g + 2 g clip(h / 0.1)] / 5, and 1 once h > 0.08 and g
  StepResult Evaluate() override {
    const bool success = height() > success_height_ && holding();
    const double lift = std::clamp(height() / kFullHeight, 0.0, 1.0);
    const double shaped = (Nearness(Distance(tool(), cube())) + holding() * (1 + 2 * lift)) / 5;
    return Finish(success ? 1 : shaped, success);
  }

 private:
  static constexpr double kFullHeight = 0.1;  // m, where the lift term is full
  RigBox area_;
  double success_height_;
};

struct PickArgs : ArmArgs {
  double success_distance = 0.025, success_joint_speed = 0.2;
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("success_distance", success_distance, {.help = "cube to goal", .min = 0, .unit = "m"});
    v.Field("success_joint_speed", success_joint_speed,
            {.help = "largest norm of the joint velocities", .min = 0, .unit = "rad/s"});
  }
};

class ArmPickToGoal : public ArmCubeEnv {
 public:
  ArmPickToGoal(const PickArgs& args, const std::string& rig)
      : ArmCubeEnv(args, {.id = "ArmPickToGoal", .rig = rig, .needs_gripper = true}),
        cube_area_(arm().Area(arm().rig.config.areas.cube, "cube", "ArmPickToGoal")),
        goal_area_(arm().Area(arm().rig.config.areas.pick_goal, "pick_goal", "ArmPickToGoal")),
        args_(args) {}

 protected:
  void SampleTask(core::Philox& rng, mjData& data) override {
    double xy[2], goal[3];
    SampleIn(cube_area_, rng, xy);
    PlaceCube(xy, rng.Uniform(-0.4, 0.4), data);
    SampleIn(goal_area_, rng, goal);
    PlaceGoal(goal[0], goal[1], goal[2], data);
  }

  // [1 - tanh 5d + g + g clip(h / 0.04) + 3 g (1 - tanh 5 d_g) + p + p (1 - tanh 5 |dq|)] / 8, and
  // 1 at success
  StepResult Evaluate() override {
    const bool placed = goal_distance() < args_.success_distance;
    const double speed = ArmSpeed();
    const bool success = placed && speed < args_.success_joint_speed;
    const double lift = std::clamp(height() / 0.04, 0.0, 1.0);
    const double shaped =
        (Nearness(Distance(tool(), cube())) +
         holding() * (1 + lift + 3 * Nearness(goal_distance())) + placed * (1 + Nearness(speed))) /
        8;
    return Finish(success ? 1 : shaped, success);
  }

 private:
  RigBox cube_area_, goal_area_;
  PickArgs args_;
};

}  // namespace

std::vector<EnvEntry> ArmCubeEntries() {
  return {MakeArmEntry<ArmPushForward>("ArmPushForward", "robot arm: push a cube forward to a goal",
                                       PushArgs()),
          MakeArmEntry<ArmLift>("ArmLift", "robot arm: grasp a cube and lift it", LiftArgs()),
          MakeArmEntry<ArmPickToGoal>("ArmPickToGoal",
                                      "robot arm: carry a cube to a goal in the air", PickArgs()),
          MakeArmEntry<ArmPushAny>(
              "ArmPushAny", "robot arm: push a cube in any direction to a goal", PushArgs())};
}

}  // namespace pawl::envs
