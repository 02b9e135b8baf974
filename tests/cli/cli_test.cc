// The command line as a user meets it: exit codes, one clear line for bad input, nothing lost.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/file.h"

namespace pawl {
namespace {
namespace fs = std::filesystem;

struct Result {
  int exit_code = -1;
  std::string out, err;
};

class Cli : public testing::Test {
 protected:
  Cli() {
    std::string name = (fs::temp_directory_path() / "pawl-cli-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::ofstream(folder_ / "ok.toml") << R"(total_steps = 512
[env]
id = "Pendulum-v1"
num_envs = 4
[ppo]
horizon = 64
minibatch = 64
epochs = 1
[eval]
final_episodes = 2
video = false
)";
  }
  ~Cli() override { fs::remove_all(folder_); }

  // Runs `pawl <arguments>` in the temporary folder.
  Result Pawl(const std::string& arguments) {
    const std::string command = fmt::format("cd '{}' && '{}' {} > out.txt 2> err.txt < /dev/null",
                                            folder_.string(), PAWL_BINARY, arguments);
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), core::ReadTextFile(folder_ / "out.txt"),
            core::ReadTextFile(folder_ / "err.txt")};
  }

  // Bad input: exit code 2 (or the one given), one line on standard error that holds every part.
  void ExpectRefusal(const std::string& arguments, std::vector<std::string> parts,
                     int exit_code = 2) {
    const Result r = Pawl(arguments);
    EXPECT_EQ(r.exit_code, exit_code) << arguments << "\n" << r.out << r.err;
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << arguments << "\n" << r.err;
    for (const auto& part : parts)
      EXPECT_NE(r.err.find(part), std::string::npos) << part << " not in: " << r.err;
  }

  fs::path folder_;
};

TEST_F(Cli, AModelsWarningIsInTheLogOnceAndOnTheTerminalForAUsersModel) {
  const auto lines_with = [](const std::string& text, const std::string& word) {
    std::istringstream lines(text);
    int count = 0;
    for (std::string line; std::getline(lines, line);) count += line.find(word) != line.npos;
    return count;
  };
  Result train = Pawl("train ok.toml --run run --set env.id=HalfCheetah-v5");
  ASSERT_EQ(train.exit_code, 0) << train.err;
  EXPECT_EQ(lines_with(train.err, "settotalmass"), 0) << train.err;
  EXPECT_EQ(lines_with(core::ReadTextFile(folder_ / "run" / "log.txt"), "settotalmass"), 1);
  const std::string own = "--set env.args.xml_file=./own.xml";
  fs::copy_file(PAWL_GYMNASIUM_ASSETS "/half_cheetah.xml", folder_ / "own.xml");
  train = Pawl("train ok.toml --run own --set env.id=HalfCheetah-v5 " + own);
  ASSERT_EQ(train.exit_code, 0) << train.err;
  EXPECT_EQ(lines_with(train.err, "own.xml: compiler attribute 'settotalmass'"), 1) << train.err;
  EXPECT_EQ(lines_with(core::ReadTextFile(folder_ / "own" / "log.txt"), "settotalmass"), 1);
}

TEST_F(Cli, WhatWouldFailInTheFirstUpdateIsRefusedBefore) {
  ExpectRefusal("train ok.toml --dry-run --set ppo.adam_epsilon=0", {"ppo.adam_epsilon", "1e-12"});
  std::string xml = core::ReadTextFile(PAWL_GYMNASIUM_ASSETS "/inverted_pendulum.xml");
  const std::string limited = "ctrllimited=\"true\"";
  ASSERT_NE(xml.find(limited), xml.npos);
  std::ofstream(folder_ / "free.xml")
      << xml.replace(xml.find(limited), limited.size(), "ctrllimited=\"false\"");
  const std::string free =
      "train ok.toml --dry-run --set env.id=InvertedPendulum-v5 --set env.args.xml_file=./free.xml";
  EXPECT_EQ(Pawl(free).exit_code, 0);
  ExpectRefusal(free + " --set policy.squash=true", {"policy.squash", "finite bounds"});
}

TEST_F(Cli, ARigOrModelGivenByARelativePathWorksFromAnyFolder) {
  fs::create_directories(folder_ / "robots");
  for (const char* name : {"six_axis.toml", "six_axis.xml"})
    fs::copy_file(fs::path(PAWL_SOURCE_DIR) / "tests/envs/data" / name, folder_ / "robots" / name);
  const std::string rig = "--set env.id=ArmReach --set env.rig=robots/six_axis.toml";
  ASSERT_EQ(Pawl("train ok.toml --run arm " + rig).exit_code, 0);
  const std::string away = fmt::format("cd / && '{}' eval '{}' --episodes 1 > /dev/null",
                                       PAWL_BINARY, (folder_ / "arm").string());
  EXPECT_EQ(std::system(away.c_str()), 0);
  const Result again =
      Pawl("train ok.toml --run arm --resume --set env.id=ArmReach --set env.rig='" +
           (folder_ / "robots/six_axis.toml").string() + "'");
  EXPECT_EQ(again.exit_code, 0) << again.err;  // another spelling of the same file
  ExpectRefusal("train ok.toml --dry-run " + rig + "x", {"env.rig", "six_axis.tomlx"});
  ExpectRefusal("train ok.toml --dry-run --set env.rig=robots/six_axis.toml",
                {"env.rig", "Pendulum"});
}

TEST_F(Cli, AnUpdateThatFailsLeavesTheLastGoodWeightsAndItsRollout) {
  const Result bad =
      Pawl("train ok.toml --run bad --set ppo.learning_rate=1e10 --set ppo.max_grad_norm=0");
  EXPECT_EQ(bad.exit_code, 1);
  for (const char* part : {"not finite at gradient step", "bad/bad_update_0"})
    EXPECT_NE(bad.err.find(part), std::string::npos) << bad.err;
  EXPECT_TRUE(fs::exists(folder_ / "bad/bad_update_0/rollout.safetensors"));
  EXPECT_EQ(Pawl("eval bad/bad_update_0 --episodes 1").exit_code, 0);
  EXPECT_NE(core::ReadTextFile(folder_ / "bad/log.txt").find("stopped: "), std::string::npos);
}

TEST_F(Cli, OutputThatDoesNotArriveIsAFailure) {
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full";
  for (const char* command : {"config > /dev/full", "envs > /dev/full", "--help > /dev/full"}) {
    const int status = std::system(
        fmt::format("'{}' {} 2> '{}'", PAWL_BINARY, command, (folder_ / "err.txt").string())
            .c_str());
    EXPECT_EQ(WEXITSTATUS(status), 1) << command;
    EXPECT_NE(core::ReadTextFile(folder_ / "err.txt").find("standard output"), std::string::npos);
  }
}

TEST_F(Cli, EvaluatesThePolicyFolderOfACheckpointAndRefusesOneWithABadNumber) {
  ASSERT_EQ(Pawl("train ok.toml --run run").exit_code, 0);
  fs::create_directories(folder_ / "runs");
  fs::rename(folder_ / "run", folder_ / "runs/listed");
  EXPECT_EQ(Pawl("eval listed --episodes 1").exit_code, 0);  // the name that runs list shows
  EXPECT_EQ(Pawl("runs show listed").exit_code, 0);
  fs::rename(folder_ / "runs/listed", folder_ / "run");
  fs::path policy;
  for (const auto& entry : fs::directory_iterator(folder_ / "run/checkpoints"))
    policy = entry.path() / "policy";
  fs::copy(policy, folder_ / "policy");
  EXPECT_EQ(Pawl("eval policy --episodes 1").exit_code, 0);
  ExpectRefusal("eval run --best", {"no best checkpoint", "eval.every_updates"});
  std::string bytes = core::ReadTextFile(folder_ / "policy/weights.safetensors");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data() + bytes.size() - sizeof(nan), &nan, sizeof(nan));
  std::ofstream(folder_ / "policy/weights.safetensors") << bytes;
  ExpectRefusal("eval policy --episodes 1", {"nan", "finite", "weights.safetensors"}, 1);
}

TEST_F(Cli, TrainsEvaluatesAndRefusesToTrainOverARun) {
  const Result train = Pawl("train ok.toml --run run");
  ASSERT_EQ(train.exit_code, 0) << train.err;
  for (const char* file :
       {"config.toml", "metrics.jsonl", "log.txt", "summary.json", "report.html"}) {
    EXPECT_TRUE(fs::exists(folder_ / "run" / file)) << file;
  }
  ExpectRefusal("train ok.toml --run run", {"exists already", "--resume"});
  EXPECT_EQ(Pawl("train ok.toml --run run --resume").exit_code, 0);
  const Result eval = Pawl("eval run --episodes 3 --json");
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  const auto json = nlohmann::json::parse(eval.out);
  EXPECT_EQ(json["episodes"], 3);
  EXPECT_TRUE(json["success_rate"].is_null());
  EXPECT_EQ(json["env"], "Pendulum-v1");
  EXPECT_TRUE(json["return_ci95"].is_array());
  ExpectRefusal("eval run --env CartPole-v1", {"Pendulum-v1", "CartPole-v1"});
}

// The program begins without LibTorch; its reference path needs it.
TEST_F(Cli, LibTorchIsLoadedWhereALearnerAsksForIt) {
  const Result train = Pawl("train ok.toml --run run --set ppo.update_path=torch");
  ASSERT_EQ(train.exit_code, 0) << train.err;
  EXPECT_NE(core::ReadTextFile(folder_ / "run/log.txt").find("LibTorch autograd"),
            std::string::npos);
  const auto maps = [](const std::string& path) {
    return std::system(fmt::format("ldd '{}' | grep -q libtorch", path).c_str()) == 0;
  };
  EXPECT_FALSE(maps(PAWL_BINARY));
  EXPECT_TRUE(maps((fs::path(PAWL_BINARY).parent_path() / "libpawl_torch.so").string()));
}

TEST_F(Cli, BadConfigsNameFileLineAndTheNearestKey) {
  std::ofstream(folder_ / "bad.toml") << "[ppo]\ngama = 0.9\n";
  ExpectRefusal("train bad.toml", {"ppo.gama", "bad.toml:2", "ppo.gamma"});
  std::ofstream(folder_ / "type.toml") << "total_steps = \"many\"\n";
  ExpectRefusal("train type.toml", {"total_steps", "type.toml:1"});
  std::ofstream(folder_ / "torn.toml") << "[ppo\n";
  ExpectRefusal("train torn.toml", {"torn.toml:1"});
  ExpectRefusal("train nothing.toml", {"nothing.toml"});
  ExpectRefusal("train ok.toml --set env.num_envs=0", {"num_envs"});
  ExpectRefusal("train ok.toml --set ppo.gamma=2", {"ppo.gamma", "2"});
  ExpectRefusal("train ok.toml --set env.id=Pendulum", {"Pendulum-v1"});
  ExpectRefusal("train ok.toml --set env.args.g=ten", {"env.args.g"});
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Cli, ABrokenRobotIsNamed) {
  std::ofstream(folder_ / "rig.toml") << "model = \"missing.xml\"\n";
  const Result r = Pawl("train ok.toml --set env.id=ArmReach --set env.rig=rig.toml");
  EXPECT_EQ(r.exit_code, 2) << r.err;
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  EXPECT_NE(r.err.find("rig.toml"), std::string::npos) << r.err;
}

TEST_F(Cli, ResumeWithoutARunAndEvalOfNothingAreBadUsage) {
  ExpectRefusal("train ok.toml --run nowhere --resume", {"nowhere"});
  ExpectRefusal("eval nowhere", {"nowhere"});
  fs::create_directories(folder_ / "empty");
  ExpectRefusal("eval empty", {"empty"});
}

TEST_F(Cli, UnknownWordsAreBadUsage) {
  ExpectRefusal("tarin ok.toml", {"tarin"});
  ExpectRefusal("train ok.toml --sett a=b", {"--sett"});
  EXPECT_EQ(Pawl("--help").exit_code, 0);
  EXPECT_EQ(Pawl("train --help").exit_code, 0);
}

TEST_F(Cli, ADamagedOnlyCheckpointIsRefusedWithItsReason) {
  ASSERT_EQ(Pawl("train ok.toml --run run --set checkpoint.keep=1").exit_code, 0);
  for (const auto& entry : fs::directory_iterator(folder_ / "run/checkpoints")) {
    fs::resize_file(entry.path() / "policy/weights.safetensors", 100);
  }
  const Result r = Pawl("eval run");
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_NE(r.err.find("cut short"), std::string::npos) << r.err;
}

TEST_F(Cli, DryRunMakesNothing) {
  const Result r = Pawl("train ok.toml --dry-run");
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_NE(r.out.find("Pendulum-v1"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Cli, ADryRunOfAResumeChecksTheRunAndChangesNothing) {
  ExpectRefusal("train ok.toml --run nowhere --resume --dry-run", {"nowhere", "not a run folder"});
  ASSERT_EQ(Pawl("train ok.toml --run run").exit_code, 0);
  ExpectRefusal("train ok.toml --run run --resume --dry-run --set ppo.gamma=0.5",
                {"the config differs", "ppo.gamma"});
  const std::string config = core::ReadTextFile(folder_ / "run/config.toml");
  const Result longer = Pawl("train ok.toml --run run --resume --dry-run --set total_steps=100000");
  EXPECT_EQ(longer.exit_code, 0) << longer.err;
  EXPECT_NE(longer.out.find("nothing was started"), std::string::npos) << longer.out;
  EXPECT_EQ(core::ReadTextFile(folder_ / "run/config.toml"), config);
  EXPECT_TRUE(fs::exists(folder_ / "run/summary.json"));
}

TEST_F(Cli, EvalRefusesWhatItWouldIgnore) {
  ASSERT_EQ(Pawl("train ok.toml --run run").exit_code, 0);
  ExpectRefusal("eval run --device cpu", {"--device", "policy"});
  fs::path checkpoint;
  for (const auto& entry : fs::directory_iterator(folder_ / "run/checkpoints"))
    checkpoint = entry.path();
  for (const fs::path& path : {checkpoint, checkpoint / "policy"})
    ExpectRefusal("eval " + path.string() + " --best", {"--best beside the checkpoint"});
}

// The config says cuda as that of a run which was trained there.
TEST_F(Cli, ALanguageRunTrainedOnCudaIsEvaluatedOnTheProcessors) {
  std::ofstream text(folder_ / "a.txt");
  for (int i = 0; i < 60; ++i) text << "the " << i % 7 << ". cat sat & ran;\n";
  text.close();
  std::ofstream(folder_ / "lm.toml") << R"(
stage = "pretrain"
total_updates = 2
[data]
files = ["a.txt"]
tokenizer = "char"
context = 16
[model]
width = 32
layers = 1
heads = 2
[train]
sequences = 4
)";
  ASSERT_EQ(Pawl("train lm.toml --run lm").exit_code, 0);
  const Result before = Pawl("eval lm --json");
  ASSERT_EQ(before.exit_code, 0) << before.err;
  std::string config = core::ReadTextFile(folder_ / "lm/config.toml");
  const std::string device = "device = \"cpu\"";
  ASSERT_NE(config.find(device), std::string::npos);
  std::ofstream(folder_ / "lm/config.toml")
      << config.replace(config.find(device), device.size(), "device = \"cuda\"");
  const Result after = Pawl("eval lm --json");
  EXPECT_EQ(after.exit_code, 0) << after.err;
  EXPECT_EQ(after.out, before.out);
  ExpectRefusal("eval lm --device tpu", {"device is 'tpu'", "cpu or cuda"});
  ExpectRefusal("eval lm --episodes 3", {"--episodes", "language model"});
  ExpectRefusal("eval lm --seed 0", {"--seed", "language model"});
}

TEST_F(Cli, APlaceThatCannotBeWrittenIsNamed) {
  std::ofstream(folder_ / "file") << "x";
  ExpectRefusal("train ok.toml --run file/run", {"file/run"});
}

TEST_F(Cli, CudaWithoutADeviceIsOneClearError) {
  const Result r = Pawl("train ok.toml --set device=cuda");
  if (r.exit_code == 0) GTEST_SKIP() << "this machine has a CUDA device";
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  EXPECT_NE(r.err.find("CUDA"), std::string::npos) << r.err;
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Cli, RunsAreListedAndShown) {
  ASSERT_EQ(Pawl("train ok.toml --run runs/first").exit_code, 0);
  EXPECT_NE(Pawl("runs list").out.find("first"), std::string::npos);
  EXPECT_NE(Pawl("runs show runs/first").out.find("Pendulum-v1"), std::string::npos);
  ExpectRefusal("runs show nowhere", {"nowhere"});
  ExpectRefusal("runs list nowhere", {"nowhere"});
}

// Not the Panda: six joints, 2 ms, no gripper, facing +y.
TEST_F(Cli, AnotherArmLearnsToReachWithTheSameConfig) {
  const Result train =
      Pawl("train " PAWL_SOURCE_DIR
           "/configs/arm/reach.toml --run run "
           "--set env.rig=" PAWL_SOURCE_DIR
           "/tests/envs/data/six_axis.toml --set eval.every_updates=10 "
           "--set eval.episodes=100 --set eval.stop_at_success=0.97 --set eval.video=false");
  ASSERT_EQ(train.exit_code, 0) << train.err;
  const auto eval = nlohmann::json::parse(Pawl("eval run --episodes 200 --json").out);
  EXPECT_GE(eval.at("success_rate"), 0.9);
}

TEST_F(Cli, EnvsAndConfigPrint) {
  EXPECT_NE(Pawl("envs").out.find("ArmReach"), std::string::npos);
  EXPECT_NE(Pawl("envs HalfCheetah-v5").out.find("forward_reward_weight"), std::string::npos);
  ExpectRefusal("envs HalfCheeta-v5", {"HalfCheetah-v5"});
  // what it prints is a config it reads back
  const Result printed = Pawl("config ok.toml");
  std::ofstream(folder_ / "printed.toml") << printed.out;
  EXPECT_EQ(Pawl("config printed.toml").out, printed.out);
}

TEST_F(Cli, TheStageDecidesWhichConfigAFileIs) {
  std::ofstream(folder_ / "text.toml") << "stage = \"pretrain\"\n[data]\nfiles = [\"a.txt\"]\n"
                                          "tokenizer = \"byte\"\n";
  const Result printed = Pawl("config text.toml");
  EXPECT_EQ(printed.exit_code, 0) << printed.err;
  for (const char* part : {"total_updates = 1000", "[lora]", "rank = 0"})
    EXPECT_NE(printed.out.find(part), std::string::npos) << part;
  std::ofstream(folder_ / "printed.toml") << printed.out;
  EXPECT_EQ(Pawl("config printed.toml").out, printed.out);
  EXPECT_EQ(Pawl("train ok.toml --dry-run --set stage=ppo").exit_code, 0);
  ExpectRefusal("train ok.toml --dry-run --set stage=sfd", {"stage", "pretrain"});
  ExpectRefusal("train ok.toml --dry-run --set stage=sft", {"unknown key", "eval.final_episodes"});
  ExpectRefusal("train text.toml --dry-run", {"a.txt", "does not exist", "data.files"});
  ExpectRefusal("eval ok --data a.txt", {"'ok' does not exist", "pawl runs list"});
}

TEST_F(Cli, TheConfigDocIsUpToDate) {
  EXPECT_EQ(Pawl("config --markdown").out,
            core::ReadTextFile(fs::path(PAWL_SOURCE_DIR) / "docs/config.md"))
      << "run: pawl config --markdown > docs/config.md";
}

}  // namespace
}  // namespace pawl
