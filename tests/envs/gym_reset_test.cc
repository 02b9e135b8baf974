// Reset distributions of the Gymnasium tasks over 10^4 episodes: ranges and moments against the
// documented distributions, in closed form or, for the two tasks that reject samples, integrated
// over a grid.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "envs/mujoco_env.h"
#include "envs/registry.h"
#include "tests/goldens/goldens.h"

namespace pawl::envs {
namespace {

constexpr int kResets = 10000;

// One coordinate: mean, deviation and the range that it may not leave.
struct Expected {
  double mean = 0, deviation = 0, low = 0, high = 0;
};

Expected Constant(double value) { return {value, 0, value, value}; }
Expected Uniform(double middle, double scale) {
  return {middle, scale / std::sqrt(3.0), middle - scale, middle + scale};
}
Expected Normal(double middle, double deviation) {
  const double infinity = std::numeric_limits<double>::infinity();
  return {middle, deviation, -infinity, infinity};
}
// x and y of a uniform point of the box that satisfies `keep`.
template <class Keep>
std::pair<Expected, Expected> Rejected(Interval x, Interval y, Keep keep) {
  constexpr int kGrid = 2000;
  double count = 0, sum_x = 0, sum_y = 0, square_x = 0, square_y = 0;
  for (int i = 0; i < kGrid; ++i) {
    const double px = x.low + (x.high - x.low) * (i + 0.5) / kGrid;
    for (int k = 0; k < kGrid; ++k) {
      const double py = y.low + (y.high - y.low) * (k + 0.5) / kGrid;
      if (!keep(px, py)) continue;
      count += 1;
      sum_x += px;
      sum_y += py;
      square_x += px * px;
      square_y += py * py;
    }
  }
  const double mean_x = sum_x / count, mean_y = sum_y / count;
  return {{mean_x, std::sqrt(square_x / count - mean_x * mean_x), x.low, x.high},
          {mean_y, std::sqrt(square_y / count - mean_y * mean_y), y.low, y.high}};
}

struct Distribution {
  std::vector<Expected> qpos, qvel;  // [nq], [nv]
};

Distribution Noise(const mjModel& model, double scale, bool normal_velocity) {
  Distribution out;
  for (int i = 0; i < model.nq; ++i) out.qpos.push_back(Uniform(model.qpos0[i], scale));
  for (int i = 0; i < model.nv; ++i) {
    out.qvel.push_back(normal_velocity ? Normal(0, scale) : Uniform(0, scale));
  }
  return out;
}

Distribution ExpectedOf(const std::string& id, const mjModel& model) {
  if (id == "HalfCheetah-v5" || id == "Ant-v5") return Noise(model, 0.1, true);
  if (id == "InvertedDoublePendulum-v5") return Noise(model, 0.1, true);
  if (id == "Hopper-v5" || id == "Walker2d-v5") return Noise(model, 5e-3, false);
  if (id == "Humanoid-v5" || id == "HumanoidStandup-v5") return Noise(model, 1e-2, false);
  if (id == "Swimmer-v5") return Noise(model, 0.1, false);
  if (id == "InvertedPendulum-v5") return Noise(model, 0.01, false);
  if (id == "Reacher-v5") {
    Distribution out = Noise(model, 0.1, false);
    std::tie(out.qpos[2], out.qpos[3]) = Rejected(
        {-0.2, 0.2}, {-0.2, 0.2}, [](double x, double y) { return std::hypot(x, y) < 0.2; });
    out.qvel = {Uniform(0, 0.005), Uniform(0, 0.005), Constant(0), Constant(0)};
    return out;
  }
  Distribution out;  // Pusher
  for (int i = 0; i < 7; ++i) {
    out.qpos.push_back(Constant(model.qpos0[i]));
    out.qvel.push_back(Uniform(0, 0.005));
  }
  const auto [x, y] = Rejected({-0.3, 0.0}, {-0.2, 0.2},
                               [](double x, double y) { return std::hypot(x, y) > 0.17; });
  out.qpos.insert(out.qpos.end(), {x, y, Constant(0), Constant(0)});
  out.qvel.insert(out.qvel.end(), 4, Constant(0));
  return out;
}

class GymReset : public testing::TestWithParam<const char*> {};

TEST_P(GymReset, HasTheDocumentedRangesAndMoments) {
  const auto env = MakeEnv({.id = GetParam()}, 1, 0);
  auto& mujoco = dynamic_cast<MujocoEnv&>(*env);
  const mjModel& model = mujoco.sim().model();
  const Distribution expected = ExpectedOf(GetParam(), model);
  std::vector<Expected> all = expected.qpos;
  all.insert(all.end(), expected.qvel.begin(), expected.qvel.end());
  ASSERT_EQ(static_cast<int>(all.size()), model.nq + model.nv);

  std::vector<double> sum(all.size()), square(all.size()),
      observation(env->Spec().ObservationSize());
  for (int episode = 0; episode < kResets; ++episode) {
    env->Reset(core::Philox(17, core::Role::kEnvReset, 3, episode), observation);
    for (size_t i = 0; i < all.size(); ++i) {
      const mjData& data = mujoco.sim().data();
      const double value = i < expected.qpos.size() ? data.qpos[i] : data.qvel[i - model.nq];
      ASSERT_GE(value, all[i].low) << "coordinate " << i;
      ASSERT_LE(value, all[i].high) << "coordinate " << i;
      sum[i] += value - all[i].mean;
      square[i] += (value - all[i].mean) * (value - all[i].mean);
    }
  }
  for (size_t i = 0; i < all.size(); ++i) {
    // five standard errors; that of a deviation is at most that of a normal's, deviation / sqrt(2
    // n)
    const double error = all[i].deviation / std::sqrt(kResets);
    EXPECT_NEAR(sum[i] / kResets, 0, 5 * error) << "mean of coordinate " << i;
    EXPECT_NEAR(std::sqrt(square[i] / kResets), all[i].deviation, 5 * error / std::sqrt(2.0))
        << "deviation of coordinate " << i;
  }
}

// The same distributions against 10^4 resets of the real package.
TEST_P(GymReset, IsWhatGymnasiumDraws) {
  const auto file = GoldensFolder() / "gym_mujoco/reset_moments.json";
  const auto recorded = nlohmann::json::parse(core::ReadTextFile(file));
  const double count = recorded.at("num_resets");
  const auto& moments = recorded.at("envs").at(GetParam());
  const auto env = MakeEnv({.id = GetParam()}, 1, 0);
  const auto expected = ExpectedOf(GetParam(), dynamic_cast<MujocoEnv&>(*env).sim().model());
  for (const auto& [name, coordinates] :
       {std::pair{"qpos", expected.qpos}, {"qvel", expected.qvel}}) {
    const auto& theirs = moments.at(name);
    ASSERT_EQ(theirs.at("mean").size(), coordinates.size());
    for (size_t i = 0; i < coordinates.size(); ++i) {
      const Expected& e = coordinates[i];
      const double error = 5 * e.deviation / std::sqrt(count) + 1e-12;
      EXPECT_NEAR(theirs.at("mean")[i], e.mean, error) << name << i;
      EXPECT_NEAR(theirs.at("std")[i], e.deviation, error / std::sqrt(2.0)) << name << i;
      EXPECT_GE(theirs.at("min")[i].get<double>(), e.low) << name << i;
      EXPECT_LE(theirs.at("max")[i].get<double>(), e.high) << name << i;
    }
  }
}

std::string TestName(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  return name.substr(0, name.find('-'));
}

INSTANTIATE_TEST_SUITE_P(All, GymReset,
                         testing::Values("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5",
                                         "Humanoid-v5", "HumanoidStandup-v5", "Swimmer-v5",
                                         "Reacher-v5", "Pusher-v5", "InvertedPendulum-v5",
                                         "InvertedDoublePendulum-v5"),
                         TestName);

}  // namespace
}  // namespace pawl::envs
