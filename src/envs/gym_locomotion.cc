// The walking tasks: a torso that moves, paid for its forward velocity and for staying up, less
// control and contact costs. What differs between them is data (Traits) and default keywords;
// formulas follow Gymnasium 1.4's *_v5.py.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "envs/gym_entries.h"
#include "envs/gym_locomotion_args.h"
#include "envs/gym_observation.h"
#include "envs/mujoco_env.h"

namespace pawl::envs {
namespace {

// Whose position makes the velocity that is paid.
enum class Mover { kRoot, kMainBody, kMassCenter };
enum class Health { kNone, kUpright, kUprightInRange, kFiniteHeight, kHeight };
enum class Contact { kNone, kClippedForces, kClippedCost };

struct Traits {
  const char* id;
  Mover mover;
  Health health;
  Contact contact;
  int plane_axes;  // 1: x only; 2: x and y; these positions are left out of the observation
  double velocity_limit = std::numeric_limits<double>::infinity();
  bool normal_velocity = false;  // noise of the first velocities
  bool body_fields = false;      // cinert, cvel, qfrc_actuator can be observed
};

ObservationLayout Layout(const Traits& traits, const LocomotionArgs& args) {
  ObservationLayout layout{.velocity_limit = traits.velocity_limit};
  if (args.exclude_current_positions_from_observation) layout.skipped_qpos = traits.plane_axes;
  if (traits.body_fields) {
    layout.cinert = args.include_cinert_in_observation;
    layout.cvel = args.include_cvel_in_observation;
    layout.qfrc_actuator = args.include_qfrc_actuator_in_observation;
  }
  if (traits.contact != Contact::kNone) layout.cfrc_ext = args.include_cfrc_ext_in_observation;
  if (traits.contact == Contact::kClippedForces) {
    layout.force_range = ToInterval(args.contact_force_range, "contact_force_range");
  }
  return layout;
}

class LocomotionEnv : public MujocoEnv {
 public:
  LocomotionEnv(const Traits& traits, const LocomotionArgs& args)
      : MujocoEnv(args, traits.id),
        traits_(traits),
        layout_(Layout(traits, args)),
        forward_weight_(args.forward_reward_weight),
        ctrl_weight_(args.ctrl_cost_weight),
        contact_weight_(args.contact_cost_weight),
        healthy_reward_(args.healthy_reward),
        terminate_(args.terminate_when_unhealthy),
        state_range_(ToInterval(args.healthy_state_range, "healthy_state_range")),
        z_range_(ToInterval(args.healthy_z_range, "healthy_z_range")),
        angle_range_(ToInterval(args.healthy_angle_range, "healthy_angle_range")),
        force_range_(ToInterval(args.contact_force_range, "contact_force_range")),
        cost_range_(ToInterval(args.contact_cost_range, "contact_cost_range")),
        noise_(args.reset_noise_scale) {
    if (traits_.mover == Mover::kMainBody) main_body_ = FindMainBody(args.main_body);
    for (int i = 0; i < model().nbody; ++i) total_mass_ += model().body_mass[i];
    needs_contact_forces_ =
        traits_.contact != Contact::kNone && (layout_.cfrc_ext || contact_weight_ != 0);
    spec_.observation = ObservationParts(layout_, model());
    spec_.extra_names = ExtraNames();
    FinishSpec();
  }

 protected:
  void SampleInitialState(core::Philox& rng, std::span<double> qpos,
                          std::span<double> qvel) override {
    AddNoise(rng, noise_, traits_.normal_velocity, qpos, qvel);
  }
  void OnEpisodeBegin() override { position_ = Position(); }
  void Observe(std::span<double> observation) const override {
    WriteObservation(layout_, model(), data(), observation);
  }

  // reward = w_f * dx/dt + healthy - w_c * |a|^2 - contact cost
  StepResult Evaluate(std::span<const double> action) override {
    const Planar before = position_;
    position_ = Position();
    const double x_velocity = (position_.x - before.x) / dt();
    const double y_velocity = (position_.y - before.y) / dt();
    const bool healthy = IsHealthy();
    const double forward_reward = forward_weight_ * x_velocity;
    const double healthy_reward = healthy ? healthy_reward_ : 0.0;
    const double ctrl_cost = ctrl_weight_ * SumOfSquares(action);
    const double contact_cost = ContactCost();

    // in the order of ExtraNames
    double* extra = extra_.data();
    const double* qpos = data().qpos;
    *extra++ = qpos[0];
    if (traits_.plane_axes == 2) {
      *extra++ = qpos[1];
      *extra++ = std::sqrt(qpos[0] * qpos[0] + qpos[1] * qpos[1]);
    }
    if (HasHeightExtra()) *extra++ = qpos[1] - model().qpos0[1];
    *extra++ = x_velocity;
    if (traits_.plane_axes == 2) *extra++ = y_velocity;
    *extra++ = forward_reward;
    *extra++ = -ctrl_cost;
    if (traits_.contact != Contact::kNone) *extra++ = -contact_cost;
    if (traits_.health != Health::kNone) *extra++ = healthy_reward;

    const double rewards =
        traits_.health == Health::kNone ? forward_reward : forward_reward + healthy_reward;
    return {.reward = rewards - (ctrl_cost + contact_cost),
            .terminated = traits_.health != Health::kNone && !healthy && terminate_};
  }

  void SaveTask(core::ByteWriter& out) const override { out.Put(position_); }
  void LoadTask(core::ByteReader& in) override { in.Get(position_); }

 private:
  struct Planar {
    double x = 0, y = 0;
  };

  bool HasHeightExtra() const {
    return traits_.health == Health::kUpright || traits_.health == Health::kUprightInRange;
  }

  std::vector<std::string> ExtraNames() const {
    std::vector<std::string> names = {"x_position"};
    if (traits_.plane_axes == 2) {
      names.insert(names.end(), {"y_position", "distance_from_origin"});
    }
    if (HasHeightExtra()) names.push_back("z_distance_from_origin");
    names.push_back("x_velocity");
    if (traits_.plane_axes == 2) names.push_back("y_velocity");
    names.insert(names.end(), {"reward_forward", "reward_ctrl"});
    if (traits_.contact != Contact::kNone) names.push_back("reward_contact");
    if (traits_.health != Health::kNone) names.push_back("reward_survive");
    return names;
  }

  int FindMainBody(const std::string& name) const {
    const bool is_number = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return c >= '0' && c <= '9';
    });
    if (!is_number) return sim().BodyId(name);
    const int id = std::atoi(name.c_str());
    if (id >= model().nbody) {
      throw UserError({.what = fmt::format("body {} of {}", id, model().nbody),
                       .where = "env.args.main_body",
                       .expected = "the number of a body"});
    }
    return id;
  }

  // The position whose velocity is paid. For bodies it lags the state by one substep (mj_step
  // computes it first), which is why it is kept, and saved, rather than read again.
  Planar Position() const {
    switch (traits_.mover) {
      case Mover::kRoot:
        return {data().qpos[0], data().qpos[1]};
      case Mover::kMainBody:
        return {data().xpos[3 * main_body_], data().xpos[3 * main_body_ + 1]};
      case Mover::kMassCenter:
        break;
    }
    double x = 0, y = 0;
    for (int i = 0; i < model().nbody; ++i) {
      x += model().body_mass[i] * data().xipos[3 * i];
      y += model().body_mass[i] * data().xipos[3 * i + 1];
    }
    return {x / total_mass_, y / total_mass_};
  }

  bool IsHealthy() const {
    const double* qpos = data().qpos;
    const auto inside = [](const Interval& range, double value) {
      return range.low < value && value < range.high;
    };
    switch (traits_.health) {
      case Health::kNone:
        return true;
      case Health::kHeight:
        return inside(z_range_, qpos[2]);
      case Health::kFiniteHeight:
        // closed; a non-finite state never comes here, it is a divergence
        return z_range_.low <= qpos[2] && qpos[2] <= z_range_.high;
      case Health::kUprightInRange:
        for (int i = 2; i < model().nq; ++i) {
          if (!inside(state_range_, qpos[i])) return false;
        }
        for (int i = 0; i < model().nv; ++i) {
          if (!inside(state_range_, data().qvel[i])) return false;
        }
        [[fallthrough]];
      case Health::kUpright:
        return inside(z_range_, qpos[1]) && inside(angle_range_, qpos[2]);
    }
    return true;
  }

  double ContactCost() const {
    if (traits_.contact == Contact::kNone) return 0;
    const std::span<const double> forces(data().cfrc_ext, 6 * model().nbody);
    if (traits_.contact == Contact::kClippedCost) {
      return std::clamp(contact_weight_ * SumOfSquares(forces), cost_range_.low, cost_range_.high);
    }
    double sum = 0;
    for (double force : forces) {
      const double clipped = std::clamp(force, force_range_.low, force_range_.high);
      sum += clipped * clipped;
    }
    return contact_weight_ * sum;
  }

  Traits traits_;
  ObservationLayout layout_;
  double forward_weight_, ctrl_weight_, contact_weight_, healthy_reward_;
  bool terminate_;
  Interval state_range_, z_range_, angle_range_, force_range_, cost_range_;
  double noise_;
  int main_body_ = 0;
  double total_mass_ = 0;  // kg
  Planar position_;        // m, at the end of the last step
};

constexpr Traits kHumanoid = {.id = "Humanoid-v5",
                              .mover = Mover::kMassCenter,
                              .health = Health::kHeight,
                              .contact = Contact::kClippedCost,
                              .plane_axes = 2,
                              .body_fields = true};

constexpr Traits kHalfCheetah = {.id = "HalfCheetah-v5",
                                 .mover = Mover::kRoot,
                                 .health = Health::kNone,
                                 .contact = Contact::kNone,
                                 .plane_axes = 1,
                                 .normal_velocity = true};
constexpr Traits kSwimmer = {.id = "Swimmer-v5",
                             .mover = Mover::kRoot,
                             .health = Health::kNone,
                             .contact = Contact::kNone,
                             .plane_axes = 2};
constexpr Traits kHopper = {.id = "Hopper-v5",
                            .mover = Mover::kRoot,
                            .health = Health::kUprightInRange,
                            .contact = Contact::kNone,
                            .plane_axes = 1,
                            .velocity_limit = 10};
constexpr Traits kWalker2d = {.id = "Walker2d-v5",
                              .mover = Mover::kRoot,
                              .health = Health::kUpright,
                              .contact = Contact::kNone,
                              .plane_axes = 1,
                              .velocity_limit = 10};
constexpr Traits kAnt = {.id = "Ant-v5",
                         .mover = Mover::kMainBody,
                         .health = Health::kFiniteHeight,
                         .contact = Contact::kClippedForces,
                         .plane_axes = 2,
                         .normal_velocity = true};

template <class Args>
EnvEntry LocomotionEntry(const Traits& traits, const char* summary) {
  return MakeEntry<Args>(traits.id, summary, [traits](const Args& args) {
    return std::make_unique<LocomotionEnv>(traits, args);
  });
}

}  // namespace

std::vector<EnvEntry> LocomotionEntries() {
  return {
      LocomotionEntry<HalfCheetahArgs>(kHalfCheetah, "run forward on two legs in the plane"),
      LocomotionEntry<HopperArgs>(kHopper, "hop forward on one leg without falling"),
      LocomotionEntry<Walker2dArgs>(kWalker2d, "walk forward in the plane without falling"),
      LocomotionEntry<AntArgs>(kAnt, "run forward on four legs"),
      LocomotionEntry<HumanoidArgs>(kHumanoid, "run forward as a humanoid without falling"),
      StandupEntry(),
      LocomotionEntry<SwimmerArgs>(kSwimmer, "swim forward with three links"),
  };
}

}  // namespace pawl::envs
