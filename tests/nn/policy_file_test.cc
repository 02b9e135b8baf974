#include "nn/policy_file.h"

#include <gtest/gtest.h>

#include <limits>

#include "nn/policy_config.h"
#include "nn/policy_runner.h"

namespace pawl::nn {
namespace {

Policy MakePolicy(const std::string& id, const PolicyConfig& config) {
  Policy policy;
  policy.env.id = id;
  policy.env.num_envs = 1;
  policy.spec = envs::MakeEnv(policy.env, 1, 0)->Spec();
  policy.shape = MakeShape(config, policy.spec);
  policy.weights = InitialWeights(config, policy.shape, 7);
  Normalizer normalizer({.observation = true, .reward = true}, policy.shape.obs, 1);
  std::vector<double> moments(1 + 2 * policy.shape.obs);
  for (double x : {0.5, 1.5, -2.0}) AddToMoments(std::vector<double>(policy.shape.obs, x), moments);
  normalizer.MergeObservations(moments);
  policy.normalizer = normalizer.Snapshot();
  return policy;
}

Policy Parse(const CheckpointFiles& files) {
  return ParsePolicy(files.at("policy/policy.json"), files.at("policy/weights.safetensors"),
                     "test");
}

TEST(PolicyFile, ReadsBackEveryNumberOfEveryKindOfPolicy) {
  for (const auto& [id, config] : std::vector<std::pair<std::string, PolicyConfig>>{
           {"Pendulum-v1", {}},
           {"Pendulum-v1",
            {.hidden = {5, 33, 7}, .activation = kernels::Activation::kElu, .squash = true}},
           {"CartPole-v1", {.hidden = {40}, .shared = true}}}) {
    const Policy before = MakePolicy(id, config);
    CheckpointFiles files;
    AddPolicyFiles(before, files);
    const Policy after = Parse(files);
    EXPECT_TRUE(std::equal(before.weights.span().begin(), before.weights.span().end(),
                           after.weights.span().begin(), after.weights.span().end()));
    EXPECT_TRUE(SpecDifferences(before.spec, after.spec).empty());
    EXPECT_EQ(after.shape.hidden, before.shape.hidden);
    EXPECT_EQ(after.normalizer.mean, before.normalizer.mean);
    EXPECT_EQ(after.normalizer.variance, before.normalizer.variance);
    EXPECT_EQ(after.normalizer.observation, true);
    CheckpointFiles again;
    AddPolicyFiles(after, again);
    EXPECT_EQ(files, again);
  }
}

// A motor without ctrlrange. JSON has no infinity.
TEST(PolicyFile, UnboundedActionsComeBack) {
  Policy before = MakePolicy("Pendulum-v1", {});
  before.spec.action.low[0] = -std::numeric_limits<double>::infinity();
  before.spec.action.high[0] = std::numeric_limits<double>::infinity();
  CheckpointFiles files;
  AddPolicyFiles(before, files);
  const Policy after = Parse(files);
  EXPECT_EQ(after.spec.action.low, before.spec.action.low);
  EXPECT_EQ(after.spec.action.high, before.spec.action.high);
}

TEST(PolicyFile, EveryDifferenceOfTheEnvironmentIsNamed) {
  auto a = MakePolicy("Pendulum-v1", {}).spec;
  auto b = a;
  b.observation[0].unit = "furlong";
  b.action.high[0] = 17;
  b.version = "other";
  const auto lines = SpecDifferences(a, b);
  EXPECT_EQ(lines.size(), 3u);
  EXPECT_FALSE(SpecDifferences(a, MakePolicy("CartPole-v1", {}).spec).empty());
}

TEST(PolicyFile, AMissingOrMalformedFileIsNamed) {
  CheckpointFiles files;
  AddPolicyFiles(MakePolicy("Pendulum-v1", {}), files);
  EXPECT_THROW(PolicyFromFiles(MappedFiles(), "test"), Error);
  auto malformed = files;
  malformed["policy/policy.json"].resize(10);
  EXPECT_THROW(Parse(malformed), Error);
}

}  // namespace
}  // namespace pawl::nn
