#include "envs/arm_spec.h"

#include <algorithm>
#include <filesystem>
#include <numbers>
#include <vector>

#include "envs/mujoco_log.h"

namespace pawl::envs {
namespace {

struct DeleteSpec {
  void operator()(mjSpec* spec) const { mj_deleteSpec(spec); }
};
using SpecPtr = std::unique_ptr<mjSpec, DeleteSpec>;

constexpr char kToolSite[] = "pawl_tool";

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

SpecPtr Parse(const std::string& path, const std::string& where) {
  char message[1024] = "";
  SpecPtr spec(mj_parseXML(path.c_str(), nullptr, message, sizeof(message)));
  if (spec == nullptr) {
    throw UserError({.what = fmt::format("MuJoCo cannot read '{}': {}", path, OneLine(message)),
                     .where = where,
                     .expected = "an MJCF file"});
  }
  return spec;
}

// The element that `key` of the rig names; refuses a name that is not there with the nearest one.
mjsElement* Find(const mjSpec* spec, const Rig& rig, mjtObj type, const std::string& key,
                 const std::string& name) {
  mjsElement* element = mjs_findElement(spec, type, name.c_str());
  if (element != nullptr) return element;
  std::vector<std::string> known;
  for (mjsElement* e = mjs_firstElement(spec, type); e != nullptr; e = mjs_nextElement(spec, e)) {
    known.emplace_back(mjs_getString(mjs_getName(e)));
  }
  const std::string nearest = NearestName(name, known);
  throw UserError(
      {.what = fmt::format("{} has no {} '{}'", rig.config.mjcf, mju_type2Str(type), name),
       .where = rig.path + ": " + key,
       .hint = nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest)});
}

// A pad is a geom, or a body with all its geoms (many files leave geoms unnamed).
void CheckPads(const mjSpec* robot, const Rig& rig, const std::string& key,
               const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (mjs_findBody(robot, name.c_str()) == nullptr) Find(robot, rig, mjOBJ_GEOM, key, name);
  }
}

void CheckNames(const mjSpec* robot, const Rig& rig) {
  const RigConfig& c = rig.config;
  for (const auto& name : c.joints) {
    const mjsJoint* joint = mjs_asJoint(Find(robot, rig, mjOBJ_JOINT, "joints", name));
    if (joint->type != mjJNT_HINGE && joint->type != mjJNT_SLIDE) {
      throw UserError({.what = fmt::format("joint '{}' is a ball or free joint", name),
                       .where = rig.path + ": joints",
                       .expected = "hinge and slide joints"});
    }
  }
  for (const auto& name : c.actuators.names)
    Find(robot, rig, mjOBJ_ACTUATOR, "actuators.names", name);
  for (const auto& name : c.gripper.actuators) {
    Find(robot, rig, mjOBJ_ACTUATOR, "gripper.actuators", name);
  }
  for (const auto& name : c.gripper.joints) Find(robot, rig, mjOBJ_JOINT, "gripper.joints", name);
  CheckPads(robot, rig, "gripper.left_pads", c.gripper.left_pads);
  CheckPads(robot, rig, "gripper.right_pads", c.gripper.right_pads);
}

// kind = "position": the joints' own actuators go, a servo per joint comes, torque = clamp(kp (u -
// q) - kv dq).
void AddServos(mjSpec* robot, const Rig& rig) {
  const RigConfig& c = rig.config;
  std::vector<mjsElement*> replaced;
  for (mjsElement* e = mjs_firstElement(robot, mjOBJ_ACTUATOR); e != nullptr;
       e = mjs_nextElement(robot, e)) {
    const mjsActuator* actuator = mjs_asActuator(e);
    const std::string target = mjs_getString(actuator->target);
    if ((actuator->trntype == mjTRN_JOINT || actuator->trntype == mjTRN_JOINTINPARENT) &&
        std::count(c.joints.begin(), c.joints.end(), target) > 0) {
      replaced.push_back(e);
    }
  }
  for (mjsElement* e : replaced) mjs_delete(robot, e);

  auto value = [](const std::vector<double>& values, size_t i) {
    return values.size() == 1 ? values[0] : values[i];
  };
  for (size_t i = 0; i < c.joints.size(); ++i) {
    mjsActuator* servo = mjs_addActuator(robot, nullptr);
    mjs_setName(servo->element, AddedServoName(c.joints[i]).c_str());
    servo->trntype = mjTRN_JOINT;
    mjs_setString(servo->target, c.joints[i].c_str());
    double kv = value(c.actuators.kv, i);
    mjs_setToPosition(servo, value(c.actuators.kp, i), &kv, nullptr, nullptr, 0);
    const double force = value(c.actuators.force, i);
    servo->forcelimited = mjLIMITED_TRUE;
    servo->forcerange[0] = -force;
    servo->forcerange[1] = force;
    servo->ctrllimited = mjLIMITED_FALSE;
  }
  // the servos' damping is stiff: explicit Euler would diverge with it
  robot->option.integrator = mjINT_IMPLICITFAST;
}

void PrepareRobot(mjSpec* robot, const Rig& rig) {
  CheckNames(robot, rig);
  const RigConfig& c = rig.config;
  if (!c.tool.site.empty()) {
    Find(robot, rig, mjOBJ_SITE, "tool.site", c.tool.site);
  } else {
    mjsSite* site =
        mjs_addSite(mjs_asBody(Find(robot, rig, mjOBJ_BODY, "tool.body", c.tool.body)), nullptr);
    mjs_setName(site->element, kToolSite);
    std::copy_n(c.tool.offset.begin(), 3, site->pos);
    site->group = 4;  // not drawn
  }
  if (c.actuators.kind == ActuatorKind::kPosition) AddServos(robot, rig);
  // keyframes are for the robot alone: with a task's bodies their sizes are wrong
  while (mjsElement* key = mjs_firstElement(robot, mjOBJ_KEY)) mjs_delete(robot, key);
  if (c.gravity_compensation) {
    for (mjsElement* e = mjs_firstElement(robot, mjOBJ_BODY); e != nullptr;
         e = mjs_nextElement(robot, e)) {
      mjsBody* body = mjs_asBody(e);
      if (*mjs_getString(mjs_getName(e)) == 0 ||
          std::string(mjs_getString(mjs_getName(e))) != "world") {
        body->gravcomp = 1;
      }
    }
  }
}

// A frame in the world whose contents are seen from the rig's base: the inverse of the base's pose.
mjsFrame* AddBaseFrame(mjSpec* scene, const Rig& rig) {
  mjsFrame* frame = mjs_addFrame(mjs_findBody(scene, "world"), nullptr);
  const RigBase& base = rig.config.base;
  double euler[3], quat[4], inverse[4], position[3];
  for (int i = 0; i < 3; ++i) euler[i] = base.orientation_deg[i] * std::numbers::pi / 180;
  mju_euler2Quat(quat, euler, "XYZ");  // roll, pitch, yaw about fixed axes
  mju_negQuat(inverse, quat);
  mju_rotVecQuat(position, base.position.data(), inverse);
  for (int i = 0; i < 3; ++i) frame->pos[i] = -position[i];
  std::copy_n(inverse, 4, frame->quat);
  return frame;
}

}  // namespace

std::string ToolSiteName(const Rig& rig) {
  const std::string& site = rig.config.tool.site;
  return kRobotPrefix + (site.empty() ? std::string(kToolSite) : site);
}

std::string AddedServoName(const std::string& joint) { return joint + "_pawl_servo"; }

mjModel* CompileArm(const Rig& rig, const std::string& scene_path) {
  InstallMujocoLog();
  const bool own = !std::filesystem::equivalent(SourcePath("configs/rigs/panda.toml"), rig.path);
  const MujocoLoadScope loading(rig.mjcf_path, own);
  const SpecPtr robot = Parse(rig.mjcf_path, rig.path + ": mjcf");
  const SpecPtr scene = Parse(scene_path, "Pawl's own model");
  PrepareRobot(robot.get(), rig);
  if (!rig.config.table) mjs_delete(scene.get(), mjs_findBody(scene.get(), "table")->element);
  // the robot's file decides how physics is computed: timestep, integrator, solver
  scene->option = robot->option;
  scene->authored.option = robot->authored.option;

  mjs_setDeepCopy(scene.get(), 1);
  const mjsFrame* base = AddBaseFrame(scene.get(), rig);
  const mjsElement* attached =
      mjs_attach(base->element, mjs_findBody(robot.get(), "world")->element, kRobotPrefix, "");
  mjModel* model = attached == nullptr ? nullptr : mj_compile(scene.get(), nullptr);
  if (model == nullptr) {
    throw UserError({.what = fmt::format("MuJoCo cannot join {} with the task: {}", rig.mjcf_path,
                                         OneLine(mjs_getError(scene.get()))),
                     .where = rig.path + ": mjcf"});
  }
  return model;
}

}  // namespace pawl::envs
