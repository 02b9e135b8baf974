// A robot arm as data: which MJCF, which joints, which tool, how it is driven, where it may work.
// Read once at start from a TOML file (docs/arm.md explains every key with an example);
// arm_model.cc joins it with a task. Immutable afterwards.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/config.h"

namespace pawl::envs {

// Who drives the joints: the MJCF's own position servos, or servos that we add in memory.
enum class ActuatorKind { kModel, kPosition };

// An axis-aligned box in the base frame, m. Empty lists: the rig does not say, and tasks that need
// it are refused.
struct RigBox {
  std::vector<double> low, high;
  bool empty() const { return low.empty() && high.empty(); }
  template <class V>
  void Visit(V& v) {
    v.Field("low", low, {.help = "lower corner in the base frame", .unit = "m"});
    v.Field("high", high, {.help = "upper corner in the base frame", .unit = "m"});
  }
};

struct RigTool {
  std::string site, body;
  std::vector<double> offset = {0, 0, 0};
  template <class V>
  void Visit(V& v) {
    v.Field(
        "site", site,
        {.help = "site of the MJCF at the tool's centre; its orientation at home is 'downward'"});
    v.Field("body", body, {.help = "without a site: the body that carries the tool"});
    v.Field("offset", offset, {.help = "tool centre in that body's frame: x, y, z", .unit = "m"});
  }
};

struct RigActuators {
  ActuatorKind kind = ActuatorKind::kModel;
  std::vector<std::string> names;
  std::vector<double> kp, kv, force;
  template <class V>
  void Visit(V& v) {
    v.Field("kind", kind,
            {.help = "model: the MJCF's position servos; position: servos added here"});
    v.Field("names", names,
            {.help = "model: one actuator per joint; empty: found by the joint they drive"});
    v.Field(
        "kp", kp,
        {.help = "position: stiffness, one number or one per joint", .min = 0, .unit = "Nm/rad"});
    v.Field(
        "kv", kv,
        {.help = "position: damping, one number or one per joint", .min = 0, .unit = "Nm s/rad"});
    v.Field(
        "force", force,
        {.help = "position: largest torque, one number or one per joint", .min = 0, .unit = "Nm"});
  }
};

// Empty lists: no gripper; Cartesian actions then have 3 numbers.
struct RigGripper {
  std::vector<std::string> actuators, joints, left_pads, right_pads;
  std::vector<double> open, closed, joints_open, joints_closed;
  bool present() const { return !actuators.empty(); }
  template <class V>
  void Visit(V& v) {
    v.Field("actuators", actuators, {.help = "actuators that open and close it"});
    v.Field("open", open, {.help = "their controls when open"});
    v.Field("closed", closed, {.help = "their controls when closed"});
    v.Field("joints", joints, {.help = "finger joints, set at a reset"});
    v.Field("joints_open", joints_open, {.help = "their positions when open", .unit = "m or rad"});
    v.Field("joints_closed", joints_closed,
            {.help = "their positions when closed", .unit = "m or rad"});
    v.Field("left_pads", left_pads,
            {.help = "one finger: geoms that touch the object, or bodies with all their geoms"});
    v.Field("right_pads", right_pads, {.help = "the other finger"});
  }
};

struct RigBase {
  std::vector<double> position = {0, 0, 0};
  std::vector<double> orientation_deg = {0, 0, 0};
  template <class V>
  void Visit(V& v) {
    v.Field(
        "position", position,
        {.help = "origin in the MJCF's world; z is the height of the table's top", .unit = "m"});
    v.Field(
        "orientation_deg", orientation_deg,
        {.help =
             "roll, pitch, yaw about the MJCF world's fixed axes: turns x to where the arm faces",
         .unit = "degrees"});
  }
};

struct RigAreas {
  RigBox reach_goal, cube, push_forward_cube, push_any_goal, pick_goal, cabinet;
  template <class V>
  void Visit(V& v) {
    v.Section("reach_goal", reach_goal, "ArmReach: where goals are (x, y, z)");
    v.Section("cube", cube, "ArmLift, ArmPickToGoal, ArmPushAny: where the cube starts (x, y)");
    v.Section("push_forward_cube", push_forward_cube,
              "ArmPushForward: where the cube starts (x, y)");
    v.Section("push_any_goal", push_any_goal, "ArmPushAny: where goals are (x, y)");
    v.Section("pick_goal", pick_goal, "ArmPickToGoal: where goals are (x, y, z)");
    v.Section("cabinet", cabinet, "ArmDrawer: where the cabinet stands (x, y)");
  }
};

struct RigConfig {
  std::string name, mjcf;
  std::vector<std::string> joints;
  std::vector<double> home, limits_low, limits_high;
  RigTool tool;
  RigActuators actuators;
  RigGripper gripper;
  RigBase base;
  RigBox workspace;
  RigAreas areas;
  double control_period = 0.04;
  bool gravity_compensation = false;
  bool table = true;
  template <class V>
  void Visit(V& v) {
    v.Field("name", name,
            {.help = "the robot's name, kept with its policies; empty: the file's name"});
    v.Field("mjcf", mjcf, {.help = "MJCF file, relative to the rig's folder; never edited"});
    v.Field("joints", joints, {.help = "the arm's joints, base first (at most 16)"});
    v.Field("home", home,
            {.help = "one position per joint, the tool pointing down", .unit = "rad or m"});
    v.Field("limits_low", limits_low,
            {.help = "lowest joint positions; empty: the MJCF's", .unit = "rad or m"});
    v.Field("limits_high", limits_high,
            {.help = "highest joint positions; empty: the MJCF's", .unit = "rad or m"});
    v.Section("tool", tool, "the point that tasks move");
    v.Section("actuators", actuators, "what drives the joints");
    v.Section("gripper", gripper, "optional two-finger gripper");
    v.Section("base", base, "the frame of all boxes: x forward, z up, the table's top at z = 0");
    v.Section("workspace", workspace, "where the tool's set-point may go (x, y, z)");
    v.Section("areas", areas, "where tasks put their things");
    v.Field("control_period", control_period,
            {.help = "time between actions; a whole number of the MJCF's timesteps",
             .min = 1e-4,
             .max = 10,
             .unit = "s"});
    v.Field("gravity_compensation", gravity_compensation,
            {.help = "compensate gravity on every body of the robot; false: as the MJCF says"});
    v.Field("table", table,
            {.help = "add a table, a floor and lights; false: the MJCF brings its own"});
  }
};

struct Rig {
  RigConfig config;
  std::string path;       // of the TOML file
  std::string mjcf_path;  // resolved
};

// Where a rig file lies: "" is the built-in Panda; a relative path is taken from the working
// folder, else from the source tree. Throws UserError when there is none.
std::string FindRigFile(const std::string& path);
// Reads and checks a rig file (FindRigFile). Throws UserError: one line with file and key.
Rig LoadRig(const std::string& path);

// The path of a file of the source tree, compiled in: SourcePath("configs/rigs/panda.toml").
std::string SourcePath(const std::string& relative);

}  // namespace pawl::envs

template <>
struct pawl::core::EnumNames<pawl::envs::ActuatorKind> {
  static constexpr std::pair<const char*, pawl::envs::ActuatorKind> kTable[] = {
      {"model", pawl::envs::ActuatorKind::kModel},
      {"position", pawl::envs::ActuatorKind::kPosition}};
};
