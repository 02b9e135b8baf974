#include "train/train_run.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "core/error.h"
#include "envs/registry.h"
#include "nn/checkpoint.h"
#include "train_testing.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;

TEST(Train, RepeatsBitForBitForAnyNumberOfThreadsAndProcesses) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  ASSERT_EQ(RunTraining(config, folder / "one", {"actors.count=1", "ppo.update_threads=1"}), 0);
  const auto metrics = MetricsWithoutClocks(folder / "one");
  const auto state = NewestState(folder / "one");
  ASSERT_EQ(metrics.size(), 6u);
  for (const char* actors :
       {"actors.kind=thread,actors.count=2", "actors.kind=process,actors.count=1",
        "actors.kind=process,actors.count=2"}) {
    const std::string text = actors;
    const auto comma = text.find(',');
    const auto run = folder / text;
    ASSERT_EQ(RunTraining(config, run, {text.substr(0, comma), text.substr(comma + 1)}), 0);
    EXPECT_EQ(MetricsWithoutClocks(run), metrics) << actors;
    EXPECT_EQ(NewestState(run), state) << actors;
  }
}

TEST(Train, ADifferentSeedGivesOtherNumbers) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  ASSERT_EQ(RunTraining(config, folder / "a"), 0);
  ASSERT_EQ(RunTraining(config, folder / "b", {"seed=6"}), 0);
  EXPECT_NE(MetricsWithoutClocks(folder / "a"), MetricsWithoutClocks(folder / "b"));
}

// Takes away everything after the k-th checkpoint, as a kill at that moment would have.
void ForgetAfter(const fs::path& run, size_t k) {
  auto all = nn::ListCheckpoints(run / "checkpoints");
  for (size_t i = 0; i + k < all.size(); ++i) fs::remove_all(all[i].folder);
  fs::remove(run / "summary.json");
  std::ofstream(run / "metrics.jsonl", std::ios::app) << "{\"updates\": 7, \"tor";  // a torn line
}

TEST(Train, ResumeContinuesBitForBitFromAnyCheckpoint) {
  TempFolder folder;
  for (const char* mode : {"normalize.update=rollout", "normalize.update=per_step"}) {
    const auto config = WriteSmallConfig(folder / "c.toml");
    const auto reference = folder / std::string(mode);
    ASSERT_EQ(RunTraining(config, reference, {mode}), 0);
    const auto metrics = MetricsWithoutClocks(reference);
    const auto state = NewestState(reference);
    for (size_t k : {0u, 1u, 4u}) {
      const auto run = folder / (std::string(mode) + std::to_string(k));
      fs::copy(reference, run, fs::copy_options::recursive);
      ForgetAfter(run, k);
      ASSERT_EQ(RunTraining(config, run, {mode}, /*resume=*/true), 0);
      EXPECT_EQ(MetricsWithoutClocks(run), metrics) << mode << " from checkpoint " << k;
      EXPECT_EQ(NewestState(run), state) << mode << " from checkpoint " << k;
    }
  }
}

// Killed after the goal was reached but before the run was closed.
TEST(Train, ResumeAfterAnEarlyStopDoesNotTrainOn) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  const std::vector<std::string> goal = {"eval.every_updates=2", "eval.episodes=1",
                                         "eval.stop_at_return=-1e6"};
  ASSERT_EQ(RunTraining(config, folder / "run", goal), 0);
  const auto metrics = MetricsWithoutClocks(folder / "run");
  ASSERT_EQ(metrics.size(), 2u);
  const auto state = NewestState(folder / "run");
  fs::remove(folder / "run" / "summary.json");
  fs::remove(folder / "run" / "best.json");
  ASSERT_EQ(RunTraining(config, folder / "run", goal, /*resume=*/true), 0);
  EXPECT_EQ(MetricsWithoutClocks(folder / "run"), metrics);
  EXPECT_EQ(NewestState(folder / "run"), state);
  EXPECT_TRUE(fs::exists(folder / "run" / "summary.json"));
  EXPECT_TRUE(fs::exists(folder / "run" / "best.json"));  // written again from the state
}

TEST(Train, NewCheckpointsStayWhereNewerOnesAreDamaged) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  const std::vector<std::string> keep = {"checkpoint.keep=2"};
  ASSERT_EQ(RunTraining(config, folder / "run", keep), 0);
  const auto state = NewestState(folder / "run");
  const auto all = nn::ListCheckpoints(folder / "run" / "checkpoints");
  ASSERT_EQ(all.size(), 2u);
  for (const auto& checkpoint : all) fs::resize_file(checkpoint.folder / "index.json", 3);
  fs::remove(folder / "run" / "summary.json");
  ASSERT_EQ(RunTraining(config, folder / "run", keep, /*resume=*/true), 0);
  EXPECT_EQ(NewestState(folder / "run"), state);
  EXPECT_EQ(nn::ListCheckpoints(folder / "run" / "checkpoints").size(), 2u);
}

TEST(Train, AFirstPolicyMustFitTheRun) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  ASSERT_EQ(RunTraining(config, folder / "run"), 0);
  const auto from = "init_from=" + (folder / "run").string();
  EXPECT_EQ(RunTraining(config, folder / "next", {from}), 0);
  for (const char* other : {"policy.activation=relu", "policy.squash=true", "policy.hidden=[8]",
                            "normalize.observation=false", "env.id=CartPole-v1"}) {
    EXPECT_THROW(RunTraining(config, folder / "other", {from, other}), Error) << other;
    EXPECT_FALSE(fs::exists(folder / "other")) << other;  // nothing is left in the way
  }
}

TEST(Train, ResumeOfAFinishedRunChangesNothing) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  ASSERT_EQ(RunTraining(config, folder / "run"), 0);
  const auto metrics = MetricsWithoutClocks(folder / "run");
  ASSERT_EQ(RunTraining(config, folder / "run", {}, /*resume=*/true), 0);
  EXPECT_EQ(MetricsWithoutClocks(folder / "run"), metrics);
}

TEST(Train, ALargerTotalGoesOnFromTheEnd) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  ASSERT_EQ(RunTraining(config, folder / "run"), 0);
  const auto metrics = MetricsWithoutClocks(folder / "run");
  ASSERT_EQ(RunTraining(config, folder / "run", {"total_steps=2200"}, /*resume=*/true), 0);
  const auto longer = MetricsWithoutClocks(folder / "run");
  ASSERT_GT(longer.size(), metrics.size());
  EXPECT_TRUE(std::equal(metrics.begin(), metrics.end(), longer.begin()));
}

TEST(Train, TheFirstLogRatioIsExactlyZeroOnTheFusedPath) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  for (const char* policy : {"policy.squash=true", "policy.shared=true", "policy.activation=elu",
                             "env.id=CartPole-v1"}) {
    const auto run = folder / std::string(policy);
    ASSERT_EQ(RunTraining(config, run, {policy}), 0);
    const auto table = track::ReadMetrics(run / "metrics.jsonl");
    for (double ratio : table.Column("first_minibatch_max_log_ratio"))
      EXPECT_EQ(ratio, 0) << policy;
  }
}

TEST(Train, TheLibTorchPathKeepsItWithinItsTolerance) {
  TempFolder folder;
  ASSERT_EQ(
      RunTraining(WriteSmallConfig(folder / "c.toml"), folder / "run", {"ppo.update_path=torch"}),
      0);
  const auto table = track::ReadMetrics(folder / "run" / "metrics.jsonl");
  for (double ratio : table.Column("first_minibatch_max_log_ratio")) EXPECT_LE(ratio, 1e-5);
}

TEST(Train, CartPoleLearns) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  ASSERT_EQ(RunTraining(
                config, folder / "run",
                {"env.id=CartPole-v1", "total_steps=60000", "ppo.horizon=64", "ppo.epochs=6",
                 "ppo.learning_rate=2e-3", "normalize.observation=false", "normalize.reward=false",
                 "checkpoint.every_updates=50", "eval.final_episodes=20"}),
            0);
  EXPECT_GT(track::ReadMetrics(folder / "run" / "metrics.jsonl").Last("episode_return"), 200);
}

// An environment whose reward turns NaN after some steps.
class BrokenEnv : public envs::Env {
 public:
  BrokenEnv() {
    spec_.id = "Broken";
    spec_.version = "1";
    spec_.observation = {{.name = "x", .size = 1, .shape = {1}}};
    spec_.action = {.size = 1, .low = {-1}, .high = {1}};
    spec_.max_episode_steps = 100;
  }
  const envs::EnvSpec& Spec() const override { return spec_; }
  void Reset(core::Philox, std::span<double> observation) override { observation[0] = steps_ = 0; }
  envs::StepResult Step(std::span<const double>, std::span<double> observation) override {
    observation[0] = ++steps_;
    return {.reward = steps_ < 50 ? 1.0 : std::nan("")};
  }
  void SaveState(core::ByteWriter& out) const override { out.Put(steps_); }
  void LoadState(core::ByteReader& in) override { in.Get(steps_); }

 private:
  envs::EnvSpec spec_;
  double steps_ = 0;
};

TEST(Train, ANaNRewardStopsTheRunNamesTheEnvironmentAndKeepsTheLastGoodWeights) {
  envs::RegisterEnv(
      {.id = "Broken",
       .summary = "turns NaN",
       .make = [](const envs::EnvConfig&, uint64_t, int) { return std::make_unique<BrokenEnv>(); },
       .describe_args = [] { return std::vector<core::FieldDoc>(); }});
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  try {
    RunTraining(config, folder / "run", {"env.id=Broken", "normalize.warmup_steps=0"});
    FAIL() << "a NaN reward went through";
  } catch (const Error& error) {
    const std::string line = error.what();
    EXPECT_NE(line.find("reward"), std::string::npos) << line;
    EXPECT_NE(line.find("environment"), std::string::npos) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    EXPECT_EQ(error.exit_code(), 1);
  }
  EXPECT_FALSE(nn::ListCheckpoints(folder / "run" / "checkpoints").empty());
  EXPECT_NO_THROW(NewestState(folder / "run"));
}

}  // namespace
}  // namespace pawl::train
