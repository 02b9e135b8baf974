// The examples do what their comments say: PPO in one file learns; a program with an environment of
// its own trains, resumes and evaluates it, with actors of either kind.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"

namespace pawl {
namespace {
namespace fs = std::filesystem;

struct Result {
  int exit_code = -1;
  std::string out, err;
};

class Examples : public testing::Test {
 protected:
  Examples() {
    std::string name = (fs::temp_directory_path() / "pawl-examples-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~Examples() override { fs::remove_all(folder_); }

  // Runs a program in the temporary folder.
  Result Run(const std::string& program, const std::string& arguments) {
    const std::string command = fmt::format("cd '{}' && '{}' {} > out.txt 2> err.txt < /dev/null",
                                            folder_.string(), program, arguments);
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), core::ReadTextFile(folder_ / "out.txt"),
            core::ReadTextFile(folder_ / "err.txt")};
  }
  // `dock_point train` on the example's own config, cut to 20 updates.
  Result TrainDock(const std::string& run, const std::string& more = "") {
    return Run(DOCK_POINT, fmt::format("train '{}/examples/custom_env/dock_point.toml' --run {} "
                                       "--set total_steps=20480 --set eval.final_episodes=4 {}",
                                       PAWL_SOURCE_DIR, run, more));
  }
  // metrics.jsonl without the fields of clock and memory.
  std::vector<std::string> Metrics(const std::string& run) const {
    std::vector<std::string> rows;
    std::ifstream in(folder_ / run / "metrics.jsonl");
    for (std::string line; std::getline(in, line);) {
      auto row = nlohmann::ordered_json::parse(line);
      for (auto it = row.begin(); it != row.end();) {
        const std::string& key = it.key();
        const bool clock = key.ends_with("_s") || key.ends_with("_ms") || key.ends_with("_bytes") ||
                           key.ends_with("per_s");
        it = clock ? row.erase(it) : std::next(it);
      }
      rows.push_back(row.dump());
    }
    return rows;
  }

  fs::path folder_;
};

TEST_F(Examples, PpoInOneFileLearnsCartPole) {
  const Result r = Run(PPO_ONE_FILE, "");
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const size_t last = r.out.rfind("return");
  ASSERT_NE(last, std::string::npos) << r.out;
  EXPECT_GT(std::stod(r.out.substr(last + 6)), 400) << r.out;  // a random policy: 22; at most 500
}

TEST_F(Examples, ACustomEnvironmentGivesTheSameBitsWithThreadAndProcessActors) {
  const Result threads = TrainDock("threads");
  ASSERT_EQ(threads.exit_code, 0) << threads.err;
  const Result processes = TrainDock("processes", "--set actors.kind=process");
  ASSERT_EQ(processes.exit_code, 0) << processes.err;
  EXPECT_EQ(Metrics("threads").size(), 20u);
  EXPECT_EQ(Metrics("threads"), Metrics("processes"));
}

TEST_F(Examples, ACustomEnvironmentResumesBitForBit) {
  const std::string every = "--set actors.kind=process --set checkpoint.every_updates=5 ";
  ASSERT_EQ(TrainDock("run", every + "--set checkpoint.keep=100").exit_code, 0);
  const auto whole = Metrics("run");
  // as if it had been killed half-way
  fs::remove(folder_ / "run/summary.json");
  for (const auto& entry : fs::directory_iterator(folder_ / "run/checkpoints")) {
    if (entry.path().filename() > "step_000000010240") fs::remove_all(entry.path());
  }
  const Result r = TrainDock("run", every + "--set checkpoint.keep=100 --resume");
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_NE(r.err.find("resumed from"), std::string::npos) << r.err;
  EXPECT_EQ(Metrics("run"), whole);
}

TEST_F(Examples, ACustomEnvironmentIsListedAndEvaluated) {
  EXPECT_NE(Run(DOCK_POINT, "envs").out.find("DockPoint-v0"), std::string::npos);
  EXPECT_NE(Run(DOCK_POINT, "envs DockPoint-v0").out.find("tolerance"), std::string::npos);
  ASSERT_EQ(TrainDock("run").exit_code, 0);
  const Result eval = Run(DOCK_POINT, "eval run --episodes 3 --json");
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  const auto json = nlohmann::json::parse(eval.out);
  EXPECT_EQ(json["episodes"], 3);
  EXPECT_EQ(json["env"], "DockPoint-v0");
  EXPECT_TRUE(json["success_rate"].is_number());
  const Result video = Run(DOCK_POINT, "eval run --video run.mp4");
  EXPECT_EQ(video.exit_code, 2);
  EXPECT_EQ(video.out, "");
  EXPECT_EQ(std::count(video.err.begin(), video.err.end(), '\n'), 1) << video.err;
  EXPECT_NE(video.err.find("DockPoint-v0 has no picture"), std::string::npos) << video.err;
}

}  // namespace
}  // namespace pawl
