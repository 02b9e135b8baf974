#include "envs/vec_env.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "env_testing.h"

namespace pawl::envs {
namespace {

struct Arrays {
  explicit Arrays(const VecEnv& envs)
      : obs(envs.num_envs() * envs.Spec().ObservationSize()),
        final_obs(obs.size()),
        results(envs.num_envs()) {}
  VecEnvSlots Slots() { return {obs, final_obs, results}; }
  std::vector<double> obs, final_obs;
  std::vector<StepResult> results;
};

// The action of an environment at a step, whoever steps it and whenever.
double ActionOf(int env_idx, int step) {
  return core::Philox(3, core::Role::kTest, env_idx, step).Below(2);
}

struct Trace {
  std::vector<std::vector<double>> rewards_and_obs;  // [N] per environment
  std::vector<EpisodeRecord> episodes;
};

Trace RunSync(int threads, int num_envs, int steps) {
  VecEnv envs({.id = "CartPole-v1", .num_envs = num_envs}, 21, {.num_threads = threads});
  Arrays arrays(envs);
  Trace trace{.rewards_and_obs = std::vector<std::vector<double>>(num_envs)};
  envs.Reset(arrays.Slots());
  std::vector<double> actions(num_envs);
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < num_envs; ++i) actions[i] = ActionOf(i, step);
    envs.Step(actions);
    for (int i = 0; i < num_envs; ++i) {
      trace.rewards_and_obs[i].push_back(arrays.results[i].reward);
      for (int k = 0; k < 4; ++k) trace.rewards_and_obs[i].push_back(arrays.obs[4 * i + k]);
    }
  }
  trace.episodes = envs.TakeEpisodes();
  return trace;
}

TEST(VecEnv, ResultsDoNotDependOnTheNumberOfThreads) {
  const Trace one = RunSync(1, 13, 300);
  for (int threads : {2, 3, 13}) {
    const Trace other = RunSync(threads, 13, 300);
    EXPECT_EQ(one.rewards_and_obs, other.rewards_and_obs) << threads;
    ASSERT_EQ(one.episodes.size(), other.episodes.size());
    for (size_t i = 0; i < one.episodes.size(); ++i) {
      EXPECT_EQ(one.episodes[i].episode_return, other.episodes[i].episode_return);
    }
  }
  EXPECT_GT(one.episodes.size(), 13u);
}

TEST(VecEnv, SendAndRecvGiveEveryEnvironmentTheSameStepsAsStep) {
  constexpr int kEnvs = 11, kSteps = 200;
  const Trace sync = RunSync(2, kEnvs, kSteps);
  VecEnv envs({.id = "CartPole-v1", .num_envs = kEnvs}, 21, {.num_threads = 2});
  Arrays arrays(envs);
  envs.Reset(arrays.Slots());
  std::vector<int> step(kEnvs, 0), ids(kEnvs), batch(4);
  std::vector<std::vector<double>> trace(kEnvs);
  std::iota(ids.begin(), ids.end(), 0);
  std::vector<double> actions(kEnvs);
  for (int i = 0; i < kEnvs; ++i) actions[i] = ActionOf(i, 0);
  envs.Send(ids, actions);
  int in_flight = kEnvs;
  while (in_flight > 0) {
    batch.resize(std::min(4, in_flight));
    envs.Recv(batch);
    in_flight -= static_cast<int>(batch.size());
    ids.clear();
    actions.clear();
    for (int i : batch) {
      trace[i].push_back(arrays.results[i].reward);
      for (int k = 0; k < 4; ++k) trace[i].push_back(arrays.obs[4 * i + k]);
      if (++step[i] < kSteps) {
        ids.push_back(i);
        actions.push_back(ActionOf(i, step[i]));
      }
    }
    in_flight += static_cast<int>(ids.size());
    envs.Send(ids, actions);
  }
  EXPECT_EQ(trace, sync.rewards_and_obs);
}

TEST(VecEnv, AnErrorInAnyThreadReachesTheCallerAndThePoolGoesOn) {
  VecEnv envs({.id = "Pendulum-v1", .num_envs = 8}, 1, {.num_threads = 3});
  Arrays arrays(envs);
  envs.Reset(arrays.Slots());
  std::vector<double> actions(8, 0.0);
  actions[5] = NAN;
  try {
    envs.Step(actions);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("environment 5"));
  }
  actions[5] = 0;
  envs.Step(actions);
}

TEST(VecEnv, MisuseIsRefused) {
  VecEnv envs({.id = "Pendulum-v1", .num_envs = 2}, 1);
  Arrays arrays(envs);
  std::vector<double> actions(2, 0.0);
  EXPECT_THROW(envs.Step(actions), Error) << "before Reset";
  envs.Reset(arrays.Slots());
  EXPECT_THROW(envs.Step(std::span(actions).first(1)), Error);
  try {
    envs.Send(std::vector<int>{1, 1}, actions);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("environment 1 is named twice"));
  }
  std::vector<int> ids = {0};
  envs.Send(ids, std::span(actions).first(1));
  EXPECT_THROW(envs.Send(ids, std::span(actions).first(1)), Error) << "it is stepping";
  EXPECT_THROW(envs.Reset(arrays.Slots()), Error);
  std::vector<int> two(2);
  EXPECT_THROW(envs.Recv(two), Error) << "only one was sent";
  envs.Recv(ids);
  EXPECT_THROW(VecEnv({.id = "Pendulum-v1", .num_envs = 0}, 1), Error);
}

}  // namespace
}  // namespace pawl::envs
