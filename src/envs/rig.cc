#include "envs/rig.h"

#include <algorithm>
#include <filesystem>

#include "envs/arm_ik.h"

namespace pawl::envs {
namespace {

namespace fs = std::filesystem;

// Refuses the value of one key of the rig file.
[[noreturn]] void Refuse(const Rig& rig, const std::string& key, std::string what,
                         std::string expected, std::string hint = "") {
  throw UserError({.what = std::move(what),
                   .where = rig.path + ": " + key,
                   .expected = std::move(expected),
                   .hint = std::move(hint)});
}

template <class T>
void CheckSize(const Rig& rig, const std::string& key, const std::vector<T>& values, size_t count,
               const std::string& per_what) {
  if (values.size() != count) {
    Refuse(rig, key, fmt::format("{} values", values.size()),
           fmt::format("{}: {}", count, per_what));
  }
}

void CheckBox(const Rig& rig, const std::string& key, const RigBox& box, size_t dimensions) {
  CheckSize(rig, key + ".low", box.low, dimensions, dimensions == 3 ? "x, y, z" : "x, y");
  CheckSize(rig, key + ".high", box.high, dimensions, dimensions == 3 ? "x, y, z" : "x, y");
  for (size_t i = 0; i < dimensions; ++i) {
    if (!(box.low[i] <= box.high[i])) {
      Refuse(rig, key, fmt::format("low {} is above high {}", box.low[i], box.high[i]),
             "low <= high on every axis");
    }
  }
}

void CheckAreas(const Rig& rig) {
  const RigAreas& areas = rig.config.areas;
  const std::pair<const char*, std::pair<const RigBox*, int>> boxes[] = {
      {"areas.reach_goal", {&areas.reach_goal, 3}},
      {"areas.cube", {&areas.cube, 2}},
      {"areas.push_forward_cube", {&areas.push_forward_cube, 2}},
      {"areas.push_any_goal", {&areas.push_any_goal, 2}},
      {"areas.pick_goal", {&areas.pick_goal, 3}},
      {"areas.cabinet", {&areas.cabinet, 2}}};
  for (const auto& [key, box] : boxes) {
    if (!box.first->empty()) CheckBox(rig, key, *box.first, box.second);
  }
}

void CheckJoints(const Rig& rig) {
  const RigConfig& c = rig.config;
  const size_t count = c.joints.size();
  if (count == 0 || count > kMaxArmJoints) {
    Refuse(rig, "joints", fmt::format("{} joints", count), fmt::format("1 to {}", kMaxArmJoints));
  }
  for (size_t i = 0; i < count; ++i) {
    if (std::count(c.joints.begin(), c.joints.end(), c.joints[i]) > 1) {
      Refuse(rig, "joints", fmt::format("'{}' stands there twice", c.joints[i]), "each joint once");
    }
  }
  CheckSize(rig, "home", c.home, count, "one per joint");
  if (!c.limits_low.empty() || !c.limits_high.empty()) {
    CheckSize(rig, "limits_low", c.limits_low, count, "one per joint");
    CheckSize(rig, "limits_high", c.limits_high, count, "one per joint");
  }
}

void CheckActuators(const Rig& rig) {
  const RigActuators& a = rig.config.actuators;
  const size_t count = rig.config.joints.size();
  if (a.kind == ActuatorKind::kModel) {
    if (!a.kp.empty() || !a.kv.empty() || !a.force.empty()) {
      Refuse(rig, "actuators", "kp, kv or force with kind = \"model\"",
             "no gains: the MJCF has them", "kind = \"position\" adds servos with these gains");
    }
    if (!a.names.empty()) CheckSize(rig, "actuators.names", a.names, count, "one per joint");
    return;
  }
  if (!a.names.empty())
    Refuse(rig, "actuators.names", "names with kind = \"position\"", "none: the servos are added");
  const std::pair<const char*, const std::vector<double>*> gains[] = {
      {"actuators.kp", &a.kp}, {"actuators.kv", &a.kv}, {"actuators.force", &a.force}};
  for (const auto& [key, values] : gains) {
    if (values->size() != 1) CheckSize(rig, key, *values, count, "one per joint, or one for all");
  }
}

void CheckGripper(const Rig& rig) {
  const RigGripper& g = rig.config.gripper;
  const size_t actuators = g.actuators.size(), joints = g.joints.size();
  CheckSize(rig, "gripper.open", g.open, actuators, "one per gripper actuator");
  CheckSize(rig, "gripper.closed", g.closed, actuators, "one per gripper actuator");
  CheckSize(rig, "gripper.joints_open", g.joints_open, joints, "one per gripper joint");
  CheckSize(rig, "gripper.joints_closed", g.joints_closed, joints, "one per gripper joint");
  if (g.present() != (joints > 0) || g.present() == g.left_pads.empty() ||
      g.present() == g.right_pads.empty()) {
    Refuse(rig, "gripper", "a part of a gripper",
           "actuators, joints, left_pads and right_pads together, or none of them");
  }
}

}  // namespace

std::string FindRigFile(const std::string& path) {
  if (path.empty()) return SourcePath("configs/rigs/panda.toml");
  std::error_code ignored;
  if (fs::exists(path, ignored)) return path;
  if (fs::path(path).is_relative() && fs::exists(SourcePath(path), ignored)) {
    return SourcePath(path);
  }
  throw UserError({.what = fmt::format("there is no rig file '{}'", path),
                   .where = "env.rig",
                   .expected = "the TOML file of a robot",
                   .hint = "docs/arm.md, \"Your own robot\""});
}

std::string SourcePath(const std::string& relative) {
  return std::string(PAWL_SOURCE_DIR) + "/" + relative;
}

Rig LoadRig(const std::string& path) {
  // not in Rig's initialiser: GCC 12 destroys the other members twice when one of them throws
  const std::string file = FindRigFile(path);
  Rig rig{.path = file};
  core::LoadConfig(core::Table::ParseFile(rig.path), rig.config);
  const RigConfig& c = rig.config;
  if (c.mjcf.empty())
    Refuse(rig, "mjcf", "no model file", "the path of an MJCF file, relative to the rig's folder");
  rig.mjcf_path = (fs::path(rig.path).parent_path() / c.mjcf).lexically_normal().string();
  if (!fs::is_regular_file(rig.mjcf_path)) {
    Refuse(rig, "mjcf", fmt::format("there is no file '{}'", rig.mjcf_path), "an MJCF file",
           "the path is relative to the rig's folder");
  }
  if (c.name.empty()) rig.config.name = fs::path(rig.path).stem().string();
  CheckJoints(rig);
  if (c.tool.site.empty() == c.tool.body.empty()) {
    Refuse(rig, "tool", c.tool.site.empty() ? "no tool" : "site and body",
           "tool.site, or tool.body with tool.offset");
  }
  CheckSize(rig, "tool.offset", c.tool.offset, 3, "x, y, z");
  CheckActuators(rig);
  CheckGripper(rig);
  CheckSize(rig, "base.position", c.base.position, 3, "x, y, z");
  CheckSize(rig, "base.orientation_deg", c.base.orientation_deg, 3, "roll, pitch, yaw");
  CheckBox(rig, "workspace", c.workspace, 3);
  CheckAreas(rig);
  return rig;
}

}  // namespace pawl::envs
