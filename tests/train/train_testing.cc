#include "train_testing.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/log.h"
#include "nn/checkpoint.h"
#include "scripted_env.h"
#include "train/actor_process.h"

namespace pawl::train {
namespace fs = std::filesystem;

fs::path FastFolder() {
  constexpr uintmax_t kRoom = uintmax_t{256} << 20;
  const fs::path memory = "/dev/shm";
  std::error_code error;
  const auto space = fs::space(memory, error);
  const bool usable = !error && space.available >= kRoom && access(memory.c_str(), W_OK) == 0;
  return usable ? memory : fs::temp_directory_path();
}

TempFolder::TempFolder(const fs::path& root) {
  std::string name = (root / "pawl-train-XXXXXX").string();
  PAWL_CHECK(mkdtemp(name.data()) != nullptr, "no temporary folder");
  path_ = name;
}
TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path WriteSmallConfig(const fs::path& path, const std::string& more) {
  std::ofstream(path) << R"(
seed = 5
total_steps = 1600
[env]
id = "Pendulum-v1"
num_envs = 8
[policy]
hidden = [16, 16]
[ppo]
horizon = 32
epochs = 2
minibatch = 64
[normalize]
observation = true
reward = true
[checkpoint]
every_updates = 1
keep = 100
[eval]
final_episodes = 2
video = false
)" << more;
  return path;
}

std::map<std::string, std::string> FilesOf(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const std::string name = fs::relative(entry.path(), run).string();
    if (entry.is_regular_file() && name != "log.txt")
      files[name] = core::ReadTextFile(entry.path());
  }
  return files;
}

int RunTraining(const fs::path& config, const fs::path& run, std::vector<std::string> assignments,
                bool resume) {
  return Train({.config_path = config.string(),
                .run_folder = run.string(),
                .assignments = std::move(assignments),
                .resume = resume});
}

std::vector<std::string> MetricsWithoutClocks(const fs::path& run) {
  std::vector<std::string> rows;
  std::ifstream in(run / "metrics.jsonl");
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

std::string NewestState(const fs::path& run) {
  const auto files = nn::ReadCheckpoint(nn::ListCheckpoints(run / "checkpoints").front().folder);
  std::string all;
  for (const char* name :
       {"policy/policy.json", "policy/weights.safetensors", "state/training.safetensors"}) {
    const auto bytes = files.at(name).bytes();
    all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return all;
}

}  // namespace pawl::train

// actor processes are this same binary
int main(int argc, char** argv) {
  pawl::train::RegisterTestEnvs();
  if (argc == 3 && std::strcmp(argv[1], pawl::train::kActorArgument) == 0) {
    return pawl::train::ActorProcessMain(std::atoi(argv[2]));
  }
  testing::InitGoogleTest(&argc, argv);
  pawl::core::StartLog({.terminal_level = pawl::core::LogLevel::kOff});
  return RUN_ALL_TESTS();
}
