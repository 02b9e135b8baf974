// What the cube tasks draw at a reset, and what they call success, in states set by hand.
// arm_env_test.cc has the rewards along whole episodes.
#include <gtest/gtest.h>

#include <cmath>

#include "arm_testing.h"

namespace pawl::envs {
namespace {

double Yaw(const Episode& e) {
  const auto rotation = e.Part("cube_rotation_r00_r10_r01");
  return std::atan2(rotation[1], rotation[0]);
}
// Axis `i` of the goal.
auto Goal(int i) {
  return [i](const Episode& e) { return e.Part("cube_position")[i] + e.Part("cube_to_goal")[i]; };
}

TEST(ArmCubeReset, PushForwardDrawsCubeAndGoalAhead) {
  ExpectUniformDraws(ArmConfig("ArmPushForward"),
                     {{"cube x", 0.42, 0.50, PartAt("cube_position", 0)},
                      {"cube y", -0.15, 0.15, PartAt("cube_position", 1)},
                      {"goal ahead", 0.10, 0.18, PartAt("cube_to_goal", 0)},
                      {"goal aside", -0.05, 0.05, PartAt("cube_to_goal", 1)}});
}

TEST(ArmCubeReset, PushAnyDrawsTheCubeAndKeepsTheGoalAway) {
  const EnvConfig config = ArmConfig("ArmPushAny");
  ExpectUniformDraws(config, {{"cube x", 0.40, 0.60, PartAt("cube_position", 0)},
                              {"cube y", -0.15, 0.15, PartAt("cube_position", 1)}});
  // goals are uniform but for those that are near the cube: the ends of their box are reached
  const double low[2] = {0.40, -0.20}, high[2] = {0.65, 0.20};
  Episode any(config);
  double least[2] = {9, 9}, most[2] = {-9, -9}, nearest = 9;
  for (int i = 0; i < 2000; ++i) {
    any.Reset(i);
    nearest = std::min(nearest, any.Norm("cube_to_goal"));
    ASSERT_NEAR(any.Part("cube_to_goal")[2], 0, 1e-12);
    for (int axis = 0; axis < 2; ++axis) {
      least[axis] = std::min(least[axis], Goal(axis)(any));
      most[axis] = std::max(most[axis], Goal(axis)(any));
    }
  }
  EXPECT_GE(nearest, 0.08);
  EXPECT_LT(nearest, 0.085);
  for (int axis = 0; axis < 2; ++axis) {
    const double margin = 0.01 * (high[axis] - low[axis]);
    EXPECT_GE(least[axis], low[axis] - 1e-12);
    EXPECT_LT(least[axis], low[axis] + margin);
    EXPECT_LE(most[axis], high[axis] + 1e-12);
    EXPECT_GT(most[axis], high[axis] - margin);
  }
}

TEST(ArmCubeReset, LiftDrawsTheCubeAndItsYaw) {
  ExpectUniformDraws(ArmConfig("ArmLift"), {{"cube x", 0.40, 0.60, PartAt("cube_position", 0)},
                                            {"cube y", -0.15, 0.15, PartAt("cube_position", 1)},
                                            {"yaw", -0.4, 0.4, Yaw}});
}

TEST(ArmCubeReset, PickToGoalDrawsCubeYawAndGoal) {
  ExpectUniformDraws(ArmConfig("ArmPickToGoal"),
                     {{"cube x", 0.40, 0.60, PartAt("cube_position", 0)},
                      {"cube y", -0.15, 0.15, PartAt("cube_position", 1)},
                      {"yaw", -0.4, 0.4, Yaw},
                      {"goal x", 0.40, 0.60, Goal(0)},
                      {"goal y", -0.15, 0.15, Goal(1)},
                      {"goal z", 0.06, 0.30, Goal(2)}});
}

TEST(ArmCubeReset, CubesLieFlatAndFingersAreAsDocumented) {
  for (const char* id : {"ArmPushForward", "ArmPushAny", "ArmLift", "ArmPickToGoal"}) {
    const bool push = std::string(id).starts_with("ArmPush");
    Episode episode(ArmConfig(id));
    for (int i = 0; i < 100; ++i) {
      episode.Reset(i);
      const auto rotation = episode.Part("cube_rotation_r00_r10_r01");
      const auto to_goal = episode.Part("cube_to_goal");
      ASSERT_DOUBLE_EQ(rotation[1], -rotation[2]) << "turned about z alone";
      if (push) {
        ASSERT_EQ(rotation[0], 1);
        ASSERT_NEAR(to_goal[2], 0, 1e-12);
      }
      ASSERT_NEAR(episode.Part("cube_position")[2], 0.02, 1e-12);
      ASSERT_EQ(episode.Norm("cube_velocity"), 0);
      ASSERT_NEAR(episode.Part("pad_distance")[0], push ? 0.01 : 0.09, 1e-6);
      if (id == std::string("ArmLift")) {
        ASSERT_NEAR(std::hypot(to_goal[0], to_goal[1]), 0, 1e-12);
        ASSERT_NEAR(to_goal[2], 0.1, 1e-12);
      }
    }
  }
}

// A cube in free fall loses 0.8 cm in the 0.04 s of a step.
constexpr double kFall = 0.5 * 9.81 * 0.04 * 0.04;

TEST(ArmCubeSuccess, LiftWantsTheCubeHeld) {
  Episode episode(ArmConfig("ArmLift"));
  episode.PlaceCube(0.6, 0.2, 0.02 + 0.10 + kFall);  // thrown up beside the gripper
  const StepResult result = episode.Step({0, 0, 0, 1});
  ASSERT_NEAR(episode.Extra(result, "cube_height"), 0.10, 1e-3);
  EXPECT_EQ(episode.Extra(result, "holding"), 0);
  EXPECT_FALSE(result.success);
  EXPECT_NEAR(result.reward, Nearness(episode.Norm("tool_to_cube")) / 5, 1e-9);
}

TEST(ArmCubeSuccess, PushWantsTheCubeOnTheTable) {
  for (const char* id : {"ArmPushForward", "ArmPushAny"}) {
    Episode episode(ArmConfig(id));
    const double x = Goal(0)(episode), y = Goal(1)(episode);
    episode.PlaceCube(x, y, 0.02 + 0.018 + kFall);
    StepResult result = episode.Step({0, 0, 0, 0});
    ASSERT_NEAR(episode.Extra(result, "cube_height"), 0.018, 1e-3);
    ASSERT_LT(episode.Extra(result, "goal_distance"), 0.03);
    EXPECT_FALSE(result.success);
    for (int i = 0; i < 10; ++i) result = episode.Step({0, 0, 0, 0});
    EXPECT_TRUE(result.success) << "it has fallen onto the goal";
  }
}

// Lowers the open gripper, sets the cube beside one pad and pushes it with that.
TEST(ArmHolding, OnePadIsNotEnough) {
  for (const bool left : {true, false}) {
    Episode episode(ArmConfig("ArmLift"));
    episode.PlaceCube(0.6, 0.25, 0.02);  // out of the way
    for (int i = 0; i < 10; ++i) {
      const double to_go = 0.02 - episode.Part("tool_position")[2];
      episode.Step({0, 0, std::clamp(to_go / 0.04, -1.0, 1.0), 1});
    }
    const ArmModel& arm = episode.Arm().arm();
    const mjData& data = episode.Arm().sim().data();
    const int pad = (left ? arm.left_pads : arm.right_pads)[0];
    const int other = (left ? arm.right_pads : arm.left_pads)[0];
    const int cube = episode.Arm().sim().Id(mjOBJ_GEOM, "cube");
    const double* place = data.geom_xpos + 3 * pad;
    // towards the other pad; half a pad, half a cube and 1 mm away
    const double side = data.geom_xpos[3 * other + 1] > place[1] ? 1 : -1;
    episode.PlaceCube(place[0], place[1] + side * (0.005 + 0.02 + 0.001), 0.02);
    auto touches = [&](int geom) {
      for (int i = 0; i < data.ncon; ++i) {
        const auto& contact = data.contact[i];
        const bool both = std::minmax(contact.geom[0], contact.geom[1]) == std::minmax(geom, cube);
        if (both && contact.dist <= 0) return true;
      }
      return false;
    };
    int one = 0;
    StepResult result;
    for (int i = 0; i < 8; ++i) {
      result = episode.Step({0, side * 0.5, 0, 1});
      ASSERT_FALSE(touches(other));
      one += touches(pad);
      EXPECT_EQ(episode.Part("both_pads_touch")[0], 0);
      EXPECT_EQ(episode.Extra(result, "holding"), 0);
    }
    EXPECT_GT(one, 0);
    for (int i = 0; i < 20; ++i) result = episode.Step({0, 0, 0, -1});
    EXPECT_TRUE(touches(pad) && touches(other));
    EXPECT_EQ(episode.Part("both_pads_touch")[0], 1);
    EXPECT_EQ(episode.Extra(result, "holding"), 1);
  }
}

}  // namespace
}  // namespace pawl::envs
