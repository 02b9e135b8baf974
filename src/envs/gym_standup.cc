// HumanoidStandup: a humanoid on its back is paid for the height of its torso. Gymnasium 1.4's
// formulas.
#include <algorithm>

#include "envs/gym_entries.h"
#include "envs/gym_locomotion_args.h"
#include "envs/gym_observation.h"
#include "envs/mujoco_env.h"

namespace pawl::envs {
namespace {

struct StandupArgs : LocomotionArgs {
  double uph_cost_weight = 1;
  StandupArgs() {
    xml_file = "humanoidstandup.xml";
    frame_skip = 5;
    ctrl_cost_weight = 0.1;
    contact_cost_weight = 5e-7;
    reset_noise_scale = 1e-2;
    default_camera_config.trackbodyid = 1;
    default_camera_config.lookat = {0, 0, 0.8925};
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("uph_cost_weight", uph_cost_weight,
            {.help = "accepted as in Gymnasium, which ignores it"});
    v.Field("ctrl_cost_weight", ctrl_cost_weight, {.help = "times the squared action"});
    v.Field("impact_cost_weight", contact_cost_weight, {.help = "times the squared forces"});
    v.Field("impact_cost_range", contact_cost_range,
            {.help = "the cost is clipped to it", .allow_infinite = true});
    VisitReset(v);
    VisitBodyFields(v);
    VisitContactFields(v);
  }
};

ObservationLayout Layout(const StandupArgs& args) {
  return {.skipped_qpos = args.exclude_current_positions_from_observation ? 2 : 0,
          .cinert = args.include_cinert_in_observation,
          .cvel = args.include_cvel_in_observation,
          .qfrc_actuator = args.include_qfrc_actuator_in_observation,
          .cfrc_ext = args.include_cfrc_ext_in_observation};
}

class StandupEnv : public MujocoEnv {
 public:
  explicit StandupEnv(const StandupArgs& args)
      : MujocoEnv(args, "HumanoidStandup-v5"),
        layout_(Layout(args)),
        ctrl_weight_(args.ctrl_cost_weight),
        impact_weight_(args.contact_cost_weight),
        impact_range_(ToInterval(args.contact_cost_range, "impact_cost_range")),
        noise_(args.reset_noise_scale) {
    needs_contact_forces_ = layout_.cfrc_ext || impact_weight_ != 0;
    spec_.observation = ObservationParts(layout_, model());
    spec_.extra_names = {"x_position",   "y_position",      "z_distance_from_origin",
                         "reward_linup", "reward_quadctrl", "reward_impact"};
    FinishSpec();
  }

 protected:
  void SampleInitialState(core::Philox& rng, std::span<double> qpos,
                          std::span<double> qvel) override {
    AddNoise(rng, noise_, /*normal_velocity=*/false, qpos, qvel);
  }
  void Observe(std::span<double> observation) const override {
    WriteObservation(layout_, model(), data(), observation);
  }
  // reward = z / timestep - w_c * |a|^2 - impact cost + 1; the timestep is the physics', not the
  // control's, as there
  StepResult Evaluate(std::span<const double> action) override {
    const double* qpos = data().qpos;
    const double up = qpos[2] / model().opt.timestep;
    const double ctrl_cost = ctrl_weight_ * SumOfSquares(action);
    const double impact =
        impact_weight_ * SumOfSquares({data().cfrc_ext, 6 * static_cast<size_t>(model().nbody)});
    const double impact_cost = std::clamp(impact, impact_range_.low, impact_range_.high);
    extra_ = {qpos[0], qpos[1], qpos[2] - model().qpos0[2], up, -ctrl_cost, -impact_cost};
    return {.reward = up - ctrl_cost - impact_cost + 1};
  }

 private:
  ObservationLayout layout_;
  double ctrl_weight_, impact_weight_;
  Interval impact_range_;
  double noise_;
};

}  // namespace

EnvEntry StandupEntry() {
  return MakeEntry<StandupArgs>(
      "HumanoidStandup-v5", "stand up from lying on the back",
      [](const StandupArgs& args) { return std::make_unique<StandupEnv>(args); });
}

}  // namespace pawl::envs
