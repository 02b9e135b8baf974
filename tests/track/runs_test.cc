#include "track/runs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <cmath>

#include "core/error.h"
#include "tests/track/track_testing.h"
#include "track/report.h"

namespace pawl::track {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class RunsTest : public FolderTest {
 protected:
  void PutRun(const std::string& name, bool finished, int minutes_ago) {
    fs::create_directories(folder_ / name);
    Put(name + "/config.toml",
        "seed = 7\ntotal_steps = 150000\n[env]\nid = \"ArmReach\"\n[ppo]\ngamma = 0.99\n");
    Put(name + "/metrics.jsonl",
        "{\"env_steps\": 100, \"updates\": 1}\n"
        "{\"env_steps\": 64000, \"updates\": 2, \"episode_return\": -3.5, \"success_rate\": "
        "0.5}\n");
    if (finished) {
      Put(name + "/summary.json",
          "{\"episodes\": 200, \"return_mean\": -1.5, \"return_ci95\": [-2, -1], \"success_rate\": "
          "0.985, "
          "\"success_ci95\": [0.95, 0.995], \"episode_length_mean\": 50, \"machine\": \"a chip\"}");
    }
    fs::last_write_time(folder_ / name / "metrics.jsonl",
                        fs::file_time_type::clock::now() - std::chrono::minutes(minutes_ago));
  }
};

TEST_F(RunsTest, ShowsTheNewestResultOfEachTask) {
  fs::create_directories(folder_ / "r");
  Put("r/config.toml", "stage = \"sft\"\nseed = 7\ntotal_updates = 5\n");
  Put("r/metrics.jsonl", "{\"updates\": 5, \"tokens\": 100}\n");
  const auto line = [](const char* model, double value) {
    return fmt::format(
        "{{\"model\": \"{}\", \"tasks\": {{\"quiz\": {{\"metric\": \"accuracy\", "
        "\"value\": {}, \"ci95\": [0.25, 0.75], \"n\": 40}}}}}}\n",
        model, value);
  };
  Put("r/evaluations.jsonl", line("a/checkpoints/step_4", 0.4) + "[]\n{\"model\": \"x\"}\n" +
                                 line("a/checkpoints/step_5", 0.5) +
                                 line("b/checkpoints/step_4", 0.6) + "{\"mod");
  const RunInfo run = ReadRun(folder_ / "r");
  ASSERT_EQ(run.tasks.size(), 2u);
  EXPECT_EQ(run.tasks[0].model, "step_5");
  EXPECT_EQ(run.tasks[1].value, 0.6);
  EXPECT_THAT(RunText(run), HasSubstr("quiz: accuracy 0.5 (0.25 to 0.75), n = 40; step_5"));
  EXPECT_THAT(ReportHtml(ReadReportInput(folder_ / "r")),
              HasSubstr("<td>0.6</td><td>0.25 to 0.75</td><td>40</td><td>step_4</td>"));
  Put("r/evaluations.jsonl",
      "{\"model\": \"m\", \"tasks\": {\"<i>\": {\"value\": null}, \"b\": 3}}");
  EXPECT_THAT(ReportHtml(ReadReportInput(folder_ / "r")), HasSubstr("<td>&lt;i&gt;</td>"));
}

TEST_F(RunsTest, FindsRunsInSubFoldersNewestLast) {
  PutRun("b", true, 10);
  PutRun("sweep/a", false, 5);
  PutRun("sweep/c", false, 0);
  fs::create_directories(folder_ / "no run");
  Put("no run/config.toml", "");
  const int writer = ::open((folder_ / "sweep/c").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(writer, LOCK_EX | LOCK_NB), 0);  // as a training process holds its run
  const auto runs = ScanRuns(folder_);
  ::close(writer);
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].name, "b");
  EXPECT_EQ(runs[1].name, "sweep/a");
  EXPECT_EQ(runs[2].name, "sweep/c");
  EXPECT_EQ(runs[0].status, RunStatus::kFinished);
  EXPECT_EQ(runs[1].status, RunStatus::kInterrupted);
  EXPECT_EQ(runs[2].status, RunStatus::kRunning);
}

TEST_F(RunsTest, ReadsConfigLastMetricsAndSummary) {
  PutRun("r", true, 10);
  for (const char* name : {"r", "r/"}) {
    const RunInfo run = ReadRun(folder_ / name);
    EXPECT_EQ(run.name, "r");
    EXPECT_EQ(run.env, "ArmReach");
    EXPECT_EQ(run.algorithm, "PPO");
    EXPECT_EQ(run.seed, 7);
    EXPECT_EQ(run.total_steps, 150000);
    EXPECT_EQ(Value(run.last, "env_steps"), 64000);
    EXPECT_EQ(run.machine, "a chip");
    ASSERT_TRUE(run.evaluation.has_value());
    EXPECT_EQ(run.evaluation->success_rate, 0.985);
    EXPECT_EQ(run.evaluation->return_low, -2);
  }
}

TEST_F(RunsTest, ASummaryWithoutSuccessLeavesItUndefined) {
  PutRun("r", true, 10);
  Put("r/summary.json", "{\"return_mean\": 5, \"success_rate\": null, \"success_ci95\": null}");
  const RunInfo run = ReadRun(folder_ / "r");
  ASSERT_TRUE(run.evaluation.has_value());
  EXPECT_TRUE(std::isnan(run.evaluation->success_rate));
  EXPECT_TRUE(std::isnan(run.evaluation->success_low));
  EXPECT_TRUE(std::isnan(run.evaluation->return_high));
}

TEST_F(RunsTest, ADamagedRunIsStillListed) {
  PutRun("r", true, 10);
  Put("r/config.toml", "= nonsense");
  Put("r/metrics.jsonl", "torn");
  Put("r/summary.json", "{");
  const auto runs = ScanRuns(folder_);
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_TRUE(runs[0].last.empty());
  EXPECT_THAT(RunsTable(runs), HasSubstr("\nr "));
}

TEST_F(RunsTest, TableAndTextShowTheFinalEvaluation) {
  PutRun("r", true, 10);
  const auto runs = ScanRuns(folder_);
  EXPECT_THAT(RunsTable(runs), HasSubstr("98.5 %"));
  EXPECT_THAT(RunsTable(runs), HasSubstr("64k"));
  EXPECT_THAT(RunText(runs[0]), HasSubstr("98.5 % (95 % to 99.5 %)"));
  EXPECT_THAT(RunText(runs[0]), HasSubstr("64k of 150k"));
}

TEST_F(RunsTest, ErrorsNameTheFolder) {
  EXPECT_THROW(ScanRuns(folder_ / "none"), Error);
  try {
    ReadRun(folder_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr(folder_.string()));
  }
}

TEST(Machine, IsDescribedInOneLine) {
  EXPECT_THAT(DescribeMachine(), HasSubstr(" threads"));
  EXPECT_EQ(DescribeMachine().find('\n'), std::string::npos);
}

}  // namespace
}  // namespace pawl::track
