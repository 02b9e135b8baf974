// Helpers of the arm's tests: an episode whose observation is read by part, states set by hand,
// samples of what a reset draws.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "env_testing.h"
#include "envs/arm_env.h"

namespace pawl::envs {

inline EnvConfig ArmConfig(const std::string& id, const std::string& rig = "",
                           const std::string& args = "") {
  return {.id = id, .rig = rig, .args = core::Table::ParseString(args, "test")};
}

// An environment with its observation, readable by part.
struct Episode {
  explicit Episode(const EnvConfig& config, uint64_t index = 0)
      : env(MakeEnv(config, 1, 0)), observation(env->Spec().ObservationSize()) {
    Reset(index);
  }
  void Reset(uint64_t index) {
    env->Reset(core::Philox(9, core::Role::kEnvReset, index, 0), observation);
  }
  StepResult Step(std::vector<double> action) { return env->Step(action, observation); }
  std::span<const double> Part(const std::string& name) const {
    size_t offset = 0;
    for (const auto& part : env->Spec().observation) {
      if (part.name == name) return std::span(observation).subspan(offset, part.size);
      offset += part.size;
    }
    throw Error("no part " + name);
  }
  double Norm(const std::string& name) const {
    const auto part = Part(name);
    return std::sqrt(std::inner_product(part.begin(), part.end(), part.begin(), 0.0));
  }
  double Extra(const StepResult& result, const std::string& name) const {
    const auto& names = env->Spec().extra_names;
    return result.extra[std::find(names.begin(), names.end(), name) - names.begin()];
  }
  const ArmEnv& Arm() const { return dynamic_cast<const ArmEnv&>(*env); }
  // Puts the cube's centre at a place, unturned and at rest. The next step starts from there as
  // after a load: nothing computed for the old place is left.
  void PlaceCube(double x, double y, double z) {
    auto& sim = const_cast<MujocoSim&>(Arm().sim());
    const int body = sim.BodyId("cube"), joint = sim.model().body_jntadr[body];
    const double pose[7] = {x, y, z, 1, 0, 0, 0};
    std::copy_n(pose, 7, sim.data().qpos + sim.model().jnt_qposadr[joint]);
    std::fill_n(sim.data().qvel + sim.model().jnt_dofadr[joint], 6, 0.0);
    const auto saved = Saved(*env);
    core::ByteReader reader(saved);
    env->LoadState(reader);
  }

  std::unique_ptr<Env> env;
  std::vector<double> observation;
};

// What one coordinate of a reset should be uniform in, and what it was.
struct Draw {
  std::string name;
  double low, high;
  std::function<double(const Episode&)> read;
  std::vector<double> values = {};
};

// Resets an episode of `config` 2,000 times: each coordinate is uniform in its range and
// uncorrelated with every other.
inline void ExpectUniformDraws(const EnvConfig& config, std::vector<Draw> draws) {
  constexpr int kResets = 2000;
  Episode episode(config);
  for (int i = 0; i < kResets; ++i) {
    episode.Reset(i);
    for (Draw& draw : draws) draw.values.push_back(draw.read(episode));
  }
  for (Draw& draw : draws) {
    const std::string name = config.id + ": " + draw.name;
    const double width = draw.high - draw.low, deviation = width / std::sqrt(12.0);
    const auto [low, high] = std::minmax_element(draw.values.begin(), draw.values.end());
    // float64 rounding of what is read as a difference
    EXPECT_GE(*low, draw.low - 1e-12) << name;
    EXPECT_LE(*high, draw.high + 1e-12) << name;
    // 0.99^2000 is 2e-9
    EXPECT_LT(*low, draw.low + 0.01 * width) << name;
    EXPECT_GT(*high, draw.high - 0.01 * width) << name;
    // five standard errors of a uniform mean and deviation
    double mean = 0, squares = 0;
    for (const double x : draw.values) mean += x / kResets;
    for (double& x : draw.values) squares += (x - mean) * (x - mean) / kResets;
    const double error = deviation / std::sqrt(kResets);
    EXPECT_NEAR(mean, (draw.low + draw.high) / 2, 5 * error) << name;
    EXPECT_NEAR(std::sqrt(squares), deviation, 5 * error * std::sqrt(0.2)) << name;
    for (double& x : draw.values) x = (x - mean) / std::sqrt(squares);
  }
  for (size_t a = 0; a < draws.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const auto& values = draws[a].values;
      const double correlation =
          std::inner_product(values.begin(), values.end(), draws[b].values.begin(), 0.0) / kResets;
      EXPECT_NEAR(correlation, 0, 5 / std::sqrt(kResets))
          << config.id << ": " << draws[a].name << " with " << draws[b].name;
    }
  }
}

// Coordinate `index` of an observation part.
inline std::function<double(const Episode&)> PartAt(const std::string& part, int index) {
  return [=](const Episode& e) { return e.Part(part)[index]; };
}

}  // namespace pawl::envs
