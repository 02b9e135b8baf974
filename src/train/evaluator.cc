#include "train/evaluator.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/thread_pool.h"
#include "envs/action_map.h"
#include "nn/policy_runner.h"

namespace pawl::train {
namespace {

// What one thread needs to play episodes.
class Player {
 public:
  Player(const nn::Policy& policy, const EvaluationRequest& request)
      : policy_(policy),
        request_(request),
        runner_(policy.shape, 1),
        map_(policy.spec.action, policy.shape.head == kernels::PolicyHead::kSquashedGaussian) {
    const int obs = policy.shape.obs, act = policy.shape.act;
    raw_.resize(obs);
    obs_.resize(obs);
    head_.resize(act);
    noise_.resize(act);
    action_.resize(act);
    env_action_.resize(policy.spec.action.size);
  }

  EpisodeOutcome Play(int episode) {
    // a new object per episode: model randomisation is keyed by the index, too
    const auto env = envs::MakeEnv(policy_.env, request_.seed, episode);
    env->Reset(core::Philox(request_.seed, core::Role::kEvalReset, episode, 0), raw_);
    EpisodeOutcome outcome;
    for (;;) {
      Act(episode, outcome.length);
      const envs::StepResult result = env->Step(env_action_, raw_);
      outcome.episode_return += result.reward;
      ++outcome.length;
      outcome.success = result.success;
      outcome.success_any |= result.success;
      outcome.divergence = result.divergence;
      if (request_.on_step && episode == request_.first_episode) request_.on_step(*env);
      const bool cut = policy_.spec.max_episode_steps == 0 && outcome.length == kMaxEvaluationSteps;
      if (result.terminated || result.truncated || cut) return outcome;
    }
  }

 private:
  void Act(int episode, int step) {
    policy_.normalizer.Observation(raw_.data(), 1, obs_.data());
    float value = 0, log_prob = 0;
    runner_.Forward(policy_.weights.span(), obs_.data(), 1, head_.data(), &value);
    const auto head = policy_.shape.head;
    if (!request_.deterministic) {
      core::Philox rng(request_.seed, core::Role::kEvalAction, episode, step);
      nn::FillActionNoise(head, rng, noise_);
    }
    kernels::SampleActions(
        head, policy_.shape.act, head_.data(), runner_.LogStd(policy_.weights.span()),
        request_.deterministic ? nullptr : noise_.data(), 1, action_.data(), &log_prob);
    map_.ToEnv(action_.data(), env_action_.data());
  }

  const nn::Policy& policy_;
  const EvaluationRequest& request_;
  nn::PolicyRunner runner_;
  envs::ActionMap map_;
  std::vector<double> raw_, env_action_;
  std::vector<float> obs_, head_, noise_, action_;
};

}  // namespace

Evaluation Evaluate(const nn::Policy& policy, const EvaluationRequest& request) {
  Evaluation result;
  result.episodes.resize(request.episodes);
  core::ThreadPool pool(std::min(request.threads, request.episodes));
  pool.Run(request.episodes, [&](int i) {
    Player player(policy, request);
    result.episodes[i] = player.Play(request.first_episode + i);
  });
  std::vector<double> returns, lengths;
  int successes = 0, any = 0;
  for (const auto& episode : result.episodes) {
    returns.push_back(episode.episode_return);
    lengths.push_back(episode.length);
    successes += episode.success;
    any += episode.success_any;
  }
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  result.has_success = policy.spec.has_success;
  result.success_rate = result.has_success ? double(successes) / request.episodes : kNaN;
  result.success_any_rate = result.has_success ? double(any) / request.episodes : kNaN;
  result.success_ci95 = WilsonInterval(successes, request.episodes);
  result.return_mean = Mean(returns);
  result.return_ci95 = BootstrapMeanInterval(returns);
  result.episode_length_mean = Mean(lengths);
  return result;
}

nlohmann::ordered_json ToJson(const Evaluation& e) {
  // NaN and infinity become null when printed
  const auto interval = [](const Interval& i) { return nlohmann::ordered_json{i.low, i.high}; };
  return {{"episodes", e.episodes.size()},
          {"success_rate", e.success_rate},
          {"success_ci95", e.has_success ? interval(e.success_ci95) : nullptr},
          {"return_mean", e.return_mean},
          {"return_ci95", interval(e.return_ci95)},
          {"episode_length_mean", e.episode_length_mean},
          {"success_any_rate", e.success_any_rate}};
}

}  // namespace pawl::train
