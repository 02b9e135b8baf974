// The first half of joining a robot with a task: everything that happens on mjSpec, before there is
// a model. Used by arm_model.cc only.
#pragma once
#include <mujoco/mujoco.h>

#include <memory>
#include <string>

#include "envs/rig.h"

namespace pawl::envs {

// What the robot's names begin with in the joined model.
inline constexpr char kRobotPrefix[] = "robot/";
// The site at the tool's centre in the joined model, whether the rig names a site or a body with an
// offset.
std::string ToolSiteName(const Rig& rig);
// The servo of a joint that we add for kind = "position".
std::string AddedServoName(const std::string& joint);

// Parses robot and scene, adds servos and tool site where the rig asks for them, turns the robot so
// that the rig's base frame is the world, attaches and compiles. The caller owns the model. Throws
// UserError.
mjModel* CompileArm(const Rig& rig, const std::string& scene_path);

}  // namespace pawl::envs
