// The simulation owner: models, messages, divergence.
#include "envs/mujoco_sim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "env_testing.h"
#include "envs/env_block.h"
#include "envs/mujoco_log.h"
#include "envs/registry.h"

namespace pawl::envs {
namespace {

namespace fs = std::filesystem;

class MujocoSimTest : public testing::Test {
 protected:
  MujocoSimTest() : folder_(fs::temp_directory_path() / fmt::format("pawl_sim_{}", getpid())) {
    fs::create_directories(folder_);
  }
  ~MujocoSimTest() override { fs::remove_all(folder_); }
  std::string Write(const std::string& name, const std::string& xml) {
    const fs::path path = folder_ / name;
    std::ofstream(path) << xml;
    return path.string();
  }
  fs::path folder_;
};

// A cart that a motor of absurd gear throws to infinity, on the model that InvertedPendulum-v5
// expects.
constexpr const char* kExploding = R"(<mujoco model="exploding">
  <option timestep="0.02" integrator="Euler"/>
  <worldbody><body><joint name="slider" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/>
    <body><joint name="hinge" type="hinge" axis="0 1 0"/><geom size="0.1" pos="0 0 1" mass="1"/></body>
  </body></worldbody>
  <actuator><motor joint="slider" gear="1e13" ctrllimited="true" ctrlrange="-3 3"/></actuator>
</mujoco>)";

TEST_F(MujocoSimTest, DivergenceEndsTheEpisodeWithItsReason) {
  EnvConfig config{.id = "InvertedPendulum-v5"};
  config.args = core::Table::ParseString(
      fmt::format("xml_file = \"{}\"", Write("exploding.xml", kExploding)), "test");
  EnvBlock block(config, 1, 0, 1);
  std::vector<double> obs(4), final_obs(4);
  block.Reset(obs);
  const std::vector<double> first = obs;
  const StepResult result = block.StepOne(0, std::vector<double>{3.0}, obs, final_obs);
  EXPECT_TRUE(result.terminated);
  EXPECT_FALSE(result.truncated);
  EXPECT_EQ(result.reward, 0);
  EXPECT_NE(result.divergence, Divergence::kNone);
  EXPECT_EQ(final_obs, first) << "the last finite observation";
  const auto episodes = block.TakeEpisodes();
  ASSERT_EQ(episodes.size(), 1u);
  EXPECT_EQ(episodes[0].divergence, result.divergence);
  EXPECT_EQ(block.divergences(0)[static_cast<size_t>(result.divergence)], 1);
  for (double value : obs) EXPECT_LT(std::abs(value), 1) << "the next episode started cleanly";
  // a loaded environment knows the last finite observation too
  block.StepOne(0, std::vector<double>{0.0}, obs, final_obs);
  core::ByteWriter saved;
  block.SaveState(0, saved);
  EnvBlock loaded(config, 1, 0, 1);
  core::ByteReader reader(saved.bytes());
  loaded.LoadState(0, reader);
  std::vector<double> loaded_obs(4), loaded_final(4);
  const std::vector<double> last = obs;
  EXPECT_NE(loaded.StepOne(0, std::vector<double>{3.0}, loaded_obs, loaded_final).divergence,
            Divergence::kNone);
  EXPECT_EQ(loaded_final, last);
  // it goes on as an environment that never diverged
  EXPECT_EQ(block.StepOne(0, std::vector<double>{0.0}, obs, final_obs).divergence,
            Divergence::kNone);
}

// What the sink is told while it lives.
class ToldWarnings {
 public:
  ToldWarnings() {
    SetModelWarningSink([this](const ModelWarning& warning) { told.push_back(warning); });
  }
  ~ToldWarnings() { SetModelWarningSink(nullptr); }
  std::vector<ModelWarning> told;
};

TEST_F(MujocoSimTest, ASimulationWarnsNobodyAndWritesNoLogFile) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  MujocoSim sim(LoadMujocoModel(Write("exploding.xml", kExploding)));
  const ToldWarnings warnings;
  EXPECT_NE(sim.Step(std::vector<double>{3.0}, 10), Divergence::kNone);
  EXPECT_FALSE(fs::exists("MUJOCO_LOG.TXT"));
  fs::current_path(before);
  EXPECT_TRUE(warnings.told.empty());
}

TEST_F(MujocoSimTest, MissingAndBrokenModelsAreUserErrors) {
  for (const std::string& path :
       {(folder_ / "missing.xml").string(), Write("broken.xml", "<mujoco><wrld/></mujoco>")}) {
    try {
      LoadMujocoModel(path);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_THAT(error.what(), testing::HasSubstr(path));
      EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("\n")));
    }
  }
}

TEST_F(MujocoSimTest, AModelsWarningIsToldOnceHoweverOftenItIsLoaded) {
  const ToldWarnings warnings;
  for (int round = 0; round < 2; ++round) {
    const auto env = MakeEnv({.id = "HalfCheetah-v5"}, 1, 0);
    const auto again = MakeEnv({.id = "HalfCheetah-v5"}, 1, 1);
  }
  ASSERT_EQ(warnings.told.size(), 1u);
  EXPECT_THAT(warnings.told[0].path, testing::EndsWith("half_cheetah.xml"));
  EXPECT_THAT(warnings.told[0].text, testing::HasSubstr("settotalmass"));
  EXPECT_FALSE(warnings.told[0].own);
}

TEST_F(MujocoSimTest, AUsersModelIsTheirOwn) {
  const ToldWarnings warnings;
  const std::string path = Write("heavy.xml", R"(<mujoco><compiler settotalmass="3"/>
    <worldbody><body><freejoint/><geom size="1"/></body></worldbody></mujoco>)");
  LoadMujocoModel(path);
  ASSERT_EQ(warnings.told.size(), 1u);
  EXPECT_TRUE(warnings.told[0].own);
  EXPECT_EQ(warnings.told[0].path, fs::weakly_canonical(path));
}

TEST_F(MujocoSimTest, OneModelPerFileWhateverThePathLooksLike) {
  const std::string path = Write("exploding.xml", kExploding);
  const SharedModel a = LoadMujocoModel(path);
  EXPECT_EQ(a.get(), LoadMujocoModel((folder_ / "." / "exploding.xml").string()).get());
}

TEST_F(MujocoSimTest, RunningOutOfMemoryIsADivergenceAndTheSimulationIsRenewed) {
  // too small for sixty spheres inside each other, enough to compile them
  std::string bodies;
  for (int i = 0; i < 60; ++i) {
    bodies += fmt::format(R"(<body pos="0 0 {}"><freejoint/><geom size="0.6"/></body>)", 0.1 * i);
  }
  MujocoSim sim(LoadMujocoModel(
      Write("small.xml",
            "<mujoco><size memory=\"60K\"/><worldbody><geom type=\"plane\" size=\"9 9 1\"/>" +
                bodies + "</worldbody></mujoco>")));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(sim.Step({}, 3), Divergence::kConstraintMemory);
    EXPECT_EQ(sim.data().time, 0);
  }
}

TEST_F(MujocoSimTest, ErrorOfMujocoIsAnExceptionInOneLine) {
  InstallMujocoLog();
  try {
    mju_error("first line\n  second line");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "MuJoCo: first line second line");
  }
}

TEST_F(MujocoSimTest, UnsavableOptionsAreRefused) {
  EXPECT_THROW(
      LoadMujocoModel(Write(
          "sleep.xml", "<mujoco><option><flag sleep=\"enable\"/></option><worldbody/></mujoco>")),
      Error);
}

TEST_F(MujocoSimTest, UnknownBodyNamesTheNearest) {
  MujocoSim sim(LoadMujocoModel(Write(
      "a.xml",
      "<mujoco><worldbody><body name=\"gripper\"><geom size=\"1\"/></body></worldbody></mujoco>")));
  EXPECT_EQ(sim.BodyId("gripper"), 1);
  try {
    sim.BodyId("griper");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("gripper"));
  }
}

}  // namespace
}  // namespace pawl::envs
