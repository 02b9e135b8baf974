#include "envs/arm_env.h"

namespace pawl::envs {
namespace {

enum ContactRole : uint8_t { kLeftPad = 1, kRightPad = 2, kObject = 4 };

}  // namespace

ArmEnv::ArmEnv(const ArmArgs& args, const Setup& setup)
    : arm_(LoadArmModel(setup.rig, setup.scene)),
      sim_(arm_->model),
      control_(arm_, args.control),
      time_limit_(args.max_episode_steps),
      view_(setup.view),
      reset_noise_(args.reset_noise),
      starts_open_(setup.starts_open) {
  if (setup.needs_gripper && !arm_->has_gripper()) {
    throw UserError({.what = fmt::format("{} needs a gripper and the rig has none", setup.id),
                     .where = arm_->rig.path + ": gripper",
                     .expected = "actuators, joints and pads of a two-finger gripper"});
  }
  spec_.id = setup.id;
  // a policy belongs to its robot: one for another arm is refused by this
  spec_.version = fmt::format("1 on {}", arm_->rig.config.name);
  spec_.action = control_.Spec();
  spec_.max_episode_steps = args.max_episode_steps;
  spec_.control_period_s = arm_->rig.config.control_period;
  spec_.has_success = true;
}

void ArmEnv::FinishSpec(std::vector<ObservationPart> parts, std::vector<std::string> extra_names,
                        const std::vector<std::string>& object_geoms) {
  const int joints = arm_->num_joints();
  spec_.observation = {
      ArmPart("joint_position_from_home", joints, "rad"),
      ArmPart("joint_velocity", joints, "rad/s"), ArmPart("tool_position", 3, "m"),
      ArmPart("setpoint_error", control_.setpoint_size(), control_.setpoint_unit())};
  if (arm_->has_gripper()) {
    spec_.observation.push_back(ArmPart("pad_distance", 1, "m"));
    spec_.observation.push_back(ArmPart("both_pads_touch", 1, ""));
  }
  for (auto& part : parts) spec_.observation.push_back(std::move(part));
  spec_.extra_names = std::move(extra_names);
  extra_.assign(spec_.extra_names.size(), 0.0);
  last_observation_.assign(spec_.ObservationSize(), 0.0);

  contact_role_.assign(model().ngeom, 0);
  for (int geom : arm_->left_pads) contact_role_[geom] |= kLeftPad;
  for (int geom : arm_->right_pads) contact_role_[geom] |= kRightPad;
  for (const auto& name : object_geoms) contact_role_[sim_.Id(mjOBJ_GEOM, name)] |= kObject;
}

void ArmEnv::Reset(core::Philox rng, std::span<double> observation) {
  sim_.Reset();
  mjData& data = sim_.data();
  for (int i = 0; i < arm_->num_joints(); ++i) {
    data.qpos[arm_->qpos_adr[i]] =
        std::clamp(arm_->home[i] + rng.Uniform(-reset_noise_, reset_noise_), arm_->limit_low[i],
                   arm_->limit_high[i]);
  }
  const RigGripper& gripper = arm_->rig.config.gripper;
  const auto& fingers = starts_open_ ? gripper.joints_open : gripper.joints_closed;
  for (size_t i = 0; i < fingers.size(); ++i) data.qpos[arm_->gripper_qpos_adr[i]] = fingers[i];
  SampleTask(rng, data);
  mj_step1(&model(), &data);
  derived_ = true;
  control_.Reset(starts_open_, data);
  time_limit_.Reset();
  Observe(observation);
}

// Each physics step is mj_step2 then mj_step1, so that positions, contacts and the Jacobian are
// those of the present state wherever they are read: nothing lags behind qpos, neither for the
// inverse kinematics nor for observation and reward.
StepResult ArmEnv::Step(std::span<const double> action, std::span<double> observation) {
  const mjModel& m = model();
  const Divergence divergence = sim_.Run([&](mjData& data) {
    // after a load: the same function of the same state as when it was saved, and it changes none
    // of it
    if (!derived_) mj_step1(&m, &data);
    derived_ = true;
    control_.Act(action, data);
    const int targets_every = std::max(1, arm_->substeps / 2);
    for (int i = 0; i < arm_->substeps; ++i) {
      if (i % targets_every == 0) control_.WriteTargets(data);
      mj_step2(&m, &data);
      mj_step1(&m, &data);
      if (MujocoSim::HasBadWarning(data)) [[unlikely]]
        break;
    }
  });
  StepResult result;
  if (divergence != Divergence::kNone) [[unlikely]] {
    result = {.terminated = true, .divergence = divergence};
    std::fill(extra_.begin(), extra_.end(), 0.0);
    std::copy(last_observation_.begin(), last_observation_.end(), observation.begin());
  } else {
    Observe(observation);
    result = Evaluate();
  }
  result.extra = extra_;
  time_limit_.Count(result);
  return result;
}

void ArmEnv::Observe(std::span<double> observation) {
  const mjData& d = data();
  holding_ = BothPadsTouchObject();
  double* out = observation.data();
  const int joints = arm_->num_joints();
  for (int i = 0; i < joints; ++i) *out++ = d.qpos[arm_->qpos_adr[i]] - arm_->home[i];
  for (int i = 0; i < joints; ++i) *out++ = d.qvel[arm_->dof_adr[i]];
  out = std::copy_n(tool(), 3, out);
  control_.ObserveError(d, {out, static_cast<size_t>(control_.setpoint_size())});
  out += control_.setpoint_size();
  if (arm_->has_gripper()) {
    *out++ = PadDistance();
    *out++ = holding_ ? 1 : 0;
  }
  ObserveTask(out);
  PAWL_DCHECK(out == observation.data() + observation.size());
  std::copy(observation.begin(), observation.end(), last_observation_.begin());
}

bool ArmEnv::BothPadsTouchObject() const {
  const mjData& d = data();
  int touched = 0;
  for (int i = 0; i < d.ncon; ++i) {
    const mjContact& contact = d.contact[i];
    if (contact.geom[0] < 0 || contact.geom[1] < 0 || contact.dist > 0) continue;
    const int roles = contact_role_[contact.geom[0]] | contact_role_[contact.geom[1]];
    if ((roles & kObject) != 0) touched |= roles;
  }
  return (touched & kLeftPad) != 0 && (touched & kRightPad) != 0;
}

double ArmEnv::PadDistance() const {
  return Distance(data().geom_xpos + 3 * arm_->left_pads[0],
                  data().geom_xpos + 3 * arm_->right_pads[0]);
}

void ArmEnv::SaveState(core::ByteWriter& out) const {
  sim_.SaveState(out);
  control_.SaveState(out);
  time_limit_.SaveState(out);
  out.PutSpan<double>(last_observation_);
}

void ArmEnv::LoadState(core::ByteReader& in) {
  sim_.LoadState(in);
  control_.LoadState(in);
  time_limit_.LoadState(in);
  in.GetSpan<double>(last_observation_);
  derived_ = false;
}

MujocoScene ArmEnv::Scene() const {
  MujocoScene scene = view_;
  scene.model = &model();
  scene.data = &data();
  return scene;
}

}  // namespace pawl::envs
