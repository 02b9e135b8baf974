#include "envs/arm_control.h"

#include <algorithm>

namespace pawl::envs {
namespace {

constexpr double kIkDamping = 1e-3;

}  // namespace

ArmControl::ArmControl(std::shared_ptr<const ArmModel> arm, const ArmControlOptions& options)
    : arm_(std::move(arm)),
      options_(options),
      setpoint_size_(options.action == ArmAction::kCartesian ? 3 : arm_->num_joints()) {
  const RigBox& box = arm_->rig.config.workspace;
  std::copy_n(box.low.begin(), 3, low_.begin());
  std::copy_n(box.high.begin(), 3, high_.begin());
  low_[2] = std::min(std::max(low_[2], options.min_height), high_[2]);
}

ActionSpec ArmControl::Spec() const {
  ActionSpec spec{.size = action_size()};
  spec.low.assign(spec.size, -1.0);
  spec.high.assign(spec.size, 1.0);
  if (options_.action == ArmAction::kCartesian) {
    for (const char* axis : {"x", "y", "z"}) {
      spec.names.push_back(fmt::format("set-point {} ({} m)", axis, options_.action_scale));
    }
  } else {
    for (const auto& joint : arm_->rig.config.joints) {
      spec.names.push_back(
          fmt::format("set-point {} ({} rad)", joint, options_.joint_action_scale));
    }
  }
  if (arm_->has_gripper()) spec.names.push_back("gripper (-1 closed, 1 open)");
  return spec;
}

void ArmControl::Reset(bool gripper_open, mjData& data) {
  for (int i = 0; i < arm_->num_joints(); ++i) {
    data.ctrl[arm_->actuators[i]] = data.qpos[arm_->qpos_adr[i]];
  }
  if (options_.action == ArmAction::kCartesian) {
    std::copy_n(data.site_xpos + 3 * arm_->tool_site, 3, setpoint_.begin());
  } else {
    for (int i = 0; i < setpoint_size_; ++i) setpoint_[i] = data.qpos[arm_->qpos_adr[i]];
  }
  WriteGripper(gripper_open ? 1 : 0, data);
}

void ArmControl::Act(std::span<const double> action, mjData& data) {
  const bool cartesian = options_.action == ArmAction::kCartesian;
  const double scale = cartesian ? options_.action_scale : options_.joint_action_scale;
  const double leash = cartesian ? options_.leash : options_.joint_leash;
  for (int i = 0; i < setpoint_size_; ++i) {
    const double now =
        cartesian ? data.site_xpos[3 * arm_->tool_site + i] : data.qpos[arm_->qpos_adr[i]];
    const double low = cartesian ? low_[i] : arm_->limit_low[i];
    const double high = cartesian ? high_[i] : arm_->limit_high[i];
    const double moved = setpoint_[i] + scale * std::clamp(action[i], -1.0, 1.0);
    // the box has the last word: an arm that is outside is led back
    setpoint_[i] = std::clamp(std::clamp(moved, now - leash, now + leash), low, high);
  }
  if (arm_->has_gripper()) {
    WriteGripper(0.5 * (std::clamp(action[setpoint_size_], -1.0, 1.0) + 1), data);
  }
}

void ArmControl::WriteGripper(double opening, mjData& data) const {
  const RigGripper& gripper = arm_->rig.config.gripper;
  for (size_t i = 0; i < arm_->gripper_actuators.size(); ++i) {
    data.ctrl[arm_->gripper_actuators[i]] =
        gripper.closed[i] + opening * (gripper.open[i] - gripper.closed[i]);
  }
}

void ArmControl::WriteTargets(mjData& data) const {
  const size_t count = arm_->joints.size();
  if (options_.action == ArmAction::kJoint) {
    for (size_t i = 0; i < count; ++i) data.ctrl[arm_->actuators[i]] = setpoint_[i];
    return;
  }
  const ToolPose tool{data.site_xpos + 3 * arm_->tool_site, data.site_xmat + 9 * arm_->tool_site};
  double error[6], jacobian[6 * kMaxArmJoints], dq[kMaxArmJoints];
  PoseError(tool, {setpoint_.data(), arm_->downward.data()}, error);
  ToolJacobian(*arm_->model, data, arm_->joints, tool.position, {jacobian, 6 * count});
  DampedLeastSquares({jacobian, 6 * count}, error, kIkDamping, {dq, count});
  for (size_t i = 0; i < count; ++i) {
    data.ctrl[arm_->actuators[i]] =
        std::clamp(data.qpos[arm_->qpos_adr[i]] + dq[i], arm_->limit_low[i], arm_->limit_high[i]);
  }
}

void ArmControl::ObserveError(const mjData& data, std::span<double> error) const {
  for (int i = 0; i < setpoint_size_; ++i) {
    error[i] = setpoint_[i] - (options_.action == ArmAction::kCartesian
                                   ? data.site_xpos[3 * arm_->tool_site + i]
                                   : data.qpos[arm_->qpos_adr[i]]);
  }
}

}  // namespace pawl::envs
