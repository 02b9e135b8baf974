// What every registered environment promises, whoever wrote it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "env_testing.h"
#include "envs/env_block.h"
#include "envs/mujoco_view.h"
#include "envs/registry.h"

namespace pawl::envs {
namespace {

constexpr uint64_t kSeed = 11;

class EnvContract : public testing::TestWithParam<std::string> {
 protected:
  EnvConfig Config() const { return {.id = GetParam()}; }
  std::unique_ptr<Env> Make() const { return MakeEnv(Config(), kSeed, 0); }
};

std::vector<std::string> AllIds() {
  std::vector<std::string> ids;
  for (const EnvEntry& entry : Entries()) ids.push_back(entry.id);
  return ids;
}

std::string TestName(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

TEST_P(EnvContract, SpecIsConsistent) {
  const auto env = Make();
  const EnvSpec& spec = env->Spec();
  EXPECT_EQ(spec.id, GetParam());
  EXPECT_FALSE(spec.version.empty());
  EXPECT_GT(spec.ObservationSize(), 0);
  for (const ObservationPart& part : spec.observation) {
    int product = 1;
    for (int size : part.shape) product *= size;
    EXPECT_EQ(product, part.size) << part.name;
    EXPECT_FALSE(part.name.empty());
  }
  ASSERT_GT(spec.action.size, 0);
  EXPECT_EQ(static_cast<int>(spec.action.names.size()), spec.action.size);
  if (!spec.action.discrete()) {
    ASSERT_EQ(static_cast<int>(spec.action.low.size()), spec.action.size);
    ASSERT_EQ(static_cast<int>(spec.action.high.size()), spec.action.size);
    for (int i = 0; i < spec.action.size; ++i) EXPECT_LT(spec.action.low[i], spec.action.high[i]);
  }
  EXPECT_FALSE(FindEnv(GetParam()).describe_args().empty());
}

TEST_P(EnvContract, StepsAreFiniteAndEndWithinTheTimeLimit) {
  const auto env = Make();
  const EnvSpec& spec = env->Spec();
  core::Philox rng = TestStream(1);
  std::vector<double> observation(spec.ObservationSize(), NAN);
  env->Reset(core::Philox(kSeed, core::Role::kEnvReset, 0, 0), observation);
  const int limit = spec.max_episode_steps > 0 ? spec.max_episode_steps : 100;
  for (int step = 1;; ++step) {
    for (double value : observation) ASSERT_TRUE(std::isfinite(value));
    std::fill(observation.begin(), observation.end(), NAN);
    const StepResult result = env->Step(RandomAction(spec, rng), observation);
    ASSERT_TRUE(std::isfinite(result.reward));
    ASSERT_TRUE(result.extra.empty() || result.extra.size() == spec.extra_names.size());
    ASSERT_FALSE(result.terminated && result.truncated);
    ASSERT_LE(step, limit);
    ASSERT_TRUE(!result.truncated || step == spec.max_episode_steps);
    if (result.terminated || result.truncated || step == limit) break;
  }
}

// equal seeds, equal bits; another episode, another start
TEST_P(EnvContract, EqualSeedsGiveEqualBits) {
  EnvBlock a(Config(), kSeed, 3, 1), b(Config(), kSeed, 3, 1), other(Config(), kSeed, 4, 1);
  const int size = a.Spec().ObservationSize();
  std::vector<double> obs_a(size), obs_b(size), obs_other(size), final_obs(size);
  a.Reset(obs_a);
  b.Reset(obs_b);
  other.Reset(obs_other);
  EXPECT_EQ(obs_a, obs_b);
  EXPECT_NE(obs_a, obs_other);
  core::Philox rng = TestStream(2);
  for (int step = 0; step < 300; ++step) {
    const auto action = RandomAction(a.Spec(), rng);
    const StepResult result_a = a.StepOne(0, action, obs_a, final_obs);
    const StepResult result_b = b.StepOne(0, action, obs_b, final_obs);
    ASSERT_EQ(result_a.reward, result_b.reward);
    ASSERT_EQ(obs_a, obs_b);
  }
}

// Saves at several random steps, loads into an object that never ran, and goes 200 steps on: across
// autoresets too.
TEST_P(EnvContract, LoadedStateContinuesInEveryBit) {
  core::Philox rng = TestStream(3);
  EnvBlock original(Config(), kSeed, 5, 1);
  const EnvSpec& spec = original.Spec();
  const int size = spec.ObservationSize();
  std::vector<double> obs(size), final_obs(size), obs_loaded(size), final_loaded(size);
  original.Reset(obs);
  bool crossed_reset = false;
  for (int round = 0; round < 3 || (!crossed_reset && round < 8); ++round) {
    for (uint32_t warm = rng.Below(150); warm > 0; --warm) {
      original.StepOne(0, RandomAction(spec, rng), obs, final_obs);
    }
    core::ByteWriter saved;
    original.SaveState(0, saved);
    EnvBlock loaded(Config(), kSeed, 5, 1);
    core::ByteReader reader(saved.bytes());
    loaded.LoadState(0, reader);
    EXPECT_EQ(reader.remaining(), 0u);
    EXPECT_TRUE(std::equal(obs.begin(), obs.end(), loaded.observation(0).begin()));
    for (int step = 0; step < 200; ++step) {
      const auto action = RandomAction(spec, rng);
      const StepResult a = original.StepOne(0, action, obs, final_obs);
      const StepResult b = loaded.StepOne(0, action, obs_loaded, final_loaded);
      ASSERT_EQ(a.reward, b.reward) << "step " << step << " after the load";
      ASSERT_TRUE(std::equal(a.extra.begin(), a.extra.end(), b.extra.begin(), b.extra.end()));
      ASSERT_EQ(a.terminated, b.terminated);
      ASSERT_EQ(a.truncated, b.truncated);
      ASSERT_EQ(a.success, b.success);
      ASSERT_EQ(obs, obs_loaded) << "step " << step << " after the load";
      if (a.terminated || a.truncated) {
        crossed_reset = true;
        ASSERT_EQ(final_obs, final_loaded);
      }
    }
    core::ByteWriter end_a, end_b;
    original.SaveState(0, end_a);
    loaded.SaveState(0, end_b);
    ASSERT_EQ(end_a.bytes(), end_b.bytes());
  }
  EXPECT_TRUE(crossed_reset || spec.max_episode_steps > 1000);
}

// LoadState must not run the simulation: what MuJoCo derives from the state stays as it was.
TEST_P(EnvContract, LoadStateLeavesDerivedQuantitiesAlone) {
  const auto env = Make();
  const auto* view = dynamic_cast<const MujocoView*>(env.get());
  if (view == nullptr) GTEST_SKIP() << "not a MuJoCo environment";
  core::Philox rng = TestStream(4);
  std::vector<double> observation(env->Spec().ObservationSize());
  env->Reset(core::Philox(kSeed, core::Role::kEnvReset, 0, 0), observation);
  const auto saved = Saved(*env);
  for (int i = 0; i < 5; ++i) env->Step(RandomAction(env->Spec(), rng), observation);
  const MujocoScene scene = view->Scene();
  const std::vector<double> xpos(scene.data->xpos, scene.data->xpos + 3 * scene.model->nbody);
  core::ByteReader reader(saved);
  env->LoadState(reader);
  EXPECT_TRUE(std::equal(xpos.begin(), xpos.end(), view->Scene().data->xpos));
}

TEST_P(EnvContract, StateCutShortIsRefused) {
  const auto env = Make();
  std::vector<double> observation(env->Spec().ObservationSize());
  env->Reset(core::Philox(kSeed, core::Role::kEnvReset, 0, 0), observation);
  auto saved = Saved(*env);
  saved.resize(saved.size() - 1);
  core::ByteReader reader(saved);
  EXPECT_THROW(Make()->LoadState(reader), Error);
}

TEST_P(EnvContract, UnknownKeywordIsRefusedWithTheNearestName) {
  EnvConfig config = Config();
  config.args = core::Table::ParseString("max_episode_step = 3", "test.toml");
  try {
    MakeEnv(config, kSeed, 0);
    FAIL() << "the keyword was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), testing::HasSubstr("max_episode_step"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, EnvContract, testing::ValuesIn(AllIds()), TestName);

}  // namespace
}  // namespace pawl::envs
