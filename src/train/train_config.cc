#include "train/train_config.h"

#include <filesystem>

namespace pawl::train {

TrainConfig LoadTrainConfig(const std::string& path, const std::vector<std::string>& assignments) {
  return LoadTrainConfig(ReadConfigTable(path, assignments));
}

TrainConfig LoadTrainConfig(const core::Table& table) {
  TrainConfig config;
  core::LoadConfig(table, config);
  ResolvePaths(config);
  CheckTrainConfig(config);
  return config;
}

RunConfig DescribeRun(const TrainConfig& config) {
  return RunConfigOf(config, "total_steps", config.total_steps);
}

int WarmupSteps(const TrainConfig& config) {
  const auto& normalize = config.normalize;
  const bool frozen = normalize.update == nn::NormalizeUpdate::kRollout;
  if (!frozen || !(normalize.observation || normalize.reward) || !config.init_from.empty())
    return 0;
  return normalize.warmup_steps;
}

void ResolvePaths(TrainConfig& config) {
  envs::ResolvePaths(config.env);
  if (!config.init_from.empty())
    config.init_from = std::filesystem::absolute(config.init_from).lexically_normal().string();
}

void CheckTrainConfig(const TrainConfig& config) {
  CheckDevice(config.device);
  algos::CheckPpoConfig(config.ppo);
  if (config.eval.every_updates == 0 &&
      (config.eval.stop_at_success > 0 || config.eval.stop_at_return != 0)) {
    throw UserError({.what = "a goal to stop at is set, but nothing evaluates during training",
                     .where = "eval.every_updates",
                     .expected = "a number of updates above 0"});
  }
  const int64_t rows = int64_t{config.ppo.horizon} * config.env.num_envs;
  if (config.ppo.minibatch > rows) {
    throw UserError({.what = fmt::format("ppo.minibatch {} is larger than a rollout of {} rows",
                                         config.ppo.minibatch, rows),
                     .where = "ppo.minibatch",
                     .expected = "at most ppo.horizon x env.num_envs"});
  }
  // the environment's name, keywords and rig are checked by making one
  envs::MakeEnv(config.env, config.seed, 0);
}

}  // namespace pawl::train
