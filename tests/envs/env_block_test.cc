#include "envs/env_block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "core/safetensors.h"
#include "env_testing.h"

namespace pawl::envs {
namespace {

// Counts steps; episodes of 3 steps that terminate, except every second, which is cut at 2. Action
// 99 asks for a NaN reward, 98 for an infinite observation. Keeps what it was given.
class ScriptedEnv : public Env {
 public:
  ScriptedEnv() {
    spec_ = {.id = "Scripted",
             .version = "1",
             .observation = {{.name = "count", .size = 1, .shape = {1}},
                             {.name = "action", .size = 1, .shape = {1}}},
             .action = {.size = 1, .low = {-100}, .high = {100}, .names = {"a"}},
             .has_success = true};
  }
  const EnvSpec& Spec() const override { return spec_; }
  void Reset(core::Philox rng, std::span<double> observation) override {
    count_ = 0;
    ++episode_;
    observation[0] = 0;
    observation[1] = rng.Uniform();
  }
  StepResult Step(std::span<const double> action, std::span<double> observation) override {
    ++count_;
    observation[0] = count_;
    observation[1] = action[0];
    StepResult result{.reward = 10.0 * count_};
    if (action[0] == 99) result.reward = NAN;
    if (action[0] == 98) observation[1] = INFINITY;
    result.success = count_ == 2;
    result.terminated = count_ == 3;
    result.truncated = count_ == 2 && episode_ % 2 == 0;
    return result;
  }
  void SaveState(core::ByteWriter& out) const override {
    out.Put(count_);
    out.Put(episode_);
  }
  void LoadState(core::ByteReader& in) override {
    in.Get(count_);
    in.Get(episode_);
  }

 private:
  EnvSpec spec_;
  int count_ = 0, episode_ = 0;
};

EnvConfig Scripted() {
  static const bool registered = [] {
    RegisterEnv(
        {.id = "Scripted",
         .summary = "test",
         .make = [](const EnvConfig&, uint64_t, int) { return std::make_unique<ScriptedEnv>(); },
         .describe_args = [] { return std::vector<core::FieldDoc>(); }});
    return true;
  }();
  (void)registered;
  return {.id = "Scripted"};
}

TEST(EnvBlock, EndedEpisodesKeepTheTrueFinalObservationBesideTheResetOne) {
  EnvBlock block(Scripted(), 5, 2, 2);
  std::vector<double> obs(4), final_obs(4, -1), actions = {1, 2};
  std::vector<StepResult> results(2);
  block.Reset(obs);
  for (int step = 1; step <= 3; ++step) {
    block.Step(actions, obs, final_obs, results);
    EXPECT_EQ(results[0].terminated, step == 3);
    if (step < 3) {
      EXPECT_EQ(obs[0], step);
      EXPECT_EQ(final_obs[0], -1) << "untouched while the episode runs";
    }
  }
  EXPECT_THAT(final_obs, testing::ElementsAre(3, 1, 3, 2));
  EXPECT_EQ(obs[0], 0);
  EXPECT_EQ(obs[1], core::Philox(5, core::Role::kEnvReset, 2, 1).Uniform());
  EXPECT_EQ(obs[3], core::Philox(5, core::Role::kEnvReset, 3, 1).Uniform());
}

TEST(EnvBlock, EpisodeRecordsAddUp) {
  EnvBlock block(Scripted(), 5, 2, 1);
  std::vector<double> obs(2), final_obs(2);
  block.Reset(obs);
  for (int step = 0; step < 6; ++step) block.StepOne(0, std::vector<double>{0}, obs, final_obs);
  const auto episodes = block.TakeEpisodes();
  ASSERT_EQ(episodes.size(), 2u);
  EXPECT_EQ(episodes[0].env_idx, 2);
  EXPECT_EQ(episodes[0].episode, 0);
  EXPECT_EQ(episodes[0].episode_return, 60);
  EXPECT_EQ(episodes[0].length, 3);
  EXPECT_TRUE(episodes[0].terminated);
  EXPECT_FALSE(episodes[0].success);
  EXPECT_TRUE(episodes[0].success_any);
  EXPECT_EQ(episodes[1].episode, 1);
  EXPECT_EQ(episodes[1].episode_return, 30);
  EXPECT_EQ(episodes[1].length, 2);
  EXPECT_FALSE(episodes[1].terminated);
  EXPECT_TRUE(episodes[1].success);
  EXPECT_EQ(block.episode(0), 2);
  EXPECT_EQ(block.episode_length(0), 1);
  EXPECT_EQ(block.episode_return(0), 10);
  EXPECT_TRUE(block.TakeEpisodes().empty());
}

TEST(EnvBlock, ActionsAreClippedToTheBoundsOnlyWhenAsked) {
  std::vector<double> obs(2), final_obs(2);
  EnvBlock clipped(Scripted(), 5, 0, 1), raw(Scripted(), 5, 0, 1, {.clip_actions = false});
  clipped.Reset(obs);
  clipped.StepOne(0, std::vector<double>{1000}, obs, final_obs);
  EXPECT_EQ(obs[1], 100);
  raw.Reset(obs);
  raw.StepOne(0, std::vector<double>{1000}, obs, final_obs);
  EXPECT_EQ(obs[1], 1000);
}

TEST(EnvBlock, BadNumbersNameTheEnvironmentAndDumpItsState) {
  const auto folder =
      std::filesystem::temp_directory_path() / fmt::format("pawl_dump_{}", getpid());
  EnvBlock block(Scripted(), 5, 40, 2, {.dump_folder = folder.string()});
  std::vector<double> obs(2), final_obs(2), both(4);
  const std::pair<double, const char*> cases[] = {{99, "reward of environment 41"},
                                                  {98, "observation action[0] of environment 41"},
                                                  {NAN, "action 0 of environment 41"}};
  for (const auto& [action, message] : cases) {
    block.Reset(both);
    try {
      block.StepOne(1, std::vector<double>{action}, obs, final_obs);
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 1);
      EXPECT_THAT(error.what(), testing::HasSubstr(message));
      EXPECT_THAT(error.what(), testing::HasSubstr("bad_env_41.safetensors"));
    }
    const auto dump = core::ReadSafetensors((folder / "bad_env_41.safetensors").string());
    EXPECT_EQ(dump.metadata().at("env_idx"), "41");
    EXPECT_EQ(dump.Get<double>("action").size(), 1u);
  }
  std::filesystem::remove_all(folder);
}

// A block cut in two, or loaded elsewhere in another cut, steps the same episodes.
TEST(EnvBlock, HowEnvironmentsAreCutIntoBlocksDoesNotMatter) {
  const EnvConfig config{.id = "CartPole-v1"};
  EnvBlock whole(config, 9, 10, 4), left(config, 9, 10, 1), right(config, 9, 11, 3);
  std::vector<double> obs(16), obs_cut(16), final_obs(16), actions(4);
  std::vector<StepResult> results(4);
  whole.Reset(obs);
  left.Reset(std::span(obs_cut).first(4));
  right.Reset(std::span(obs_cut).subspan(4));
  core::Philox rng = TestStream(0);
  for (int step = 0; step < 200; ++step) {
    for (double& action : actions) action = rng.Below(2);
    whole.Step(actions, obs, final_obs, results);
    left.StepOne(0, std::span(actions).first(1), std::span(obs_cut).first(4), final_obs);
    for (int i = 0; i < 3; ++i) {
      right.StepOne(i, std::span(actions).subspan(i + 1, 1),
                    std::span(obs_cut).subspan(4 * i + 4, 4), std::span(final_obs).first(4));
    }
    ASSERT_EQ(obs, obs_cut);
    if (step == 100) {
      // environments 12 and 13 move into a block of their own, then back
      EnvBlock moved(config, 9, 12, 2);
      for (int i = 0; i < 2; ++i) {
        core::ByteWriter out, back;
        right.SaveState(i + 1, out);
        core::ByteReader in(out.bytes());
        moved.LoadState(i, in);
        moved.SaveState(i, back);
        EXPECT_EQ(out.bytes(), back.bytes());
        core::ByteReader again(back.bytes());
        right.LoadState(i + 1, again);
      }
    }
  }
  EXPECT_FALSE(whole.episodes().empty());
}

// A task of a user's who forgot the bounds.
class Boundless : public Env {
 public:
  Boundless() {
    spec_.id = "Boundless";
    spec_.observation = {{.name = "x", .size = 1, .unit = "", .shape = {1}}};
    spec_.action = {.size = 1, .low = {}, .high = {}, .names = {"push"}};
  }
  const EnvSpec& Spec() const override { return spec_; }
  void Reset(core::Philox, std::span<double> observation) override { observation[0] = 0; }
  StepResult Step(std::span<const double>, std::span<double>) override { return {}; }
  void SaveState(core::ByteWriter&) const override {}
  void LoadState(core::ByteReader&) override {}

 private:
  EnvSpec spec_;
};

TEST(ActionBounds, ABlockRefusesAnEnvironmentWithoutThem) {
  RegisterEnv(
      {.id = "Boundless",
       .summary = "has no bounds",
       .make = [](const EnvConfig&, uint64_t, int) { return std::make_unique<Boundless>(); },
       .describe_args = [] { return std::vector<core::FieldDoc>(); }});
  EXPECT_THAT([] { EnvBlock({.id = "Boundless"}, 1, 0, 1); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("0 low and 0 high bounds")));
}

}  // namespace
}  // namespace pawl::envs
