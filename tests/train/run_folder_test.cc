#include "train/run_folder.h"

#include <gtest/gtest.h>

#include <fstream>

#include "train/train_config.h"
#include "train_testing.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;

std::string ErrorOf(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

RunConfig Small(TempFolder& folder, std::vector<std::string> assignments = {}) {
  return DescribeRun(
      LoadTrainConfig(WriteSmallConfig(folder / "small.toml").string(), assignments));
}

TEST(RunFolder, AnExistingOneIsRefusedUnlessResumed) {
  TempFolder folder;
  const auto config = Small(folder);
  CreateRunFolder(folder / "run", config);
  const std::string error = ErrorOf([&] { CreateRunFolder(folder / "run", config); });
  EXPECT_NE(error.find("exists already"), std::string::npos) << error;
  EXPECT_NE(error.find("--resume"), std::string::npos) << error;
  EXPECT_NO_THROW(OpenRunFolder(folder / "run", config));
}

TEST(RunFolder, AChangedConfigIsRefusedWithTheDifference) {
  TempFolder folder;
  CreateRunFolder(folder / "run", Small(folder));
  const std::string error = ErrorOf([&] {
    OpenRunFolder(folder / "run", Small(folder, {"ppo.gamma=0.5", "env.num_envs=4"}));
  });
  EXPECT_NE(error.find("ppo.gamma"), std::string::npos) << error;
  EXPECT_NE(error.find("0.5"), std::string::npos) << error;
  EXPECT_NE(error.find("env.num_envs"), std::string::npos) << error;
}

TEST(RunFolder, OnlyALargerTotalIsAccepted) {
  TempFolder folder;
  CreateRunFolder(folder / "run", Small(folder));
  EXPECT_NE(ErrorOf([&] { OpenRunFolder(folder / "run", Small(folder, {"total_steps=100"})); }),
            "");
  EXPECT_NO_THROW(OpenRunFolder(folder / "run", Small(folder, {"total_steps=99999"})));
}

TEST(RunFolder, AnotherStageIsRefused) {
  TempFolder folder;
  CreateRunFolder(folder / "run", Small(folder));
  RunConfig other = Small(folder);
  other.stage = Stage::kSft;
  const std::string error = ErrorOf([&] { OpenRunFolder(folder / "run", other); });
  EXPECT_NE(error.find("stage: \"ppo\" -> \"sft\""), std::string::npos) << error;
}

TEST(RunFolder, AMissingOneIsBadUsage) {
  TempFolder folder;
  const auto config = Small(folder);
  try {
    OpenRunFolder(folder / "nothing", config);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
  }
}

TEST(RunFolder, HasOneWriterAtATime) {
  TempFolder folder;
  const auto config = Small(folder);
  {
    const RunFolder held = CreateRunFolder(folder / "run", config);
    EXPECT_NE(ErrorOf([&] { OpenRunFolder(folder / "run", config); }).find("another process"),
              std::string::npos);
  }
  OpenRunFolder(folder / "run", config);
}

TEST(TrainConfig, BadValuesAreNamed) {
  TempFolder folder;
  EXPECT_NE(ErrorOf([&] { Small(folder, {"env.num_envs=0"}); }).find("num_envs"),
            std::string::npos);
  EXPECT_NE(ErrorOf([&] { Small(folder, {"ppo.gama=0.9"}); }).find("ppo.gamma"), std::string::npos);
  EXPECT_NE(ErrorOf([&] { Small(folder, {"ppo.minibatch=100000"}); }).find("rollout"),
            std::string::npos);
  EXPECT_NE(ErrorOf([&] { Small(folder, {"eval.stop_at_return=5"}); }).find("eval.every_updates"),
            std::string::npos);
  EXPECT_NE(ErrorOf([&] { Small(folder, {"device=tpu"}); }).find("cpu or cuda"), std::string::npos);
  EXPECT_NE(ErrorOf([&] { Small(folder, {"env.id=Pendulum-v2"}); }).find("Pendulum-v1"),
            std::string::npos);
}

TEST(FindCheckpoint, PassesOverADamagedOneAndSaysSo) {
  TempFolder folder;
  ASSERT_EQ(RunTraining(WriteSmallConfig(folder / "c.toml"), folder / "run"), 0);
  const auto all = nn::ListCheckpoints(folder / "run" / "checkpoints");
  ASSERT_GE(all.size(), 2u);
  // flip one bit in the newest one's weights
  const auto path = all[0].folder / "policy" / "weights.safetensors";
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-5, std::ios::end);
  const char byte = static_cast<char>(file.get());
  file.seekp(-5, std::ios::end);
  file.put(static_cast<char>(byte ^ 16));
  file.close();
  std::vector<std::string> skipped;
  EXPECT_EQ(FindCheckpoint(folder / "run", false, skipped).step, all[1].step);
  ASSERT_EQ(skipped.size(), 1u);
  EXPECT_NE(skipped[0].find("weights.safetensors"), std::string::npos) << skipped[0];
  EXPECT_NE(skipped[0].find("damaged"), std::string::npos) << skipped[0];
}

}  // namespace
}  // namespace pawl::train
