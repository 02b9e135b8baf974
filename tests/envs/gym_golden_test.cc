// Equivalence with Gymnasium 1.4: ours repeats what the real package recorded (the script beside
// the goldens), from every recorded reset state with the recorded float64 actions, a quarter of
// which lie outside the bounds.
//   FreeRunning: only reset states and actions are taken from the recording.
//   OneStep: qpos and qvel are the recording's before every step, so that no error is carried on.
//     The rest of what a step reads (the solver's warm start, positions that lag one substep) is
//     not recorded and comes from our own last step, which started from the recorded state as well.
//   SingleSteps: each 16th step once more from its recorded state alone, after a reset, in both.
// Tolerance: both run the same MuJoCo library on the same calls, so what may differ is the order of
// a few sums in the reward: 1e-9 absolute up to 1, relative above.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mujoco/mujoco.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/safetensors.h"
#include "envs/mujoco_env.h"
#include "envs/registry.h"
#include "tests/goldens/goldens.h"

namespace pawl::envs {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-9;

// By name, not from the folder: a file that is not there is a failure.
std::vector<std::string> GoldenFiles() {
  // files with other keywords beside the default ones
  const std::pair<const char*, int> variants[] = {{"Ant-v5", 2},
                                                  {"HalfCheetah-v5", 1},
                                                  {"Hopper-v5", 2},
                                                  {"Humanoid-v5", 2},
                                                  {"HumanoidStandup-v5", 2},
                                                  {"InvertedDoublePendulum-v5", 1},
                                                  {"InvertedPendulum-v5", 1},
                                                  {"Pusher-v5", 2},
                                                  {"Reacher-v5", 1},
                                                  {"Swimmer-v5", 1},
                                                  {"Walker2d-v5", 2}};
  std::vector<std::string> names;
  for (const auto& [task, count] : variants) {
    names.emplace_back(task);
    names.push_back(fmt::format("{}_args", task));
    if (count == 2) names.push_back(fmt::format("{}_args2", task));
  }
  return names;
}

// Keywords as JSON (Python's, with Infinity as a number or a word) in TOML.
std::string ToTomlValue(const nlohmann::json& value) {
  if (value.is_array()) {
    std::string text = "[";
    for (const auto& element : value) text += ToTomlValue(element) + ", ";
    return text + "]";
  }
  if (value == "inf" || value == "-inf") return value.get<std::string>();
  if (value.is_number_float() && value.get<double>() == std::floor(value.get<double>())) {
    return fmt::format("{:.1f}", value.get<double>());
  }
  return value.dump();
}

std::string ToToml(std::string json) {
  for (size_t at; (at = json.find("Infinity")) != std::string::npos;) {
    const size_t begin = at > 0 && json[at - 1] == '-' ? at - 1 : at;
    json.replace(begin, at + 8 - begin, begin < at ? "\"-inf\"" : "\"inf\"");
  }
  const nlohmann::json keywords = nlohmann::json::parse(json);
  std::string text;
  for (const auto& [key, value] : keywords.items()) {
    // ours takes a body's number as a text, too
    const bool number = key == "main_body" && value.is_number();
    text += fmt::format("{} = {}\n", key,
                        number ? fmt::format("\"{}\"", value.dump()) : ToTomlValue(value));
  }
  return text;
}

class GymGolden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    golden_ = core::ReadSafetensors(fs::path(GoldensFolder() / "gym_mujoco") /
                                    (GetParam() + ".safetensors"));
    const std::string recorded = golden_.metadata().at("mujoco");
    if (recorded != mj_versionString()) {
      GTEST_SKIP() << "recorded with MuJoCo " << recorded << ", this is " << mj_versionString();
    }
    EnvConfig config{.id = golden_.metadata().at("env_id")};
    const std::string args =
        fmt::format("{}max_episode_steps = {}\n", ToToml(golden_.metadata().at("kwargs")),
                    golden_.metadata().at("max_episode_steps"));
    config.args = core::Table::ParseString(args, GetParam());
    env_ = MakeEnv(config, 1, 0);
    mujoco_ = dynamic_cast<MujocoEnv*>(env_.get());
    ASSERT_NE(mujoco_, nullptr);
    observation_.resize(env_->Spec().ObservationSize());
  }

  // Row `row` of a recorded [rows, ...] array.
  std::span<const double> Row(const char* name, int64_t row) const {
    const size_t width = golden_.At(name).shape[1];
    return golden_.Get<double>(name).subspan(row * width, width);
  }

  void Near(double ours, double theirs, const std::string& what) {
    const double error = std::abs(ours - theirs) / std::max(1.0, std::abs(theirs));
    largest_ = std::max(largest_, error);
    ASSERT_LE(error, kTolerance) << what << ": " << ours << ", recorded " << theirs;
  }
  void Near(std::span<const double> ours, std::span<const double> theirs, const std::string& what) {
    ASSERT_EQ(ours.size(), theirs.size()) << what;
    for (size_t i = 0; i < ours.size(); ++i) {
      Near(ours[i], theirs[i], fmt::format("{}[{}]", what, i));
      if (HasFatalFailure()) return;
    }
  }

  void Compare(int64_t step, const StepResult& result) {
    const std::string at = fmt::format(" of step {}", step);
    Near(result.reward, golden_.Get<double>("step/reward")[step], "reward" + at);
    Near({mujoco_->sim().data().qpos, Row("step/qpos", step).size()}, Row("step/qpos", step),
         "qpos" + at);
    Near({mujoco_->sim().data().qvel, Row("step/qvel", step).size()}, Row("step/qvel", step),
         "qvel" + at);
    const bool terminated = golden_.Get<uint8_t>("step/terminated")[step] != 0;
    const bool truncated = golden_.Get<uint8_t>("step/truncated")[step] != 0;
    ASSERT_EQ(result.terminated, terminated) << at;
    ASSERT_EQ(result.truncated, truncated && !terminated) << at;
    const auto& names = env_->Spec().extra_names;
    for (size_t i = 0; i < names.size(); ++i) {
      // info that Gymnasium does not give at every step is not recorded
      const std::string key = "step/info/" + names[i];
      if (golden_.Find(key) == nullptr) continue;
      Near(result.extra[i], golden_.Get<double>(key)[step], names[i] + at);
      ++infos_compared_;
    }
    const auto indices = golden_.Get<int64_t>("step/obs_index");
    const auto found = std::lower_bound(indices.begin(), indices.end(), step);
    if (found != indices.end() && *found == step) {
      Near(observation_, Row("step/obs", found - indices.begin()), "observation" + at);
      ++observations_compared_;
    }
  }

  void Replay(bool from_recorded_states) {
    const auto starts = golden_.Get<int64_t>("reset/step_index");
    const int64_t steps = static_cast<int64_t>(golden_.Get<double>("step/reward").size());
    const int64_t episodes = static_cast<int64_t>(starts.size());
    for (int64_t episode = 0; episode < episodes; ++episode) {
      mujoco_->ResetTo(Row("reset/qpos", episode), Row("reset/qvel", episode), observation_);
      Near(observation_, Row("reset/obs", episode),
           fmt::format("observation of reset {}", episode));
      const int64_t end = episode + 1 < episodes ? starts[episode + 1] : steps;
      for (int64_t step = starts[episode]; step < end && !HasFatalFailure(); ++step) {
        if (from_recorded_states && step > starts[episode]) {
          std::ranges::copy(Row("step/qpos", step - 1), mujoco_->sim().data().qpos);
          std::ranges::copy(Row("step/qvel", step - 1), mujoco_->sim().data().qvel);
        }
        Compare(step, env_->Step(Row("step/action", step), observation_));
      }
      if (HasFatalFailure()) return;
    }
    EXPECT_GT(observations_compared_, 0);
    EXPECT_GT(infos_compared_, 0);
    RecordProperty("largest_error", fmt::format("{}", largest_));
  }

  core::ArrayMap golden_;
  std::unique_ptr<Env> env_;
  MujocoEnv* mujoco_ = nullptr;
  std::vector<double> observation_;
  double largest_ = 0;
  int64_t observations_compared_ = 0, infos_compared_ = 0;
};

std::string TestName(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

TEST_P(GymGolden, FreeRunning) { Replay(false); }
TEST_P(GymGolden, OneStep) { Replay(true); }

TEST_P(GymGolden, SingleSteps) {
  const auto index = golden_.Get<int64_t>("one/step_index");
  const auto starts = golden_.Get<int64_t>("reset/step_index");
  ASSERT_GT(index.size(), 0u);
  for (size_t k = 0; k < index.size() && !HasFatalFailure(); ++k) {
    const int64_t step = index[k];
    const auto start = std::lower_bound(starts.begin(), starts.end(), step);
    const bool first = start != starts.end() && *start == step;
    const std::string before = first ? "reset" : "step";
    const int64_t row = first ? start - starts.begin() : step - 1;
    mujoco_->ResetTo(Row((before + "/qpos").c_str(), row), Row((before + "/qvel").c_str(), row),
                     observation_);
    const StepResult result = env_->Step(Row("step/action", step), observation_);
    const std::string at = fmt::format(" of step {}", step);
    const mjData& data = mujoco_->sim().data();
    Near(result.reward, golden_.Get<double>("one/reward")[k], "reward" + at);
    Near({data.qpos, Row("one/qpos", k).size()}, Row("one/qpos", k), "qpos" + at);
    Near({data.qvel, Row("one/qvel", k).size()}, Row("one/qvel", k), "qvel" + at);
    Near(observation_, Row("one/obs", k), "observation" + at);
  }
  RecordProperty("largest_error", fmt::format("{}", largest_));
}

TEST(GymGoldens, AreTheFilesThatAreRead) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(GoldensFolder() / "gym_mujoco")) {
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path().stem().string());
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(GoldenFiles()));
}

INSTANTIATE_TEST_SUITE_P(All, GymGolden, testing::ValuesIn(GoldenFiles()), TestName);

}  // namespace
}  // namespace pawl::envs
