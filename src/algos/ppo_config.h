// The settings of PPO, section [ppo] of a run's config; docs/ppo.md gives the source of each
// default. Defaults are those of Stable-Baselines3.
#pragma once
#include <cstdint>

#include "core/config.h"

namespace pawl::algos {

enum class LearningRateSchedule : uint8_t { kLinear, kAdaptiveKl };
enum class AdvantageNormalization : uint8_t { kMinibatch, kBatch, kNone };
enum class UpdatePath : uint8_t { kAuto, kFused, kTorch };

struct PpoConfig {
  int horizon = 2048;
  int epochs = 10;
  int minibatch = 64;
  double learning_rate = 3e-4;
  double learning_rate_final = -1;
  LearningRateSchedule schedule = LearningRateSchedule::kLinear;
  double desired_kl = 0.01;
  double gamma = 0.99;
  double gae_lambda = 0.95;
  double clip_range = 0.2;
  double clip_range_final = -1;
  double clip_range_value = 0;
  double entropy_coef = 0;
  double value_coef = 0.5;
  double max_grad_norm = 0.5;
  double target_kl = 0;
  AdvantageNormalization normalize_advantage = AdvantageNormalization::kMinibatch;
  bool recompute_advantages = false;
  double adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-5;
  UpdatePath update_path = UpdatePath::kAuto;
  int update_threads = 0;
  template <class V>
  void Visit(V& v) {
    v.Field("horizon", horizon,
            {.help = "steps of each environment per update", .min = 1, .max = 1e6});
    v.Field("epochs", epochs, {.help = "passes over each rollout", .min = 1, .max = 1000});
    v.Field("minibatch", minibatch,
            {.help = "rows of a gradient step; the last one of an epoch may be shorter", .min = 1});
    v.Field("learning_rate", learning_rate,
            {.help = "Adam's step size at the start", .min = 0, .max = 1e30});
    v.Field("learning_rate_final", learning_rate_final,
            {.help = "step size at the end of the run, reached linearly; below 0: constant",
             .min = -1,
             .max = 1e30});
    v.Field("schedule", schedule,
            {.help = "linear, or adaptive_kl: after an epoch whose mean KL is above 2 x desired_kl "
                     "the rate is divided by 1.5, below half of it multiplied by 1.5, within 1e-5 "
                     "and 1e-2"});
    v.Field("desired_kl", desired_kl, {.help = "for adaptive_kl", .min = 1e-9, .unit = "nats"});
    v.Field("gamma", gamma, {.help = "discount factor", .min = 0, .max = 1});
    v.Field("gae_lambda", gae_lambda,
            {.help = "lambda of generalised advantage estimation", .min = 0, .max = 1});
    v.Field("clip_range", clip_range, {.help = "clip of the probability ratio", .min = 0});
    v.Field("clip_range_final", clip_range_final,
            {.help = "clip at the end of the run, reached linearly; below 0: constant", .min = -1});
    v.Field("clip_range_value", clip_range_value,
            {.help = "clip of the value's change, in units of scaled returns; 0 = off", .min = 0});
    v.Field("entropy_coef", entropy_coef, {.help = "weight of the entropy bonus"});
    v.Field("value_coef", value_coef,
            {.help = "weight of the value's mean squared error", .min = 0});
    v.Field("max_grad_norm", max_grad_norm,
            {.help = "bound of the gradient's norm over all parameters; 0 = none", .min = 0});
    v.Field("target_kl", target_kl,
            {.help = "a minibatch whose KL passes 1.5 x this ends the update before its step; "
                     "0 = never",
             .min = 0,
             .unit = "nats"});
    v.Field("normalize_advantage", normalize_advantage,
            {.help = "over each minibatch, over the whole rollout, or not"});
    v.Field("recompute_advantages", recompute_advantages,
            {.help = "values and advantages anew before each epoch but the first"});
    v.Field("adam_beta1", adam_beta1,
            {.help = "Adam's decay of the mean", .min = 0, .max = 0.999999});
    v.Field("adam_beta2", adam_beta2,
            {.help = "Adam's decay of the square", .min = 0, .max = 0.999999});
    v.Field("adam_epsilon", adam_epsilon, {.help = "Adam's epsilon", .min = 1e-12});
    v.Field("update_path", update_path,
            {.help = "fused CPU kernel, LibTorch, or the fused one wherever it serves (auto)"});
    v.Field("update_threads", update_threads,
            {.help = "threads of the fused kernel, 0 = two where there are two cores; same bits "
                     "for any number",
             .min = 0,
             .max = 2});
  }
};

// Throws UserError for settings that contradict each other.
void CheckPpoConfig(const PpoConfig& config);

}  // namespace pawl::algos

template <>
struct pawl::core::EnumNames<pawl::algos::LearningRateSchedule> {
  static constexpr std::pair<const char*, pawl::algos::LearningRateSchedule> kTable[] = {
      {"linear", pawl::algos::LearningRateSchedule::kLinear},
      {"adaptive_kl", pawl::algos::LearningRateSchedule::kAdaptiveKl}};
};
template <>
struct pawl::core::EnumNames<pawl::algos::AdvantageNormalization> {
  static constexpr std::pair<const char*, pawl::algos::AdvantageNormalization> kTable[] = {
      {"minibatch", pawl::algos::AdvantageNormalization::kMinibatch},
      {"batch", pawl::algos::AdvantageNormalization::kBatch},
      {"none", pawl::algos::AdvantageNormalization::kNone}};
};
template <>
struct pawl::core::EnumNames<pawl::algos::UpdatePath> {
  static constexpr std::pair<const char*, pawl::algos::UpdatePath> kTable[] = {
      {"auto", pawl::algos::UpdatePath::kAuto},
      {"fused", pawl::algos::UpdatePath::kFused},
      {"torch", pawl::algos::UpdatePath::kTorch}};
};
