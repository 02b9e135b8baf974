#include "train/evaluator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/policy_config.h"
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

TEST(Evaluate, PlaysOnItsOwnSeedsAndWholeEpisodes) {
  const auto policy = RandomPolicy("Pendulum-v1");
  const auto a = Evaluate(policy, {.episodes = 3, .seed = 1, .threads = 1});
  const auto b = Evaluate(policy, {.episodes = 3, .seed = 2, .threads = 1});
  EXPECT_NE(a.return_mean, b.return_mean);
  EXPECT_EQ(a.episode_length_mean, 200);
  EXPECT_TRUE(std::isnan(a.success_rate));
}

}  // namespace
}  // namespace pawl::train
