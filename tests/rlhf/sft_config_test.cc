#include "rlhf/sft_config.h"

#include <gtest/gtest.h>

#include <functional>

namespace pawl::rlhf {
namespace {

SftConfig Rates(Schedule schedule) {
  SftConfig config;
  config.learning_rate = 1;
  config.min_learning_rate = 0.1;
  config.warmup_updates = 4;
  config.schedule = schedule;
  return config;
}

TEST(LearningRate, RisesThenFallsToTheLeast) {
  for (const Schedule schedule : {Schedule::kConstant, Schedule::kLinear, Schedule::kCosine}) {
    const SftConfig config = Rates(schedule);
    for (int64_t update = 0; update < 4; ++update)
      EXPECT_DOUBLE_EQ(LearningRateAt(config, update, 24), static_cast<double>(update + 1) / 5);
    EXPECT_DOUBLE_EQ(LearningRateAt(config, 4, 24), 1);
    // half of the way both schedules are at the mean; a quarter tells them apart
    const double middle = schedule == Schedule::kConstant ? 1 : 0.55;
    EXPECT_DOUBLE_EQ(LearningRateAt(config, 14, 24), middle);
    const double end = schedule == Schedule::kConstant ? 1 : 0.1;
    EXPECT_DOUBLE_EQ(LearningRateAt(config, 24, 24), end);
    EXPECT_DOUBLE_EQ(LearningRateAt(config, 30, 24), end);
  }
  EXPECT_DOUBLE_EQ(LearningRateAt(Rates(Schedule::kLinear), 9, 24), 0.775);
  EXPECT_NEAR(LearningRateAt(Rates(Schedule::kCosine), 9, 24), 0.55 + 0.45 * std::sqrt(0.5), 1e-15);
}

TEST(LearningRate, ARunShorterThanItsWarmupOnlyRises) {
  EXPECT_DOUBLE_EQ(LearningRateAt(Rates(Schedule::kCosine), 1, 2), 0.4);
}

TEST(LearnConfig, ContradictionsAreNamed) {
  struct Bad {
    const char* part;
    std::function<void(ModelSection&, SftConfig&, LoraConfig&)> set;
  };
  const Bad table[] = {
      {"model.heads", [](auto& model, auto&, auto&) { model.heads = 3; }},
      {"model.kv_heads", [](auto& model, auto&, auto&) { model.kv_heads = 3; }},
      {"model.width: 128 -> 64",
       [](auto& model, auto&, auto&) {
         model.path = "folder";
         model.width = 64;
       }},
      {"train.min_learning_rate", [](auto&, auto& train, auto&) { train.min_learning_rate = 1; }},
      {"model.sliding_window", [](auto& model, auto&, auto&) { model.sliding_window = 8; }},
      {"lora.rank is 0", [](auto&, auto&, auto& lora) { lora.alpha = 8; }},
      {"lora.rank: 0 -> 8",
       [](auto& model, auto&, auto& lora) {
         model.path = "folder";
         lora.path = "adapter";
         lora.rank = 8;
       }},
      {"model.path", [](auto&, auto&, auto& lora) { lora.path = "adapter"; }},
      {"model.dtype",
       [](auto& model, auto&, auto& lora) {
         model.path = "folder";
         model.dtype = SavedDtype::kBfloat16;
         lora.path = "adapter";
       }},
      {"model.path", [](auto&, auto&, auto& lora) { lora.rank = 8; }},
      {"lora.target_modules",
       [](auto& model, auto&, auto& lora) {
         model.path = "folder";
         lora.rank = 8;
         lora.target_modules.clear();
       }},
  };
  EXPECT_NO_THROW(CheckLearnConfig({}, {}, {}));
  for (const Bad& bad : table) {
    ModelSection model;
    SftConfig train;
    LoraConfig lora;
    bad.set(model, train, lora);
    try {
      CheckLearnConfig(model, train, lora);
      ADD_FAILURE() << bad.part;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(bad.part), std::string::npos) << error.what();
      EXPECT_EQ(error.exit_code(), 2);
    }
  }
}

}  // namespace
}  // namespace pawl::rlhf
