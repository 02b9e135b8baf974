// An environment of your own with Pawl's whole command line: a craft with two thrusters has to come
// to rest at its berth. The environment is one class and one struct of keywords; main registers it
// and hands over to the command line, so that train, eval, envs, --resume and actor processes (this
// binary, started again) all know it.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>

#include "cli/main.h"
#include "core/error.h"
#include "envs/make_entry.h"
#include "envs/time_limit.h"

namespace {
namespace core = pawl::core;
namespace envs = pawl::envs;

// The keywords of section [env.args]. Loading, ranges, `--set env.args.wind=0.2` and the text of
// `dock_point envs DockPoint-v0` all come from Visit.
struct DockArgs {
  int max_episode_steps = 100;
  double thrust = 1;
  double wind = 0.1;
  double tolerance = 0.2;
  template <class V>
  void Visit(V& v) {
    v.Field("max_episode_steps", max_episode_steps, {.help = "time limit; 0: none", .min = 0});
    v.Field("thrust", thrust,
            {.help = "acceleration of a thruster at full power", .min = 0.01, .unit = "m/s^2"});
    v.Field("wind", wind,
            {.help = "acceleration by the wind, from another side in each episode",
             .min = 0,
             .unit = "m/s^2"});
    v.Field("tolerance", tolerance,
            {.help = "docked: nearer than this (m) and slower than this (m/s)", .min = 1e-3});
  }
};

// Double integrator in the plane: acceleration = thrust * action + wind, semi-implicit Euler.
class DockPoint : public envs::Env {
 public:
  explicit DockPoint(const DockArgs& args) : args_(args), time_limit_(args.max_episode_steps) {
    spec_ = {.id = "DockPoint-v0",
             .version = "1",
             .observation = {Part("position", 2, "m"), Part("velocity", 2, "m/s"),
                             Part("wind", 2, "m/s^2")},
             .action = {.size = 2,
                        .low = {-1, -1},
                        .high = {1, 1},
                        .names = {"thrust x (share of full)", "thrust y (share of full)"}},
             .max_episode_steps = args.max_episode_steps,
             .control_period_s = kPeriod,
             .has_success = true};
  }
  const envs::EnvSpec& Spec() const override { return spec_; }

  // Starts at rest 2 to 4 m from the berth. All randomness comes from `rng`, the episode's own
  // stream: that is what makes runs repeatable for any number of actors.
  void Reset(core::Philox rng, std::span<double> observation) override {
    const double bearing = rng.Uniform(-std::numbers::pi, std::numbers::pi);
    const double distance = rng.Uniform(2, 4);
    const double wind_from = rng.Uniform(-std::numbers::pi, std::numbers::pi);
    state_ = {.position = {distance * std::cos(bearing), distance * std::sin(bearing)},
              .velocity = {0, 0},
              .wind = {args_.wind * std::cos(wind_from), args_.wind * std::sin(wind_from)}};
    time_limit_.Reset();
    Observe(observation);
  }

  // reward = -(distance + thrust effort / 10) * period, and 5 for docking
  envs::StepResult Step(std::span<const double> action, std::span<double> observation) override {
    double effort = 0;
    for (int i = 0; i < 2; ++i) {
      const double power = std::clamp(action[i], -1.0, 1.0);
      effort += power * power;
      state_.velocity[i] += (args_.thrust * power + state_.wind[i]) * kPeriod;
      state_.position[i] += state_.velocity[i] * kPeriod;
    }
    const double distance = std::hypot(state_.position[0], state_.position[1]);
    const double speed = std::hypot(state_.velocity[0], state_.velocity[1]);
    const bool docked = distance < args_.tolerance && speed < args_.tolerance;
    envs::StepResult result{.reward = -(distance + 0.1 * effort) * kPeriod + (docked ? 5 : 0),
                            .terminated = docked,  // the task ends here: nothing to bootstrap
                            .success = docked};
    time_limit_.Count(result);  // truncates at the limit, which the learner does bootstrap
    Observe(observation);
    return result;
  }

  // Everything the next Step reads. --resume, lost actors and video depend on its being complete.
  void SaveState(core::ByteWriter& out) const override {
    out.Put(state_);
    time_limit_.SaveState(out);
  }
  void LoadState(core::ByteReader& in) override {
    in.Get(state_);
    time_limit_.LoadState(in);
  }

 private:
  static constexpr double kPeriod = 0.1;  // s

  struct State {
    std::array<double, 2> position{};  // m from the berth
    std::array<double, 2> velocity{};  // m/s
    std::array<double, 2> wind{};      // m/s^2, the same all through an episode
  };

  static envs::ObservationPart Part(const char* name, int size, const char* unit) {
    return {.name = name, .size = size, .unit = unit, .shape = {size}};
  }
  void Observe(std::span<double> observation) const {
    auto out = std::copy(state_.position.begin(), state_.position.end(), observation.begin());
    out = std::copy(state_.velocity.begin(), state_.velocity.end(), out);
    std::copy(state_.wind.begin(), state_.wind.end(), out);
  }

  DockArgs args_;
  envs::EnvSpec spec_;
  envs::TimeLimit time_limit_;
  State state_;
};

}  // namespace

int main(int argc, char** argv) {
  // before cli::Main, so that actor processes, which enter through this main as well, know it, too
  envs::RegisterEnv(envs::MakeEntry<DockArgs>(
      "DockPoint-v0", "bring a craft to rest at its berth",
      [](const DockArgs& args) { return std::make_unique<DockPoint>(args); }));
  return pawl::cli::Main(argc, argv);
}
