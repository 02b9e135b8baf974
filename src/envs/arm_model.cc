#include "envs/arm_model.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>

#include "envs/arm_spec.h"

namespace pawl::envs {
namespace {

// Id of an element of the robot; its name was checked on the spec.
int RobotId(const mjModel& model, mjtObj type, const std::string& name) {
  const int id = mj_name2id(&model, type, (kRobotPrefix + name).c_str());
  PAWL_CHECK_GE(id, 0, "'{}' was lost when robot and task were joined", name);
  return id;
}

std::vector<int> RobotIds(const mjModel& model, mjtObj type,
                          const std::vector<std::string>& names) {
  std::vector<int> ids;
  for (const auto& name : names) ids.push_back(RobotId(model, type, name));
  return ids;
}

// The geoms that the names of pads mean: geoms, or all of a body.
std::vector<int> PadGeoms(const mjModel& model, const std::vector<std::string>& names) {
  std::vector<int> geoms;
  for (const auto& name : names) {
    const int geom = mj_name2id(&model, mjOBJ_GEOM, (kRobotPrefix + name).c_str());
    if (geom >= 0) {
      geoms.push_back(geom);
      continue;
    }
    const int body = RobotId(model, mjOBJ_BODY, name);
    for (int i = 0; i < model.body_geomnum[body]; ++i)
      geoms.push_back(model.body_geomadr[body] + i);
  }
  return geoms;
}

// u is the joint's position: torque = kp (u - q) - kv dq
bool IsPositionServo(const mjModel& model, int actuator, int joint) {
  const double* bias = model.actuator_biasprm + mjNBIAS * actuator;
  return (model.actuator_trntype[actuator] == mjTRN_JOINT ||
          model.actuator_trntype[actuator] == mjTRN_JOINTINPARENT) &&
         model.actuator_trnid[2 * actuator] == joint && model.actuator_gear[6 * actuator] == 1 &&
         model.actuator_dyntype[actuator] == mjDYN_NONE &&
         model.actuator_gaintype[actuator] == mjGAIN_FIXED &&
         model.actuator_biastype[actuator] == mjBIAS_AFFINE &&
         model.actuator_gainprm[mjNGAIN * actuator] > 0 &&
         model.actuator_gainprm[mjNGAIN * actuator] == -bias[1];
}

int FindServo(const ArmModel& arm, size_t i) {
  const mjModel& model = *arm.model;
  const RigConfig& c = arm.rig.config;
  const std::string& joint = c.joints[i];
  if (c.actuators.kind == ActuatorKind::kPosition) {
    return RobotId(model, mjOBJ_ACTUATOR, AddedServoName(joint));
  }
  if (!c.actuators.names.empty()) {
    const int id = RobotId(model, mjOBJ_ACTUATOR, c.actuators.names[i]);
    if (IsPositionServo(model, id, arm.joints[i])) return id;
    throw UserError({.what = fmt::format("actuator '{}' is no position servo of joint '{}'",
                                         c.actuators.names[i], joint),
                     .where = arm.rig.path + ": actuators.names",
                     .expected = "a <position> actuator, or one with its gains",
                     .hint = "actuators.kind = \"position\" adds servos in memory"});
  }
  for (int id = 0; id < model.nu; ++id) {
    if (IsPositionServo(model, id, arm.joints[i])) return id;
  }
  throw UserError({.what = fmt::format("{} has no position servo for joint '{}'", c.mjcf, joint),
                   .where = arm.rig.path + ": actuators.kind",
                   .expected = "a <position> actuator for every joint",
                   .hint = "kind = \"position\" with kp, kv and force adds servos in memory"});
}

void ResolveJoint(ArmModel& arm, size_t i) {
  const mjModel& model = *arm.model;
  const RigConfig& c = arm.rig.config;
  const int joint = RobotId(model, mjOBJ_JOINT, c.joints[i]);
  // the Jacobian takes every joint to move the tool
  int body = model.site_bodyid[arm.tool_site];
  while (body != 0 && body != model.jnt_bodyid[joint]) body = model.body_parentid[body];
  if (body == 0) {
    throw UserError({.what = fmt::format("joint '{}' does not move the tool", c.joints[i]),
                     .where = arm.rig.path + ": joints",
                     .expected = "the joints between the base and the tool"});
  }
  arm.joints.push_back(joint);
  arm.qpos_adr.push_back(model.jnt_qposadr[joint]);
  arm.dof_adr.push_back(model.jnt_dofadr[joint]);
  arm.actuators.push_back(FindServo(arm, i));

  const bool limited = model.jnt_limited[joint] != 0;
  double low = limited ? model.jnt_range[2 * joint] : -HUGE_VAL;
  double high = limited ? model.jnt_range[2 * joint + 1] : HUGE_VAL;
  if (!c.limits_low.empty()) {
    low = c.limits_low[i];
    high = c.limits_high[i];
  }
  if (!(low < high) || c.home[i] < low || c.home[i] > high) {
    throw UserError({.what = fmt::format("home {} of joint '{}'", c.home[i], c.joints[i]),
                     .where = arm.rig.path + ": home",
                     .expected = fmt::format("a position inside its limits [{}, {}]", low, high)});
  }
  arm.limit_low.push_back(low);
  arm.limit_high.push_back(high);
}

constexpr int kMaxSubsteps = 10'000;

int CountSubsteps(const ArmModel& arm) {
  const double period = arm.rig.config.control_period, timestep = arm.model->opt.timestep;
  const double steps = std::round(period / timestep);
  if (steps < 1 || steps > kMaxSubsteps || std::abs(steps * timestep - period) > 1e-9 * period) {
    throw UserError({.what = fmt::format("a period of {} s is {:.6g} timesteps of {} s", period,
                                         period / timestep, timestep),
                     .where = arm.rig.path + ": control_period",
                     .expected = fmt::format("a whole number of timesteps, 1 to {}", kMaxSubsteps),
                     .hint = fmt::format("the timestep is in {}", arm.rig.config.mjcf)});
  }
  return static_cast<int>(steps);
}

// "Downward" is whatever the tool's orientation is at home.
void ComputeDownward(ArmModel& arm) {
  MujocoSim sim(arm.model);
  mjData& data = sim.data();
  for (int i = 0; i < arm.num_joints(); ++i) data.qpos[arm.qpos_adr[i]] = arm.home[i];
  mj_kinematics(arm.model.get(), &data);
  std::copy_n(data.site_xmat + 9 * arm.tool_site, 9, arm.downward.begin());
}

std::shared_ptr<const ArmModel> Load(const std::string& rig_path, const std::string& scene) {
  auto arm = std::make_shared<ArmModel>();
  arm->rig = LoadRig(rig_path);
  const RigConfig& c = arm->rig.config;
  arm->model =
      ShareMujocoModel(CompileArm(arm->rig, SourcePath("src/envs/models/" + scene + ".xml")));
  const mjModel& model = *arm->model;
  if (model.opt.integrator == mjINT_RK4) {
    throw UserError({.what = fmt::format("{} asks for the RK4 integrator", c.mjcf),
                     .where = arm->rig.path + ": mjcf",
                     .expected = "Euler, implicit or implicitfast"});
  }
  arm->substeps = CountSubsteps(*arm);
  arm->tool_site = mj_name2id(&model, mjOBJ_SITE, ToolSiteName(arm->rig).c_str());
  arm->home = c.home;
  for (size_t i = 0; i < c.joints.size(); ++i) ResolveJoint(*arm, i);
  arm->gripper_actuators = RobotIds(model, mjOBJ_ACTUATOR, c.gripper.actuators);
  for (int joint : RobotIds(model, mjOBJ_JOINT, c.gripper.joints)) {
    arm->gripper_qpos_adr.push_back(model.jnt_qposadr[joint]);
  }
  arm->left_pads = PadGeoms(model, c.gripper.left_pads);
  arm->right_pads = PadGeoms(model, c.gripper.right_pads);
  if (arm->has_gripper() && (arm->left_pads.empty() || arm->right_pads.empty())) {
    throw UserError({.what = "a pad without geoms",
                     .where = arm->rig.path + ": gripper",
                     .expected = "geoms, or bodies that have geoms"});
  }
  ComputeDownward(*arm);
  return arm;
}

}  // namespace

const RigBox& ArmModel::Area(const RigBox& box, const char* key, const std::string& task) const {
  if (box.empty()) {
    throw UserError({.what = fmt::format("no box that {} needs", task),
                     .where = fmt::format("{}: areas.{}", rig.path, key),
                     .expected = "low and high corners in the base frame"});
  }
  return box;
}

std::shared_ptr<const ArmModel> LoadArmModel(const std::string& rig_path,
                                             const std::string& scene) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const ArmModel>> cache;
  // shared while somebody uses it: environments are made one after another from the same config
  std::lock_guard lock(mutex);
  auto& entry = cache[rig_path + "\n" + scene];
  auto arm = entry.lock();
  if (arm == nullptr) {
    arm = Load(rig_path, scene);
    entry = arm;
  }
  return arm;
}

}  // namespace pawl::envs
