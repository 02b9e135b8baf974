// Rigs and the robots they describe: what is read, and what every mistake is answered with.
#include "envs/rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <sstream>
#include <string>

#include "envs/arm_model.h"

namespace pawl::envs {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kData = PAWL_SOURCE_DIR "/tests/envs/data/";

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// A folder with copies of the six-axis arm's files, in which a test breaks something.
class RigErrors : public testing::Test {
 protected:
  RigErrors()
      : folder_(
            fs::path(testing::TempDir()) /
            ("rig_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    fs::create_directories(folder_);
    for (const char* name : {"six_axis.toml", "six_axis.xml"}) {
      fs::copy_file(kData + name, folder_ / name, fs::copy_options::overwrite_existing);
    }
  }
  ~RigErrors() override { fs::remove_all(folder_); }

  void Replace(const std::string& file, const std::string& from, const std::string& to) {
    const std::string path = folder_ / file;
    std::string text = ReadText(path);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    std::ofstream(path) << text.replace(at, from.size(), to);
  }
  std::string rig() const { return folder_ / "six_axis.toml"; }
  // The message of loading the rig for ArmReach: one line, exit code 2.
  std::string Message() const {
    try {
      LoadArmModel(rig(), "arm_reach");
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
      return error.what();
    }
    return "no error";
  }

  fs::path folder_;
};

TEST_F(RigErrors, NoneForTheFilesAsTheyAre) { EXPECT_EQ(Message(), "no error"); }

TEST_F(RigErrors, MissingJointIsNamedWithRigKeyAndNearestName) {
  Replace("six_axis.toml", "\"elbow\"", "\"elbw\"");
  EXPECT_THAT(Message(), AllOf(HasSubstr("joint 'elbw'"), HasSubstr("six_axis.toml: joints"),
                               HasSubstr("did you mean 'elbow'")));
}

TEST_F(RigErrors, MissingSiteOrBodyIsNamed) {
  Replace("six_axis.toml", "\"flange\"", "\"flang\"");
  EXPECT_THAT(Message(), AllOf(HasSubstr("body 'flang'"), HasSubstr("tool.body"),
                               HasSubstr("did you mean 'flange'")));
  Replace("six_axis.toml", "body = \"flang\"", "site = \"tip\"");
  EXPECT_THAT(Message(), AllOf(HasSubstr("site 'tip'"), HasSubstr("tool.site")));
}

TEST_F(RigErrors, MissingModelFile) {
  Replace("six_axis.toml", "mjcf = \"six_axis.xml\"", "mjcf = \"other.xml\"");
  EXPECT_THAT(Message(), AllOf(HasSubstr("other.xml"), HasSubstr("six_axis.toml: mjcf")));
}

TEST_F(RigErrors, BrokenModelFile) {
  Replace("six_axis.xml", "</worldbody>", "");
  EXPECT_THAT(Message(), AllOf(HasSubstr("cannot read"), HasSubstr("six_axis.xml")));
}

TEST_F(RigErrors, ModelThatDoesNotCompile) {
  Replace("six_axis.xml", "size=\"0.055\" mass=\"5\"", "size=\"-1\" mass=\"5\"");
  EXPECT_THAT(Message(), HasSubstr("six_axis.xml"));
}

TEST_F(RigErrors, MissingRigFile) {
  fs::remove(rig());
  EXPECT_THAT(Message(), HasSubstr("six_axis.toml"));
}

TEST_F(RigErrors, UnknownKeyIsNamedWithLineAndNearestName) {
  Replace("six_axis.toml", "gravity_compensation", "gravity_compensatoin");
  EXPECT_THAT(Message(), AllOf(HasSubstr("six_axis.toml:"), HasSubstr("gravity_compensatoin"),
                               HasSubstr("'gravity_compensation'")));
}

TEST_F(RigErrors, PeriodThatIsNoWholeNumberOfTimesteps) {
  Replace("six_axis.xml", "timestep=\"0.002\"", "timestep=\"0.003\"");
  EXPECT_THAT(Message(),
              AllOf(HasSubstr("control_period"), HasSubstr("0.003"), HasSubstr("whole")));
}

TEST_F(RigErrors, HomeOutsideTheLimitsOrOfTheWrongLength) {
  Replace("six_axis.toml", "home = [0.0, 0.2618", "home = [4.0, 0.2618");
  EXPECT_THAT(Message(), AllOf(HasSubstr("home"), HasSubstr("'turn'")));
  Replace("six_axis.toml", "home = [4.0, 0.2618", "home = [0.2618");
  EXPECT_THAT(Message(), AllOf(HasSubstr("5 values"), HasSubstr("home")));
}

TEST_F(RigErrors, MotorsAreNoPositionServos) {
  Replace("six_axis.toml", "kind = \"position\"", "kind = \"model\"");
  EXPECT_THAT(Message(), HasSubstr("kp, kv or force"));
  for (const char* gain : {"kp", "kv", "force"}) {
    Replace("six_axis.toml", std::string("\n") + gain + " = ", std::string("\n#") + gain);
  }
  EXPECT_THAT(Message(),
              AllOf(HasSubstr("no position servo for joint 'turn'"), HasSubstr("actuators.kind")));
}

TEST_F(RigErrors, JointThatDoesNotMoveTheTool) {
  Replace("six_axis.toml", "body = \"flange\"", "body = \"wrist_a\"");
  EXPECT_THAT(Message(), AllOf(HasSubstr("'wrist_yaw'"), HasSubstr("does not move the tool")));
}

TEST_F(RigErrors, BoxTurnedInsideOut) {
  Replace("six_axis.toml", "low = [0.25, -0.32, 0.02]", "low = [0.25, 0.52, 0.02]");
  EXPECT_THAT(Message(), AllOf(HasSubstr("workspace"), HasSubstr("low")));
}

TEST_F(RigErrors, HalfAGripper) {
  Replace("six_axis.toml", "[base]", "[gripper]\njoints = [\"wrist_roll\"]\n\n[base]");
  EXPECT_THAT(Message(), HasSubstr("gripper"));
}

TEST_F(RigErrors, UsersFilesStayAsTheyAre) {
  LoadArmModel(rig(), "arm_reach");
  for (const char* name : {"six_axis.toml", "six_axis.xml"}) {
    EXPECT_EQ(ReadText(folder_ / name), ReadText(kData + name));
  }
}

TEST(Rig, BuiltInIsFoundFromAnyFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(testing::TempDir());
  EXPECT_EQ(LoadRig("").config.joints.size(), 7u);
  EXPECT_EQ(LoadRig("configs/rigs/panda.toml").config.name, "franka-panda");
  fs::current_path(before);
}

// A chain by the maker's modified Denavit-Hartenberg table: T = Rx(alpha) Tx(a) Rz(q) Tz(d).
struct Link {
  double a, d, alpha;
};
void ToolByDh(const std::vector<double>& q, double position[3], double rotation[9]) {
  constexpr double kQuarter = std::numbers::pi / 2;
  const Link links[] = {{0, .333, 0},         {0, 0, -kQuarter},         {0, .316, kQuarter},
                        {.0825, 0, kQuarter}, {-.0825, .384, -kQuarter}, {0, 0, kQuarter},
                        {.088, 0, kQuarter}};
  double quat[4] = {1, 0, 0, 0};
  std::fill_n(position, 3, 0.0);
  auto move = [&](double x, double y, double z) {
    const double local[3] = {x, y, z};
    double step[3];
    mju_rotVecQuat(step, local, quat);
    mju_addTo3(position, step);
  };
  auto turn = [&](double x, double z, double angle) {
    const double axis[3] = {x, 0, z};
    double by[4], product[4];
    mju_axisAngle2Quat(by, axis, angle);
    mju_mulQuat(product, quat, by);
    std::copy_n(product, 4, quat);
  };
  for (int i = 0; i < 7; ++i) {
    turn(1, 0, links[i].alpha);
    move(links[i].a, 0, 0);
    turn(0, 1, q[i]);
    move(0, 0, links[i].d);
  }
  // flange, hand turned by -45 degrees, tool centre
  move(0, 0, 0.107);
  turn(0, 1, -std::numbers::pi / 4);
  move(0, 0, 0.1034);
  mju_quat2Mat(rotation, quat);
}

TEST(Panda, KinematicsAreTheMakersTable) {
  const auto arm = LoadArmModel("", "arm_reach");
  MujocoSim sim(arm->model);
  core::Philox rng(1, core::Role::kTest, 0, 0);
  for (int round = 0; round < 20; ++round) {
    std::vector<double> q;
    for (int i = 0; i < 7; ++i) {
      q.push_back(rng.Uniform(arm->limit_low[i], arm->limit_high[i]));
      sim.data().qpos[arm->qpos_adr[i]] = q[i];
    }
    mj_kinematics(arm->model.get(), &sim.data());
    double position[3], rotation[9];
    ToolByDh(q, position, rotation);
    for (int i = 0; i < 3; ++i) {
      EXPECT_NEAR(sim.data().site_xpos[3 * arm->tool_site + i], position[i], 1e-7);
    }
    for (int i = 0; i < 9; ++i) {
      EXPECT_NEAR(sim.data().site_xmat[9 * arm->tool_site + i], rotation[i], 1e-7);
    }
  }
}

TEST(Panda, HandPointsDownAndFingersOpenSidewaysAtHome) {
  const auto arm = LoadArmModel("", "arm_cube");
  const double x[3] = {1, 0, 0};
  // columns of the rotation: the tool's z points down, its y along the base's -y or y
  EXPECT_NEAR(arm->downward[8], -1, 1e-3);
  EXPECT_NEAR(std::abs(arm->downward[4]), x[0], 1e-3);
  EXPECT_EQ(arm->substeps, 8);
}

// what makes a physics step cheap: of the robot only the hand's box and the pads can touch anything
TEST(Panda, OnlyHandAndPadsCollide) {
  const auto arm = LoadArmModel("", "arm_cube");
  const mjModel& model = *arm->model;
  std::vector<std::string> colliding;
  for (int geom = 0; geom < model.ngeom; ++geom) {
    const char* name = mj_id2name(&model, mjOBJ_GEOM, geom);
    if (model.geom_contype[geom] != 0 || model.geom_conaffinity[geom] != 0) {
      colliding.push_back(name != nullptr ? name : "?");
    }
  }
  EXPECT_THAT(colliding, testing::UnorderedElementsAre("table", "cube", "robot/hand",
                                                       "robot/left_pad", "robot/right_pad"));
}

// 15 + 95 + 70 degrees, links of 0.40 and 0.36 m, 0.22 m from the last bend to the tip
TEST(SixAxis, BaseFrameTurnsAndMovesTheRobot) {
  const auto arm = LoadArmModel(kData + "six_axis.toml", "arm_reach");
  MujocoSim sim(arm->model);
  for (int i = 0; i < 6; ++i) sim.data().qpos[arm->qpos_adr[i]] = arm->home[i];
  mj_kinematics(arm->model.get(), &sim.data());
  const double* tool = sim.data().site_xpos + 3 * arm->tool_site;
  const double a = 15 * std::numbers::pi / 180, b = 110 * std::numbers::pi / 180;
  EXPECT_NEAR(tool[0], 0.40 * std::sin(a) + 0.36 * std::sin(b), 1e-4);
  EXPECT_NEAR(tool[1], 0, 1e-4);
  EXPECT_NEAR(tool[2], 0.15 + 0.40 * std::cos(a) + 0.36 * std::cos(b) - 0.22, 1e-4);
  EXPECT_EQ(arm->substeps, 20);
  EXPECT_FALSE(arm->has_gripper());
  // its motors went, a servo per joint came
  EXPECT_EQ(arm->model->nu, 6);
  EXPECT_EQ(arm->model->opt.integrator, mjINT_IMPLICITFAST);
}

}  // namespace
}  // namespace pawl::envs
