// From actions to servo targets. The set-point is state: an action moves it, a leash ties it to the
// measured arm, a box or the joint limits bound it, and the policy observes how far the arm is
// behind it (without that, the sag of the servos would make the task non-Markov). Owned and called
// by one environment; allocates nothing after construction.
#pragma once
#include <array>
#include <memory>
#include <span>
#include <utility>

#include "core/bytes.h"
#include "core/config.h"
#include "envs/arm_ik.h"
#include "envs/arm_model.h"

namespace pawl::envs {

// kCartesian: dx, dy, dz of the tool, orientation held downward. kJoint: one change per joint. Both
// end with the gripper's opening where the rig has a gripper: -1 closed, 1 open.
enum class ArmAction { kCartesian, kJoint };

struct ArmControlOptions {
  ArmAction action = ArmAction::kCartesian;
  double action_scale = 0.04;        // m per step at action 1
  double leash = 0.06;               // m, per axis
  double joint_action_scale = 0.08;  // rad per step at action 1
  double joint_leash = 0.3;          // rad, per joint
  double min_height = 0;             // m, raises the workspace's floor
};

class ArmControl {
 public:
  ArmControl(std::shared_ptr<const ArmModel> arm, const ArmControlOptions& options);

  // Numbers in an action and in the set-point: 3 or N, and a gripper.
  int action_size() const { return setpoint_size_ + (arm_->has_gripper() ? 1 : 0); }
  int setpoint_size() const { return setpoint_size_; }
  const char* setpoint_unit() const {
    return options_.action == ArmAction::kCartesian ? "m" : "rad";
  }
  ActionSpec Spec() const;

  // The set-point where the arm is, the servos holding it there. `data` must hold fresh kinematics.
  void Reset(bool gripper_open, mjData& data);
  // Moves the set-point and the gripper's target by one action [A], clipped to [-1, 1].
  void Act(std::span<const double> action, mjData& data);
  // Writes the servos' targets for the present pose: inverse kinematics, or the joint set-point
  // itself.
  void WriteTargets(mjData& data) const;
  // Set-point minus measured, m or rad: [setpoint_size].
  void ObserveError(const mjData& data, std::span<double> error) const;

  void SaveState(core::ByteWriter& out) const { out.Put(setpoint_); }
  void LoadState(core::ByteReader& in) { in.Get(setpoint_); }

 private:
  void WriteGripper(double opening, mjData& data) const;

  std::shared_ptr<const ArmModel> arm_;
  ArmControlOptions options_;
  std::array<double, 3> low_{}, high_{};  // workspace, m
  int setpoint_size_;
  std::array<double, kMaxArmJoints> setpoint_{};  // tool position, m, or joint positions
};

}  // namespace pawl::envs

template <>
struct pawl::core::EnumNames<pawl::envs::ArmAction> {
  static constexpr std::pair<const char*, pawl::envs::ArmAction> kTable[] = {
      {"cartesian", pawl::envs::ArmAction::kCartesian}, {"joint", pawl::envs::ArmAction::kJoint}};
};
