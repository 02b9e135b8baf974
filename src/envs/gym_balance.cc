// InvertedPendulum and InvertedDoublePendulum: a cart keeps one pole, or two, upright.
// Gymnasium 1.4's formulas.
#include <algorithm>
#include <cmath>

#include "envs/gym_entries.h"
#include "envs/gym_observation.h"
#include "envs/mujoco_env.h"

namespace pawl::envs {
namespace {

struct PendulumArgs : MujocoArgs {
  double reset_noise_scale = 0.01;
  PendulumArgs() {
    xml_file = "inverted_pendulum.xml";
    frame_skip = 2;
    default_camera_config.distance = 2.04;
  }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("reset_noise_scale", reset_noise_scale, {.help = "noise on the first state", .min = 0});
  }
};

class InvertedPendulumEnv : public MujocoEnv {
 public:
  explicit InvertedPendulumEnv(const PendulumArgs& args)
      : MujocoEnv(args, "InvertedPendulum-v5"), noise_(args.reset_noise_scale) {
    spec_.observation = ObservationParts({}, model());
    spec_.extra_names = {"reward_survive"};
    FinishSpec();
  }

 protected:
  void SampleInitialState(core::Philox& rng, std::span<double> qpos,
                          std::span<double> qvel) override {
    AddNoise(rng, noise_, /*normal_velocity=*/false, qpos, qvel);
  }
  void Observe(std::span<double> observation) const override {
    WriteObservation({}, model(), data(), observation);
  }
  // 1 until the pole leans by more than 0.2 rad
  StepResult Evaluate(std::span<const double>) override {
    const bool fallen = std::abs(data().qpos[1]) > 0.2;
    extra_[0] = fallen ? 0 : 1;
    return {.reward = extra_[0], .terminated = fallen};
  }

 private:
  double noise_;
};

struct DoublePendulumArgs : PendulumArgs {
  double healthy_reward = 10;
  DoublePendulumArgs() {
    xml_file = "inverted_double_pendulum.xml";
    frame_skip = 5;
    reset_noise_scale = 0.1;
    default_camera_config.distance = 4.1225;
    default_camera_config.lookat = {0, 0, 0.1225};
  }
  template <class V>
  void Visit(V& v) {
    PendulumArgs::Visit(v);
    v.Field("healthy_reward", healthy_reward, {.help = "reward of each step that stays up"});
  }
};

class InvertedDoublePendulumEnv : public MujocoEnv {
 public:
  explicit InvertedDoublePendulumEnv(const DoublePendulumArgs& args)
      : MujocoEnv(args, "InvertedDoublePendulum-v5"),
        healthy_reward_(args.healthy_reward),
        noise_(args.reset_noise_scale) {
    PAWL_CHECK(model().nq == 3 && model().nsite >= 1, "the model needs two poles and a tip site");
    spec_.observation = {VectorPart("cart_position", 1, "m"), VectorPart("sin_angle", 2, ""),
                         VectorPart("cos_angle", 2, ""), VectorPart("velocity", 3, "m/s, rad/s"),
                         VectorPart("cart_constraint_force", 1, "N")};
    spec_.extra_names = {"reward_survive", "distance_penalty", "velocity_penalty"};
    FinishSpec();
  }

 protected:
  void SampleInitialState(core::Philox& rng, std::span<double> qpos,
                          std::span<double> qvel) override {
    AddNoise(rng, noise_, /*normal_velocity=*/true, qpos, qvel);
  }
  void Observe(std::span<double> observation) const override {
    const mjData& d = data();
    double* out = observation.data();
    *out++ = d.qpos[0];
    for (int i = 1; i < 3; ++i) *out++ = std::sin(d.qpos[i]);
    for (int i = 1; i < 3; ++i) *out++ = std::cos(d.qpos[i]);
    for (int i = 0; i < 3; ++i) *out++ = std::clamp(d.qvel[i], -10.0, 10.0);
    *out++ = std::clamp(d.qfrc_constraint[0], -10.0, 10.0);
  }
  // reward = alive - (0.01 x^2 + (z - 2)^2) - (1e-3 v1^2 + 5e-3 v2^2), (x, z) the tip; it falls at
  // z <= 1
  StepResult Evaluate(std::span<const double>) override {
    const double x = data().site_xpos[0], z = data().site_xpos[2];
    const double v1 = data().qvel[1], v2 = data().qvel[2];
    const bool fallen = z <= 1;
    const double distance = 0.01 * x * x + (z - 2) * (z - 2);
    const double velocity = 1e-3 * v1 * v1 + 5e-3 * v2 * v2;
    const double alive = fallen ? 0 : healthy_reward_;
    extra_ = {alive, -distance, -velocity};
    return {.reward = alive - distance - velocity, .terminated = fallen};
  }

 private:
  double healthy_reward_, noise_;
};

}  // namespace

std::vector<EnvEntry> BalanceEntries() {
  return {
      MakeEntry<PendulumArgs>(
          "InvertedPendulum-v5", "a cart keeps a pole upright",
          [](const PendulumArgs& args) { return std::make_unique<InvertedPendulumEnv>(args); }),
      MakeEntry<DoublePendulumArgs>("InvertedDoublePendulum-v5",
                                    "a cart keeps two linked poles upright",
                                    [](const DoublePendulumArgs& args) {
                                      return std::make_unique<InvertedDoublePendulumEnv>(args);
                                    }),
  };
}

}  // namespace pawl::envs
