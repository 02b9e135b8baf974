#include "envs/arm_env.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "arm_experts.h"
#include "arm_testing.h"
#include "env_testing.h"
#include "envs/env_block.h"

namespace pawl::envs {
namespace {

const std::string kSixAxis = PAWL_SOURCE_DIR "/tests/envs/data/six_axis.toml";

class ArmTask : public testing::TestWithParam<std::string> {};

TEST(ArmSpec, SizesFollowTaskRigAndAction) {
  struct Case {
    EnvConfig config;
    int observation, action, steps;
  };
  const Case cases[] = {{ArmConfig("ArmReach"), 28, 4, 50},
                        {ArmConfig("ArmPushForward"), 37, 4, 60},
                        {ArmConfig("ArmPushAny"), 37, 4, 60},
                        {ArmConfig("ArmLift"), 37, 4, 75},
                        {ArmConfig("ArmPickToGoal"), 37, 4, 75},
                        {ArmConfig("ArmDrawer"), 27, 4, 75},
                        {ArmConfig("ArmReach", "", "action = 'joint'"), 32, 8, 50},
                        {ArmConfig("ArmReach", kSixAxis), 24, 3, 50},
                        {ArmConfig("ArmReach", kSixAxis, "action = 'joint'"), 27, 6, 50},
                        {ArmConfig("ArmReach", "", "max_episode_steps = 7"), 28, 4, 7}};
  for (const Case& c : cases) {
    const auto env = MakeEnv(c.config, 1, 0);
    EXPECT_EQ(env->Spec().ObservationSize(), c.observation) << c.config.id;
    EXPECT_EQ(env->Spec().action.size, c.action) << c.config.id;
    EXPECT_EQ(env->Spec().max_episode_steps, c.steps) << c.config.id;
    EXPECT_DOUBLE_EQ(env->Spec().control_period_s, 0.04);
    EXPECT_TRUE(env->Spec().has_success);
  }
}

TEST(ArmSpec, TaskThatTheRigCannotDoIsRefused) {
  EXPECT_THAT([] { MakeEnv(ArmConfig("ArmLift", kSixAxis), 1, 0); },
              testing::ThrowsMessage<Error>(testing::AllOf(testing::HasSubstr("gripper"),
                                                           testing::HasSubstr("six_axis.toml"))));
  EXPECT_THAT([] { MakeEnv(ArmConfig("ArmDrawer", kSixAxis), 1, 0); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("areas.cabinet")));
}

TEST(ArmReset, ReachDrawsGoalsOverTheWholeBox) {
  ExpectUniformDraws(ArmConfig("ArmReach"), {{"x", 0.35, 0.65, PartAt("goal_position", 0)},
                                             {"y", -0.25, 0.25, PartAt("goal_position", 1)},
                                             {"z", 0.05, 0.40, PartAt("goal_position", 2)}});
}

// Whatever the task and its own draws.
TEST_P(ArmTask, EveryJointStartsNearHomeAtRest) {
  std::vector<Draw> draws;
  for (int joint = 0; joint < 7; ++joint) {
    draws.push_back(
        {fmt::format("joint {}", joint), -0.02, 0.02, PartAt("joint_position_from_home", joint)});
  }
  ExpectUniformDraws(ArmConfig(GetParam()), draws);
  Episode episode(ArmConfig(GetParam()));
  EXPECT_EQ(episode.Norm("joint_velocity"), 0);
}

TEST(ArmReset, NoiseIsTheKeywords) {
  Episode still(ArmConfig("ArmReach", "", "reset_noise = 0"));
  EXPECT_EQ(still.Norm("joint_position_from_home"), 0);
  ExpectUniformDraws(ArmConfig("ArmReach", "", "reset_noise = 0.1"),
                     {{"joint 0", -0.1, 0.1, PartAt("joint_position_from_home", 0)}});
}

TEST(ArmReset, DrawerDrawsTheCabinetsPlace) {
  // the handle stands 0.11 in front of it
  auto handle = [](int axis, double offset) {
    return [=](const Episode& e) {
      return e.Part("tool_position")[axis] + e.Part("tool_to_handle")[axis] + offset;
    };
  };
  ExpectUniformDraws(ArmConfig("ArmDrawer"),
                     {{"x", 0.60, 0.68, handle(0, 0.11)}, {"y", -0.12, 0.12, handle(1, 0)}});
}

// The rewards of docs/arm.md, computed again from the observation along an expert's episode.
double RewardFromObservation(const Episode& e, const std::string& id, bool success) {
  auto near = [](double d) { return 1 - std::tanh(5 * d); };
  if (id == "ArmReach") return (near(e.Norm("tool_to_goal")) + success) / 2;
  if (id == "ArmDrawer") {
    if (success) return 1;
    return (near(e.Norm("tool_to_handle")) +
            2 * std::clamp(e.Part("drawer_opening")[0] / 0.15, 0.0, 1.0)) /
           4;
  }
  const double d = e.Norm("tool_to_cube"), to_goal = e.Norm("cube_to_goal");
  const double g = e.Part("both_pads_touch")[0], h = e.Part("cube_position")[2] - 0.02;
  if (id == "ArmLift") {
    return success ? 1 : (near(d) + g + 2 * g * std::clamp(h / 0.1, 0.0, 1.0)) / 5;
  }
  if (id == "ArmPickToGoal") {
    const double p = to_goal < 0.025, speed = e.Norm("joint_velocity");
    return success ? 1
                   : (near(d) + g + g * std::clamp(h / 0.04, 0.0, 1.0) + 3 * g * near(to_goal) + p +
                      p * near(speed)) /
                         8;
  }
  const auto tool = e.Part("tool_position"), cube = e.Part("cube_position");
  const auto left = e.Part("cube_to_goal");
  const double length = std::hypot(left[0], left[1]);
  const double x = cube[0] - 0.035 * left[0] / length - tool[0];
  const double y = cube[1] - 0.035 * left[1] / length - tool[1];
  const double behind = std::sqrt(x * x + y * y + (0.025 - tool[2]) * (0.025 - tool[2]));
  return (0.5 * near(behind) + near(to_goal) + 1.5 * success) / 3;
}

bool SuccessFromObservation(const Episode& e, const std::string& id) {
  if (id == "ArmReach") return e.Norm("tool_to_goal") < 0.02;
  if (id == "ArmDrawer") return e.Part("drawer_opening")[0] > 0.15;
  const double h = e.Part("cube_position")[2] - 0.02;
  if (id == "ArmLift") return h > 0.08 && e.Part("both_pads_touch")[0] == 1;
  if (id == "ArmPickToGoal")
    return e.Norm("cube_to_goal") < 0.025 && e.Norm("joint_velocity") < 0.2;
  return e.Norm("cube_to_goal") < 0.03 && h < 0.01;
}

TEST_P(ArmTask, RewardAndSuccessAreTheDocumentedFormulas) {
  Episode episode(ArmConfig(GetParam()), 3);
  const auto expert = MakeArmExpert(GetParam(), episode.env->Spec());
  std::vector<double> action(episode.env->Spec().action.size);
  int successes = 0;
  for (StepResult result; !result.truncated;) {
    expert->Act(episode.observation, action);
    result = episode.Step(action);
    ASSERT_EQ(result.success, SuccessFromObservation(episode, GetParam()));
    ASSERT_NEAR(result.reward, RewardFromObservation(episode, GetParam(), result.success), 1e-9);
    ASSERT_LE(result.reward, 1);
    ASSERT_FALSE(result.terminated);
    successes += result.success;
  }
  EXPECT_GT(successes, 0);
}

// a script that sees only the observation solves the task, so a policy can
TEST_P(ArmTask, ScriptedExpertSucceeds) {
  const auto env = MakeEnv(ArmConfig(GetParam()), 1, 0);
  const auto expert = MakeArmExpert(GetParam(), env->Spec());
  const double rate = ExpertSuccessRate(*env, *expert, 100, 3);
  EXPECT_GE(rate, GetParam() == "ArmPushAny" ? 0.85 : 0.95);
}

TEST_P(ArmTask, DoingNothingFails) {
  Episode episode(ArmConfig(GetParam()));
  int successes = 0;
  for (int i = 0; i < 10; ++i) {
    episode.Reset(i);
    StepResult result;
    while (!result.truncated) result = episode.Step(std::vector<double>(4, 0.0));
    successes += result.success;
  }
  EXPECT_LE(successes, 1);
}

INSTANTIATE_TEST_SUITE_P(All, ArmTask,
                         testing::Values("ArmReach", "ArmPushForward", "ArmLift", "ArmPickToGoal",
                                         "ArmDrawer", "ArmPushAny"),
                         [](const auto& info) { return info.param; });

TEST(SixAxis, ScriptedExpertReaches) {
  const auto env = MakeEnv(ArmConfig("ArmReach", kSixAxis), 1, 0);
  const auto expert = MakeArmExpert("ArmReach", env->Spec());
  EXPECT_GE(ExpertSuccessRate(*env, *expert, 100, 3), 0.95);
}

TEST(ArmControl, HoldingStillStaysWhereItIs) {
  for (const char* args : {"", "action = 'joint'"}) {
    Episode episode(ArmConfig("ArmReach", "", args), 1);
    const std::vector<double> start(episode.Part("tool_position").begin(),
                                    episode.Part("tool_position").end());
    for (int i = 0; i < 50; ++i) {
      episode.Step(std::vector<double>(episode.env->Spec().action.size, 0.0));
    }
    for (int i = 0; i < 3; ++i) EXPECT_NEAR(episode.Part("tool_position")[i], start[i], 2e-3);
  }
}

TEST(ArmControl, SetPointKeepsToLeashAndWorkspace) {
  Episode episode(ArmConfig("ArmReach"));
  const double low[3] = {0.28, -0.35, 0.012}, high[3] = {0.75, 0.35, 0.55};
  for (int step = 0; step < 49; ++step) {
    const std::vector<double> before(episode.Part("tool_position").begin(),
                                     episode.Part("tool_position").end());
    episode.Step({-1.0, step < 25 ? 1.0 : -1.0, -5.0, 0.0});
    for (int i = 0; i < 3; ++i) {
      const double setpoint = episode.Part("tool_position")[i] + episode.Part("setpoint_error")[i];
      ASSERT_LE(std::abs(setpoint - before[i]), 0.06 + 1e-9);
      ASSERT_GE(setpoint, low[i] - 1e-9);
      ASSERT_LE(setpoint, high[i] + 1e-9);
    }
  }
  EXPECT_GT(episode.Part("tool_position")[2], 0);
}

TEST(ArmControl, ToolStaysUprightOnTheWay) {
  Episode episode(ArmConfig("ArmReach"));
  const auto& env = dynamic_cast<const ArmEnv&>(*episode.env);
  for (int step = 0; step < 40; ++step) {
    episode.Step({step < 20 ? 1.0 : -0.5, 0.7, 0.8, 0.0});
    const double* rotation = env.sim().data().site_xmat + 9 * env.arm().tool_site;
    // cosine between the tool's axis and straight down: within 8 degrees
    ASSERT_LT(rotation[8], -std::cos(8 * 3.14159 / 180));
  }
}

TEST(ArmControl, GripperFollowsTheLastNumber) {
  Episode episode(ArmConfig("ArmLift"));
  for (int i = 0; i < 20; ++i) episode.Step({0, 0, 1, -1});
  EXPECT_NEAR(episode.Part("pad_distance")[0], 0.01, 1e-3);
  for (int i = 0; i < 20; ++i) episode.Step({0, 0, 0, 0});
  EXPECT_NEAR(episode.Part("pad_distance")[0], 0.05, 2e-3);
}

TEST(ArmControl, JointActionsMoveTheirJoint) {
  Episode episode(ArmConfig("ArmReach", "", "action = 'joint'\nreset_noise = 0"));
  for (int i = 0; i < 10; ++i) episode.Step({0.5, 0, 0, 0, 0, 0, 0, 0});
  for (int i = 0; i < 10; ++i) episode.Step(std::vector<double>(8, 0.0));
  EXPECT_NEAR(episode.Part("joint_position_from_home")[0], 0.4, 0.02);
  EXPECT_NEAR(episode.Part("joint_position_from_home")[1], 0, 0.01);
}

// the contract test covers the defaults; these are the other ways to build one
TEST(ArmState, LoadedStateContinuesInEveryBitForOtherRigsAndActions) {
  for (const EnvConfig& config :
       {ArmConfig("ArmReach", kSixAxis), ArmConfig("ArmPushForward", kSixAxis, "action = 'joint'"),
        ArmConfig("ArmPickToGoal", "", "action = 'joint'")}) {
    EnvBlock original(config, 3, 0, 1), loaded(config, 3, 0, 1);
    const int size = original.Spec().ObservationSize();
    std::vector<double> obs(size), final_obs(size), obs_loaded(size), final_loaded(size);
    core::Philox rng = TestStream(6);
    original.Reset(obs);
    for (int i = 0; i < 33; ++i) {
      original.StepOne(0, RandomAction(original.Spec(), rng), obs, final_obs);
    }
    core::ByteWriter saved;
    original.SaveState(0, saved);
    core::ByteReader reader(saved.bytes());
    loaded.LoadState(0, reader);
    for (int i = 0; i < 200; ++i) {
      const auto action = RandomAction(original.Spec(), rng);
      const StepResult a = original.StepOne(0, action, obs, final_obs);
      const StepResult b = loaded.StepOne(0, action, obs_loaded, final_loaded);
      ASSERT_EQ(a.reward, b.reward);
      ASSERT_EQ(obs, obs_loaded);
    }
  }
}

// with an expert's contacts (a held cube, an open drawer), not only random flailing
TEST_P(ArmTask, StateSavedInContactContinuesInEveryBit) {
  Episode original(ArmConfig(GetParam()), 4), loaded(ArmConfig(GetParam()), 5);
  const auto expert = MakeArmExpert(GetParam(), original.env->Spec());
  std::vector<double> action(4);
  for (int i = 0; i < 25; ++i) {
    expert->Act(original.observation, action);
    original.Step(action);
  }
  const auto saved = Saved(*original.env);
  core::ByteReader reader(saved);
  loaded.env->LoadState(reader);
  for (StepResult result; !result.truncated;) {
    expert->Act(original.observation, action);
    result = original.Step(action);
    const StepResult other = loaded.Step(action);
    ASSERT_EQ(result.reward, other.reward);
    ASSERT_EQ(result.truncated, other.truncated);
    ASSERT_EQ(original.observation, loaded.observation);
  }
}

// Takes all of a simulation's memory but a kilobyte, as a pile of contacts would.
void FillMemory(MujocoSim& sim) {
  mjData& data = sim.data();
  mj_markStack(&data);
  mj_stackAllocByte(&data, data.narena - data.parena - data.pstack - 1024, 1);
}

TEST(ArmDivergence, RunningOutOfMemoryIsOneAndTheSimulationIsRenewed) {
  Episode episode(ArmConfig("ArmReach")), other(ArmConfig("ArmReach"));
  episode.Step({0, 0, 0, 0});
  const std::vector<double> last = episode.observation;
  auto& env = dynamic_cast<ArmEnv&>(*episode.env);
  FillMemory(const_cast<MujocoSim&>(env.sim()));
  const StepResult result = episode.Step({0, 0, 0, 0});
  EXPECT_TRUE(result.terminated);
  EXPECT_EQ(result.divergence, Divergence::kConstraintMemory);
  EXPECT_EQ(result.reward, 0);
  EXPECT_EQ(episode.observation, last);
  EXPECT_EQ(env.Scene().data, &env.sim().data()) << "videos see the new one";
  episode.Reset(1);
  other.Reset(1);
  EXPECT_EQ(episode.Step({1, 0, 0, 0}).divergence, Divergence::kNone);
  other.Step({1, 0, 0, 0});
  EXPECT_EQ(episode.observation, other.observation);
}

TEST(ArmDivergence, EndsTheEpisodeWithTheLastGoodObservation) {
  Episode episode(ArmConfig("ArmReach"));
  episode.Step({0, 0, 0, 0});
  const std::vector<double> last = episode.observation;
  auto& env = dynamic_cast<ArmEnv&>(*episode.env);
  const_cast<MujocoSim&>(env.sim()).data().qvel[0] = 1e15;
  const StepResult result = episode.Step({0, 0, 0, 0});
  EXPECT_TRUE(result.terminated);
  EXPECT_NE(result.divergence, Divergence::kNone);
  EXPECT_EQ(result.reward, 0);
  EXPECT_EQ(episode.observation, last);
  episode.Reset(1);
  EXPECT_EQ(episode.Step({0, 0, 0, 0}).divergence, Divergence::kNone);
}

}  // namespace
}  // namespace pawl::envs
