#include "train/evaluator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/policy_config.h"
#include "policy_oracle.h"
#include "train_testing.h"

namespace pawl::train {
namespace {

nn::Policy RandomPolicy(const std::string& id) {
  nn::Policy policy;
  policy.env.id = id;
  policy.env.num_envs = 1;
  policy.spec = envs::MakeEnv(policy.env, 1, 0)->Spec();
  nn::PolicyConfig config;
  policy.shape = nn::MakeShape(config, policy.spec);
  policy.weights = nn::InitialWeights(config, policy.shape, 1);
  policy.normalizer = nn::Normalizer({}, policy.shape.obs, 1).Snapshot();
  return policy;
}

TEST(Evaluate, DoesNotDependOnTheNumberOfThreads) {
  for (const char* id : {"Pendulum-v1", "CartPole-v1"}) {
    const auto policy = RandomPolicy(id);
    const auto one = Evaluate(policy, {.episodes = 7, .deterministic = false, .threads = 1});
    const auto three = Evaluate(policy, {.episodes = 7, .deterministic = false, .threads = 3});
    for (int i = 0; i < 7; ++i)
      EXPECT_EQ(one.episodes[i].episode_return, three.episodes[i].episode_return) << id;
    EXPECT_EQ(one.return_ci95.low, three.return_ci95.low);
  }
}

TEST(Evaluate, CutsOffAnEpisodeThatHasNoEnd) {
  nn::Policy policy = RandomPolicy("Pendulum-v1");
  policy.env.args = core::Table::ParseString("max_episode_steps = 0", "test");
  policy.spec = envs::MakeEnv(policy.env, 1, 0)->Spec();
  const auto result = Evaluate(policy, {.episodes = 1, .threads = 1});
  EXPECT_EQ(result.episode_length_mean, kMaxEvaluationSteps);
}

TEST(Evaluate, PlaysWholeEpisodesAndHasNoSuccessWhereThereIsNone) {
  const auto result = Evaluate(RandomPolicy("Pendulum-v1"), {.episodes = 3, .threads = 1});
  EXPECT_EQ(result.episode_length_mean, 200);
  EXPECT_TRUE(std::isnan(result.success_rate));
}

nn::Policy ScriptedPolicy(const std::string& args) {
  nn::Policy policy;
  policy.env = {.id = "Scripted", .num_envs = 1, .args = core::Table::ParseString(args, "test")};
  policy.spec = envs::MakeEnv(policy.env, 1, 0)->Spec();
  const nn::PolicyConfig config{.hidden = {5}, .ortho_init = false, .log_std_init = -0.5};
  policy.shape = nn::MakeShape(config, policy.spec);
  policy.weights = nn::InitialWeights(config, policy.shape, 1);
  policy.normalizer = {.observation = true,
                       .clip_observation = 1.5,
                       .epsilon = 0.01,
                       .mean = {0.3, -1},
                       .variance = {0.2, 6}};
  policy.normalizer.Prepare();
  return policy;
}

// The return of one episode, worked out in double.
double SlowReturn(const nn::Policy& policy, uint64_t seed, int episode, bool deterministic) {
  const PolicyOracle oracle(policy.shape, policy.weights.span());
  const auto& normalizer = policy.normalizer;
  const auto env = envs::MakeEnv(policy.env, seed, episode);
  std::vector<double> raw(2);
  env->Reset(core::Philox(seed, core::Role::kEvalReset, episode, 0), raw);
  double sum = 0;
  for (int step = 0;; ++step) {
    std::vector<double> x;
    for (int k = 0; k < 2; ++k) {
      const double scaled =
          (raw[k] - normalizer.mean[k]) / std::sqrt(normalizer.variance[k] + normalizer.epsilon);
      x.push_back(std::clamp(scaled, -normalizer.clip_observation, normalizer.clip_observation));
    }
    auto action = oracle.Mean(x);
    core::Philox rng(seed, core::Role::kEvalAction, episode, step);
    for (int k = 0; k < 2; ++k) {
      if (!deterministic) action[k] += std::exp(oracle.LogStd(k)) * rng.Normal();
      action[k] = std::clamp(action[k], policy.spec.action.low[k], policy.spec.action.high[k]);
    }
    const auto result = env->Step(action, raw);
    sum += result.reward;
    if (result.terminated || result.truncated) return sum;
  }
}

TEST(Evaluate, PlaysEachEpisodeAsWorkedOutPlainlyFromItsOwnStreams) {
  const auto policy = ScriptedPolicy("truncate_at = [12]");
  for (const bool deterministic : {true, false}) {
    for (const uint64_t seed : {1, 2}) {
      const auto result = Evaluate(policy, {.episodes = 4,
                                            .first_episode = 3,
                                            .deterministic = deterministic,
                                            .seed = seed,
                                            .threads = 2});
      for (int i = 0; i < 4; ++i) {
        // twelve rewards, each with a few roundings of float32 in its action
        EXPECT_NEAR(result.episodes[i].episode_return,
                    SlowReturn(policy, seed, 3 + i, deterministic), 12 * 1e-5)
            << deterministic << ' ' << seed << ' ' << i;
      }
    }
  }
}

TEST(Evaluate, SuccessIsThatOfTheLastStep) {
  for (const int step : {3, 12}) {
    const auto policy = ScriptedPolicy(
        fmt::format("truncate_at = [12]\nhas_success = true\nsuccess_at = {}", step));
    const auto result = Evaluate(policy, {.episodes = 4, .threads = 1});
    EXPECT_EQ(result.success_rate, step == 12 ? 1 : 0);
    EXPECT_EQ(result.success_any_rate, 1);
    EXPECT_EQ(result.success_ci95.low, WilsonInterval(step == 12 ? 4 : 0, 4).low);
  }
}

}  // namespace
}  // namespace pawl::train
