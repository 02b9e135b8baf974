// CartPole and Pendulum against steps worked out by hand from the equations.
#include <gtest/gtest.h>

#include <cmath>

#include "envs/registry.h"

namespace pawl::envs {
namespace {

std::unique_ptr<Env> At(const std::string& id, const std::vector<double>& state,
                        const std::string& args = "") {
  EnvConfig config{.id = id};
  config.args = core::Table::ParseString(args, "test");
  auto env = MakeEnv(config, 1, 0);
  core::ByteWriter out;
  for (double value : state) out.Put(value);
  out.Put<int>(0);
  core::ByteReader in(out.bytes());
  env->LoadState(in);
  return env;
}

TEST(CartPole, StepMatchesTheEquationsByHand) {
  // upright and at rest: force 10 N; theta_acc = -(10/1.1) / (0.5 (4/3 - 0.1/1.1)), x_acc = 10/1.1
  // - 0.05 theta_acc/1.1
  const auto env = At("CartPole-v1", {0, 0, 0, 0});
  std::vector<double> obs(4);
  const StepResult result = env->Step(std::vector<double>{1}, obs);
  const double theta_acc = -(10 / 1.1) / (0.5 * (4.0 / 3 - 0.1 / 1.1));
  const double x_acc = 10 / 1.1 - 0.05 * theta_acc / 1.1;
  EXPECT_DOUBLE_EQ(obs[0], 0);
  EXPECT_DOUBLE_EQ(obs[1], 0.02 * x_acc);
  EXPECT_DOUBLE_EQ(obs[2], 0);
  EXPECT_DOUBLE_EQ(obs[3], 0.02 * theta_acc);
  EXPECT_EQ(result.reward, 1);
  EXPECT_FALSE(result.terminated);
}

TEST(CartPole, FallsAtTheLimitsAndPaysForTheLastStep) {
  std::vector<double> obs(4);
  for (const std::vector<double>& state : {std::vector<double>{2.39, 1, 0, 0},
                                           {-2.39, -1, 0, 0},
                                           {0, 0, 0.209, 1},
                                           {0, 0, -0.209, -1}}) {
    const StepResult result = At("CartPole-v1", state)->Step(std::vector<double>{0}, obs);
    EXPECT_TRUE(result.terminated);
    EXPECT_EQ(result.reward, 1);
    EXPECT_EQ(At("CartPole-v1", state, "sutton_barto_reward = true")
                  ->Step(std::vector<double>{0}, obs)
                  .reward,
              -1);
  }
}

TEST(CartPole, ActionsAreIndices) {
  std::vector<double> obs(4);
  EXPECT_THROW(At("CartPole-v1", {0, 0, 0, 0})->Step(std::vector<double>{0.5}, obs), Error);
}

TEST(Pendulum, StepMatchesTheEquationsByHand) {
  const auto env = At("Pendulum-v1", {1.0, 0.5});
  std::vector<double> obs(3);
  const StepResult result = env->Step(std::vector<double>{5}, obs);  // clipped to 2 N m
  const double velocity = 0.5 + (15 * std::sin(1.0) + 3 * 2) * 0.05;
  EXPECT_NEAR(result.reward, -(1 + 0.1 * 0.25 + 0.001 * 4), 1e-15);
  EXPECT_NEAR(obs[0], std::cos(1 + velocity * 0.05), 1e-15);
  EXPECT_NEAR(obs[1], std::sin(1 + velocity * 0.05), 1e-15);
  EXPECT_NEAR(obs[2], velocity, 1e-15);
}

TEST(Pendulum, CostUsesTheAngleFromUprightAndSpeedIsLimited) {
  const double angle = 2 * M_PI + 0.25;
  const auto env = At("Pendulum-v1", {angle, 7.99});
  std::vector<double> obs(3);
  const StepResult result = env->Step(std::vector<double>{0}, obs);
  EXPECT_NEAR(result.reward, -(0.0625 + 0.1 * 7.99 * 7.99), 1e-12);
  EXPECT_EQ(obs[2], 8);
}

TEST(Pendulum, TimeLimitTruncatesAndDoesNotTerminate) {
  const auto env = At("Pendulum-v1", {0, 0}, "max_episode_steps = 3");
  std::vector<double> obs(3);
  for (int step = 1; step <= 3; ++step) {
    const StepResult result = env->Step(std::vector<double>{0}, obs);
    EXPECT_FALSE(result.terminated);
    EXPECT_EQ(result.truncated, step == 3);
  }
}

}  // namespace
}  // namespace pawl::envs
