// A robot joined with the scene of a task: the rig's MJCF is attached to the scene's with mjSpec
// (neither file is edited), compiled once per (rig, scene) and shared by every environment that
// uses it. The world of the joined model is the rig's base frame: x forward, z up, the table's top
// at z = 0. Immutable, so any thread may read it.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "envs/mujoco_sim.h"
#include "envs/rig.h"

namespace pawl::envs {

struct ArmModel {
  Rig rig;
  SharedModel model;
  int substeps = 0;  // physics steps per action

  // The arm, N joints, base first.
  std::vector<int> joints;        // [N] model ids
  std::vector<int> qpos_adr;      // [N]
  std::vector<int> dof_adr;       // [N]
  std::vector<int> actuators;     // [N] position servos
  std::vector<double> home;       // [N] rad (m for a slide)
  std::vector<double> limit_low;  // [N]
  std::vector<double> limit_high;
  int tool_site = -1;
  std::array<double, 9> downward{};  // rotation of the tool at home

  // The gripper; empty where there is none.
  std::vector<int> gripper_actuators;      // [G]
  std::vector<int> gripper_qpos_adr;       // finger joints
  std::vector<int> left_pads, right_pads;  // geom ids

  int num_joints() const { return static_cast<int>(joints.size()); }
  bool has_gripper() const { return !gripper_actuators.empty(); }
  // Corner `low` or `high` of an area that a task needs. Throws UserError naming rig, key and task
  // when the rig lacks it.
  const RigBox& Area(const RigBox& box, const char* key, const std::string& task) const;
};

// Loads `rig_path` ("" = the built-in Panda) and joins it with src/envs/models/<scene>.xml.
// Thread-safe. Throws UserError, one line, for a missing or broken MJCF, for a name that is not
// there (rig file, key, name, nearest name), for actuators that are not position servos, for a
// control period that is no whole number of timesteps.
std::shared_ptr<const ArmModel> LoadArmModel(const std::string& rig_path, const std::string& scene);

}  // namespace pawl::envs
