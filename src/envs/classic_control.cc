// CartPole-v1 and Pendulum-v1 without MuJoCo: tiny, for fast tests. Dynamics, rewards and limits of
// Gymnasium 1.4 (Barto, Sutton, Anderson 1983 for the cart); observations stay double here,
// Gymnasium rounds them to float32.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "envs/gym_entries.h"
#include "envs/gym_observation.h"
#include "envs/time_limit.h"

namespace pawl::envs {
namespace {

struct CartPoleArgs {
  int max_episode_steps = 500;
  bool sutton_barto_reward = false;
  template <class V>
  void Visit(V& v) {
    v.Field("max_episode_steps", max_episode_steps, {.help = "time limit; 0: none", .min = 0});
    v.Field("sutton_barto_reward", sutton_barto_reward, {.help = "0 a step and -1 for falling"});
  }
};

class CartPoleEnv : public Env {
 public:
  explicit CartPoleEnv(const CartPoleArgs& args)
      : sutton_barto_reward_(args.sutton_barto_reward), time_limit_(args.max_episode_steps) {
    spec_ = {
        .id = "CartPole-v1",
        .version = "1",
        .observation = {VectorPart("cart_position", 1, "m"), VectorPart("cart_velocity", 1, "m/s"),
                        VectorPart("pole_angle", 1, "rad"),
                        VectorPart("pole_velocity", 1, "rad/s")},
        .action = {.size = 1, .num_choices = 2, .names = {"push: 0 left, 1 right"}},
        .max_episode_steps = args.max_episode_steps,
        .control_period_s = kTau};
  }
  const EnvSpec& Spec() const override { return spec_; }

  void Reset(core::Philox rng, std::span<double> observation) override {
    for (double& value : state_) value = rng.Uniform(-0.05, 0.05);
    time_limit_.Reset();
    std::copy(state_.begin(), state_.end(), observation.begin());
  }

  StepResult Step(std::span<const double> action, std::span<double> observation) override {
    PAWL_CHECK(action[0] == 0 || action[0] == 1, "CartPole-v1: action {}", action[0]);
    auto& [x, x_dot, theta, theta_dot] = state_;
    const double force = action[0] == 1 ? kForce : -kForce;
    const double cos = std::cos(theta), sin = std::sin(theta);
    const double temp = (force + kPoleMoment * (theta_dot * theta_dot) * sin) / kTotalMass;
    const double theta_acc = (kGravity * sin - cos * temp) /
                             (kHalfLength * (4.0 / 3.0 - kPoleMass * (cos * cos) / kTotalMass));
    const double x_acc = temp - kPoleMoment * theta_acc * cos / kTotalMass;
    x += kTau * x_dot;
    x_dot += kTau * x_acc;
    theta += kTau * theta_dot;
    theta_dot += kTau * theta_acc;

    const bool fallen = std::abs(x) > kMaxX || std::abs(theta) > kMaxTheta;
    StepResult result{.reward = 1, .terminated = fallen};
    if (sutton_barto_reward_) result.reward = fallen ? -1 : 0;
    time_limit_.Count(result);
    std::copy(state_.begin(), state_.end(), observation.begin());
    return result;
  }

  void SaveState(core::ByteWriter& out) const override {
    out.Put(state_);
    time_limit_.SaveState(out);
  }
  void LoadState(core::ByteReader& in) override {
    in.Get(state_);
    time_limit_.LoadState(in);
  }

 private:
  static constexpr double kGravity = 9.8, kPoleMass = 0.1, kTotalMass = 0.1 + 1.0;  // m/s^2, kg
  static constexpr double kHalfLength = 0.5, kPoleMoment = 0.1 * 0.5;               // m, kg m
  static constexpr double kForce = 10, kTau = 0.02;                                 // N, s
  static constexpr double kMaxX = 2.4, kMaxTheta = 12 * 2 * std::numbers::pi / 360;

  EnvSpec spec_;
  bool sutton_barto_reward_;
  TimeLimit time_limit_;
  std::array<double, 4> state_{};  // x, x_dot, theta, theta_dot
};

struct PendulumArgs {
  int max_episode_steps = 200;
  double g = 10;
  template <class V>
  void Visit(V& v) {
    v.Field("max_episode_steps", max_episode_steps, {.help = "time limit; 0: none", .min = 0});
    v.Field("g", g, {.help = "gravity", .unit = "m/s^2"});
  }
};

class PendulumEnv : public Env {
 public:
  explicit PendulumEnv(const PendulumArgs& args) : g_(args.g), time_limit_(args.max_episode_steps) {
    spec_ = {.id = "Pendulum-v1",
             .version = "1",
             .observation = {VectorPart("cos_angle", 1, ""), VectorPart("sin_angle", 1, ""),
                             VectorPart("angular_velocity", 1, "rad/s")},
             .action = {.size = 1,
                        .low = {-kMaxTorque},
                        .high = {kMaxTorque},
                        .names = {"torque (N m)"}},
             .max_episode_steps = args.max_episode_steps,
             .control_period_s = kDt};
  }
  const EnvSpec& Spec() const override { return spec_; }

  void Reset(core::Philox rng, std::span<double> observation) override {
    theta_ = rng.Uniform(-std::numbers::pi, std::numbers::pi);
    velocity_ = rng.Uniform(-1, 1);
    time_limit_.Reset();
    Observe(observation);
  }

  // reward = -(angle^2 + 0.1 velocity^2 + 0.001 torque^2) before the step, angle in [-pi, pi)
  StepResult Step(std::span<const double> action, std::span<double> observation) override {
    const double torque = std::clamp(action[0], -kMaxTorque, kMaxTorque);
    const double angle = Wrapped(theta_);
    StepResult result{
        .reward = -(angle * angle + 0.1 * (velocity_ * velocity_) + 0.001 * (torque * torque))};
    velocity_ += (3 * g_ / 2 * std::sin(theta_) + 3.0 * torque) * kDt;
    velocity_ = std::clamp(velocity_, -kMaxSpeed, kMaxSpeed);
    theta_ += velocity_ * kDt;
    time_limit_.Count(result);
    Observe(observation);
    return result;
  }

  void SaveState(core::ByteWriter& out) const override {
    out.Put(theta_);
    out.Put(velocity_);
    time_limit_.SaveState(out);
  }
  void LoadState(core::ByteReader& in) override {
    in.Get(theta_);
    in.Get(velocity_);
    time_limit_.LoadState(in);
  }

 private:
  static constexpr double kMaxSpeed = 8, kMaxTorque = 2, kDt = 0.05;  // rad/s, N m, s

  static double Wrapped(double angle) {
    const double turn = 2 * std::numbers::pi;
    double rest = std::fmod(angle + std::numbers::pi, turn);
    if (rest < 0) rest += turn;
    return rest - std::numbers::pi;
  }
  void Observe(std::span<double> observation) const {
    observation[0] = std::cos(theta_);
    observation[1] = std::sin(theta_);
    observation[2] = velocity_;
  }

  EnvSpec spec_;
  double g_;
  TimeLimit time_limit_;
  double theta_ = 0, velocity_ = 0;  // rad from upright, rad/s
};

}  // namespace

std::vector<EnvEntry> ClassicControlEntries() {
  return {
      MakeEntry<CartPoleArgs>(
          "CartPole-v1", "push a cart left or right to keep its pole up",
          [](const CartPoleArgs& args) { return std::make_unique<CartPoleEnv>(args); }),
      MakeEntry<PendulumArgs>(
          "Pendulum-v1", "swing a pendulum up and hold it",
          [](const PendulumArgs& args) { return std::make_unique<PendulumEnv>(args); }),
  };
}

}  // namespace pawl::envs
