#include "envs/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace pawl::envs {
namespace {

TEST(Registry, IdsAreUniqueAndDescribed) {
  std::set<std::string> ids;
  for (const EnvEntry& entry : Entries()) {
    EXPECT_TRUE(ids.insert(entry.id).second) << entry.id;
    EXPECT_FALSE(entry.summary.empty());
  }
  for (const char* id :
       {"HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5", "HumanoidStandup-v5",
        "Swimmer-v5", "Reacher-v5", "Pusher-v5", "InvertedPendulum-v5", "InvertedDoublePendulum-v5",
        "CartPole-v1", "Pendulum-v1"}) {
    EXPECT_EQ(ids.count(id), 1u) << id;
  }
}

TEST(Registry, UnknownIdNamesTheNearest) {
  try {
    FindEnv("HalfCheeta-v5");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), testing::HasSubstr("HalfCheetah-v5"));
  }
}

TEST(Registry, KeywordsReachTheEnvironment) {
  EnvConfig config{.id = "Hopper-v5"};
  config.args = core::Table::ParseString(
      "frame_skip = 2\nmax_episode_steps = 7\nexclude_current_positions_from_observation = false\n"
      "healthy_z_range = [-inf, inf]",
      "test");
  const auto env = MakeEnv(config, 1, 0);
  EXPECT_EQ(env->Spec().max_episode_steps, 7);
  EXPECT_EQ(env->Spec().ObservationSize(), 12);
  EXPECT_DOUBLE_EQ(env->Spec().control_period_s, 0.004);
}

TEST(Registry, BadKeywordValuesAreUserErrors) {
  for (const char* args :
       {"healthy_z_range = [1.0]", "healthy_z_range = [2.0, 1.0]", "frame_skip = 0",
        "reset_noise_scale = -1.0", "xml_file = \"nowhere.xml\"", "frame_skip = \"two\"",
        "default_camera_config = {lookat = [1.0]}"}) {
    EnvConfig config{.id = "Hopper-v5"};
    config.args = core::Table::ParseString(args, "test");
    try {
      MakeEnv(config, 1, 0);
      ADD_FAILURE() << args;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2) << args;
    }
  }
}

}  // namespace
}  // namespace pawl::envs
