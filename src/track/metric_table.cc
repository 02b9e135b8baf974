#include "track/metric_table.h"

#include <unordered_map>

namespace pawl::track {
namespace {
constexpr MetricInfo kTable[] = {
    {"time_s", "Wall time", "s", "time/time_elapsed"},
    {"env_steps", "Environment steps", "steps", "time/total_timesteps"},
    {"updates", "Updates", "", "time/iterations"},
    {"gradient_steps", "Gradient steps", "", "train/gradient_steps"},
    {"epochs", "Epochs", "", "train/n_updates"},
    {"steps_per_s", "Throughput", "steps/s", "time/fps"},
    {"tokens", "Tokens", "tokens", "time/tokens"},
    {"tokens_per_s", "Throughput", "tokens/s", "time/tokens_per_s"},
    {"mfu", "FLOP utilisation", "", "time/mfu"},
    {"episodes", "Episodes", "", "rollout/episodes"},
    {"episode_return", "Return", "", "rollout/ep_rew_mean"},
    {"episode_length", "Episode length", "steps", "rollout/ep_len_mean"},
    {"success_rate", "Success rate", "", "rollout/success_rate"},
    {"diverged_episodes", "Diverged episodes", "", "rollout/diverged_episodes"},
    {"approx_kl", "KL divergence", "nats", "train/approx_kl"},
    {"clip_fraction", "Clip fraction", "", "train/clip_fraction"},
    {"clip_range", "Clip range", "", "train/clip_range"},
    {"explained_variance", "Explained variance", "", "train/explained_variance"},
    {"policy_loss", "Policy loss", "", "train/policy_gradient_loss"},
    {"value_loss", "Value loss", "", "train/value_loss"},
    {"loss", "Loss", "", "train/loss"},
    {"perplexity", "Perplexity", "", "train/perplexity"},
    {"truncated_sequences", "Sequences cut to the context", "", "train/truncated_sequences"},
    {"dropped_sequences", "Sequences left out by a limit", "", "train/dropped_sequences"},
    {"entropy", "Entropy", "nats", "train/entropy_loss", -1},
    {"learning_rate", "Learning rate", "", "train/learning_rate"},
    {"policy_std", "Policy standard deviation", "", "train/std"},
    {"grad_norm", "Gradient norm", "", "train/grad_norm"},
    {"first_minibatch_max_log_ratio", "Log-ratio before the first step", "nats",
     "train/first_minibatch_max_log_ratio"},
    {"physics_s", "Physics", "s", "time/physics_s"},
    {"observation_s", "Observation", "s", "time/observation_s"},
    {"inference_s", "Inference", "s", "time/inference_s"},
    {"learning_s", "Learning", "s", "time/learning_s"},
    {"transport_s", "Transport", "s", "time/transport_s"},
    {"other_s", "Other", "s", "time/other_s"},
    {"eval_loss", "Evaluation loss", "nats", "eval/loss"},
    {"eval_perplexity", "Evaluation perplexity", "", "eval/perplexity"},
    {"eval_return", "Evaluation return", "", "eval/mean_reward"},
    {"eval_return_low", "Evaluation return, low end", "", "eval/mean_reward_low"},
    {"eval_return_high", "Evaluation return, high end", "", "eval/mean_reward_high"},
    {"eval_success_rate", "Evaluation success rate", "", "eval/success_rate"},
    {"eval_success_low", "Evaluation success rate, low end", "", "eval/success_rate_low"},
    {"eval_success_high", "Evaluation success rate, high end", "", "eval/success_rate_high"},
};
}  // namespace

std::span<const MetricInfo> MetricTable() { return kTable; }

const MetricInfo* FindMetric(std::string_view name) {
  static const auto* const kByName = [] {
    auto* by_name = new std::unordered_map<std::string_view, const MetricInfo*>;
    for (const MetricInfo& info : kTable) by_name->emplace(info.name, &info);
    return by_name;
  }();
  const auto found = kByName->find(name);
  return found == kByName->end() ? nullptr : found->second;
}

std::string TensorboardTag(std::string_view name) {
  const MetricInfo* info = FindMetric(name);
  return info != nullptr ? info->tag : "pawl/" + std::string(name);
}

}  // namespace pawl::track
