#include "train/train_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "envs/registry.h"
#include "nn/checkpoint.h"
#include "nn/policy_file.h"
#include "scripted_env.h"
#include "track/event_file.h"
#include "train/evaluator.h"
#include "train/run_folder.h"
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

// Gives the first row a time of its own, which a run that starts again would not write.
constexpr double kMarkedTime = 12345.5;
void MarkFirstRow(const fs::path& run) {
  std::ifstream in(run / "metrics.jsonl");
  std::string first, rest;
  std::getline(in, first);
  std::getline(in, rest, '\0');
  in.close();
  auto row = nlohmann::ordered_json::parse(first);
  row["time_s"] = kMarkedTime;
  std::ofstream(run / "metrics.jsonl") << row.dump() << '\n' << rest;
}

// The steps of all events for TensorBoard, in the order of the file.
std::vector<int64_t> EventSteps(const fs::path& run) {
  std::vector<int64_t> steps;
  for (const auto& file : track::FindEventFiles(run)) {
    const std::string bytes = core::ReadTextFile(file);
    for (const auto& record : track::ParseRecords(bytes)) steps.push_back(record.step);
  }
  return steps;
}

TEST(Train, ResumeContinuesBitForBitFromAnyCheckpoint) {
  TempFolder folder;
  for (const char* mode : {"normalize.update=rollout", "normalize.update=per_step"}) {
    const auto config = WriteSmallConfig(folder / "c.toml");
    const auto reference = folder / std::string(mode);
    ASSERT_EQ(RunTraining(config, reference, {mode}), 0);
    const auto metrics = MetricsWithoutClocks(reference);
    const auto state = NewestState(reference);
    const auto events = EventSteps(reference);
    ASSERT_EQ(events.size(), 1 + metrics.size());  // the first is the file's version
    for (size_t k : {0u, 1u, 4u}) {
      const auto run = folder / (std::string(mode) + std::to_string(k));
      fs::copy(reference, run, fs::copy_options::recursive);
      MarkFirstRow(run);
      ForgetAfter(run, k);
      ASSERT_EQ(RunTraining(config, run, {mode}, /*resume=*/true), 0);
      // it went on from a checkpoint and did not start again, unless there was none
      const auto times = track::ReadMetrics(run / "metrics.jsonl").Column("time_s");
      ASSERT_EQ(times.size(), metrics.size());
      EXPECT_EQ(times[0] == kMarkedTime, k > 0) << mode << " from checkpoint " << k;
      EXPECT_EQ(EventSteps(run), events) << mode << " from checkpoint " << k;
      EXPECT_EQ(MetricsWithoutClocks(run), metrics) << mode << " from checkpoint " << k;
      EXPECT_EQ(NewestState(run), state) << mode << " from checkpoint " << k;
    }
  }
}

// The message of the error that a resume throws; "" where it throws none.
std::string ResumeError(const fs::path& config, const fs::path& run,
                        const std::vector<std::string>& assignments = {}) {
  try {
    RunTraining(config, run, assignments, /*resume=*/true);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
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
  // nor to a greater length, which would have ended there as well
  const auto before = FilesOf(folder / "run");
  std::vector<std::string> longer = goal;
  longer.push_back("total_steps=3200");
  EXPECT_NE(ResumeError(config, folder / "run", longer).find("stopped early"), std::string::npos);
  testing::internal::CaptureStdout();
  EXPECT_EQ(RunTraining(config, folder / "run", goal, /*resume=*/true), 0);
  EXPECT_NE(testing::internal::GetCapturedStdout().find("nothing to do (it stopped early)"),
            std::string::npos);
  EXPECT_EQ(FilesOf(folder / "run"), before);
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
  const std::vector<std::string> keep = {"checkpoint.keep=3"};
  ASSERT_EQ(RunTraining(config, folder / "run", keep), 0);
  const auto state = NewestState(folder / "run");
  const auto all = nn::ListCheckpoints(folder / "run" / "checkpoints");
  ASSERT_EQ(all.size(), 3u);
  for (int i = 0; i < 2; ++i) fs::resize_file(all[i].folder / "index.json", 3);
  fs::remove(folder / "run" / "summary.json");
  ASSERT_EQ(RunTraining(config, folder / "run", keep, /*resume=*/true), 0);
  EXPECT_EQ(NewestState(folder / "run"), state);
  EXPECT_EQ(nn::ListCheckpoints(folder / "run" / "checkpoints").size(), 3u);
}

TEST(Train, ARunWhoseCheckpointsAreAllRefusedIsLeftAsItIs) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  const auto run = folder / "run";
  ASSERT_EQ(RunTraining(config, run), 0);
  const auto all = nn::ListCheckpoints(run / "checkpoints");
  for (const auto& checkpoint : all) fs::resize_file(checkpoint.folder / "index.json", 3);
  for (const bool finished : {true, false}) {
    if (!finished) fs::remove(run / "summary.json");
    const auto before = FilesOf(run);
    const std::string error = ResumeError(config, run, {"total_steps=3200"});
    EXPECT_NE(error.find(fmt::format("none of the {} checkpoints", all.size())), std::string::npos)
        << error;
    EXPECT_NE(error.find("step_000000001792"), std::string::npos) << error;  // the newest
    EXPECT_EQ(FilesOf(run), before);
  }
}

TEST(Train, AFinishedRunWithoutItsCheckpointsDoesNotBeginAgain) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  ASSERT_EQ(RunTraining(config, folder / "run"), 0);
  fs::remove_all(folder / "run" / "checkpoints");
  const auto before = FilesOf(folder / "run");
  EXPECT_NE(ResumeError(config, folder / "run", {"total_steps=3200"}).find("are gone"),
            std::string::npos);
  EXPECT_EQ(FilesOf(folder / "run"), before);
}

TEST(Train, WhatCannotBeWrittenOfABadUpdateDoesNotHideItsError) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  const std::vector<std::string> bad = {"ppo.learning_rate=1e10", "ppo.max_grad_norm=0"};
  EXPECT_THROW(RunTraining(config, folder / "run", bad), Error);
  const auto left = folder / "run" / "bad_update_0";
  ASSERT_TRUE(fs::exists(left / "rollout.safetensors"));
  fs::remove_all(left);
  std::ofstream(left) << "in the way";
  const std::string error = ResumeError(config, folder / "run", bad);
  EXPECT_NE(error.find("not finite at gradient step"), std::string::npos) << error;
  EXPECT_NE(error.find("could not be written"), std::string::npos) << error;
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

nn::MappedFiles NewestFiles(const fs::path& run) {
  return nn::ReadCheckpoint(nn::ListCheckpoints(run / "checkpoints").front().folder);
}
nn::Policy NewestPolicy(const fs::path& run) {
  return nn::PolicyFromFiles(NewestFiles(run), "test");
}

TEST(Train, AFirstPolicyGivesItsWeightsAndItsStatistics) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  // observations around 100 and large rewards; then around 0, and small ones
  ASSERT_EQ(RunTraining(config, folder / "first",
                        {"env.id=Scripted", "env.args.offset=100", "env.args.reward_scale=7"}),
            0);
  ASSERT_EQ(RunTraining(config, folder / "next",
                        {"env.id=Scripted", "init_from=" + (folder / "first").string(),
                         "ppo.learning_rate=0", "total_steps=256"}),
            0);
  const nn::Policy first = NewestPolicy(folder / "first"), next = NewestPolicy(folder / "next");
  EXPECT_TRUE(std::ranges::equal(next.weights.span(), first.weights.span()));
  const auto files = NewestFiles(folder / "next");
  const auto state = core::FromSafetensors(files.at("state/training.safetensors").bytes(), "test");
  // 8 observations of the resets and 256 of the steps come to the 10,000 that the first policy
  // counts for; there is no warm-up
  EXPECT_NEAR(state.GetScalar<double>("statistics/count"), 1e4 + 264, 1e-6);
  EXPECT_NEAR(state.GetScalar<double>("statistics/return_count"), 1e4 + 256, 1e-6);
  for (int k = 0; k < 2; ++k) {
    ASSERT_NEAR(first.normalizer.mean[k], 100, 10);
    // each new observation is within 10 of 0
    EXPECT_NEAR(next.normalizer.mean[k], first.normalizer.mean[k] * 1e4 / 10264,
                10 * 264.0 / 10264);
  }
  EXPECT_NEAR(next.normalizer.return_variance, first.normalizer.return_variance * 1e4 / 10256,
              0.02 * first.normalizer.return_variance);
}

// Runs of "Planned": one environment, an evaluation after each update of 8 steps.
std::vector<std::string> Planned(std::vector<std::string> more) {
  std::vector<std::string> all = {"env.id=Planned",
                                  "env.num_envs=1",
                                  "ppo.horizon=8",
                                  "ppo.minibatch=8",
                                  "normalize.observation=false",
                                  "normalize.reward=false",
                                  "eval.every_updates=1",
                                  fmt::format("eval.episodes={}", 1 + kPlannedEpisodes),
                                  "eval.final_episodes=0",
                                  "checkpoint.keep=1"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void ExpectBest(const fs::path& run, int64_t step, double score, int64_t newest) {
  const auto best = nlohmann::json::parse(core::ReadTextFile(run / "best.json"));
  EXPECT_EQ(best["step"], step);
  EXPECT_EQ(best["score"], score);
  // beside the newest it is the only one that is kept
  std::vector<int64_t> kept;
  for (const auto& ref : nn::ListCheckpoints(run / "checkpoints")) kept.push_back(ref.step);
  EXPECT_EQ(kept, (std::vector<int64_t>{newest, step}));
  std::vector<std::string> skipped;
  EXPECT_EQ(FindCheckpoint(run, /*best=*/true, skipped).step, step);
  EXPECT_EQ(FindCheckpoint(run, /*best=*/false, skipped).step, newest);
}

TEST(Train, TheBestPolicyIsTheFirstOfTheMostSuccessesAndIsKept) {
  TempFolder folder;
  SetEvaluationPlan({.successes = {1, 3, 2, 3, 0}, .returns = {0, 0, 50, 10, 90}});
  ASSERT_EQ(
      RunTraining(WriteSmallConfig(folder / "c.toml"), folder / "run", Planned({"total_steps=40"})),
      0);
  ExpectBest(folder / "run", 16, 3.0 / 5, 40);
}

TEST(Train, TheBestPolicyIsThatOfTheHighestReturnWhereThereIsNoSuccess) {
  TempFolder folder;
  SetEvaluationPlan({.successes = {0, 0, 4, 0, 0}, .returns = {5, 10, -5, 10, 8}});
  ASSERT_EQ(RunTraining(WriteSmallConfig(folder / "c.toml"), folder / "run",
                        Planned({"total_steps=40", "env.args.has_success=false"})),
            0);
  ExpectBest(folder / "run", 16, 8, 40);  // 4 of 5 episodes give 10
}

TEST(Train, ResumeKeepsTheBestPolicyUntilABetterOneComes) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  SetEvaluationPlan({.successes = {1, 3, 2, 2, 3, 4, 1}, .returns = {0, 0, 0, 0, 0, 0, 0}});
  ASSERT_EQ(RunTraining(config, folder / "run", Planned({"total_steps=24"})), 0);
  ASSERT_EQ(RunTraining(config, folder / "run", Planned({"total_steps=40"}), /*resume=*/true), 0);
  ExpectBest(folder / "run", 16, 3.0 / 5, 40);
  ASSERT_EQ(RunTraining(config, folder / "run", Planned({"total_steps=56"}), /*resume=*/true), 0);
  ExpectBest(folder / "run", 48, 4.0 / 5, 56);
}

TEST(Train, StopsAtTheSuccessRateItIsToReach) {
  TempFolder folder;
  SetEvaluationPlan({.successes = {2, 3, 4, 0}, .returns = {9, 9, 9, 9}});
  ASSERT_EQ(RunTraining(WriteSmallConfig(folder / "c.toml"), folder / "run",
                        Planned({"total_steps=32", "eval.stop_at_success=0.6"})),
            0);
  const auto rates =
      track::ReadMetrics(folder / "run" / "metrics.jsonl").Column("eval_success_rate");
  EXPECT_EQ(rates, (std::vector<double>{0.4, 0.6}));
  const auto summary = nlohmann::json::parse(core::ReadTextFile(folder / "run" / "summary.json"));
  EXPECT_EQ(summary["stopped_early"], true);
}

TEST(Train, EvaluatesTheSavedPolicyTheWayTheConfigSays) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  for (const bool deterministic : {true, false}) {
    const auto run = folder / std::to_string(deterministic);
    ASSERT_EQ(RunTraining(config, run,
                          {"env.id=Scripted", "eval.final_episodes=3",
                           fmt::format("eval.deterministic={}", deterministic)}),
              0);
    const auto summary = nlohmann::json::parse(core::ReadTextFile(run / "summary.json"));
    const nn::Policy policy = NewestPolicy(run);
    const auto mean = [&](bool mode) {
      return Evaluate(policy, {.episodes = 3, .deterministic = mode, .seed = 5}).return_mean;
    };
    EXPECT_EQ(summary["return_mean"], mean(deterministic));
    EXPECT_NE(summary["return_mean"], mean(!deterministic));
  }
}

TEST(Train, AnEpisodeSucceedsByItsLastStep) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  for (const int step : {3, 10}) {  // of 10
    const auto run = folder / std::to_string(step);
    ASSERT_EQ(RunTraining(config, run,
                          {"env.id=Scripted", "env.args.has_success=true",
                           fmt::format("env.args.success_at={}", step)}),
              0);
    const auto rates = track::ReadMetrics(run / "metrics.jsonl").Column("success_rate");
    EXPECT_EQ(rates, std::vector<double>(6, step == 10 ? 1 : 0)) << step;
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
    const auto ratios =
        track::ReadMetrics(run / "metrics.jsonl").Column("first_minibatch_max_log_ratio");
    ASSERT_EQ(ratios.size(), 6u) << policy;
    for (double ratio : ratios) EXPECT_EQ(ratio, 0) << policy;
  }
}

TEST(Train, TheLibTorchPathKeepsItWithinItsTolerance) {
  TempFolder folder;
  ASSERT_EQ(
      RunTraining(WriteSmallConfig(folder / "c.toml"), folder / "run", {"ppo.update_path=torch"}),
      0);
  const auto ratios =
      track::ReadMetrics(folder / "run" / "metrics.jsonl").Column("first_minibatch_max_log_ratio");
  ASSERT_EQ(ratios.size(), 6u);
  for (double ratio : ratios) EXPECT_LE(ratio, 1e-5);
}

TEST(Train, TheLearningRateFollowsTheShareOfTheRunDoneBeforeItsUpdate) {
  TempFolder folder;
  ASSERT_EQ(RunTraining(WriteSmallConfig(folder / "c.toml"), folder / "run",
                        {"ppo.learning_rate=1e-3", "ppo.learning_rate_final=2e-4"}),
            0);
  const auto table = track::ReadMetrics(folder / "run" / "metrics.jsonl");
  const auto& rates = table.Column("learning_rate");
  ASSERT_EQ(rates.size(), 6u);
  for (int i = 0; i < 6; ++i) {
    // 32 steps of warm-up, then 32 an update, of 8 environments
    const double share = 256.0 * (1 + i) / 1600;
    EXPECT_NEAR(rates[i], 1e-3 + share * (2e-4 - 1e-3), 1e-15) << i;
  }
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
