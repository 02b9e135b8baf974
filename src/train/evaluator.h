// Plays whole episodes with a fixed policy, in parallel, on seeds apart from training's (roles
// kEvalReset, kEvalAction keyed by the episode's index: the result does not depend on the number of
// threads). Called by the learner's thread.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "envs/registry.h"
#include "nn/policy_file.h"
#include "train/interval.h"

namespace pawl::train {

// An episode of an environment without a time limit is cut off here.
constexpr int kMaxEvaluationSteps = 10'000;

struct EpisodeOutcome {
  double episode_return = 0;
  int length = 0;
  bool success = false;      // at the last step
  bool success_any = false;  // at any step
  envs::Divergence divergence = envs::Divergence::kNone;
};

struct EvaluationRequest {
  int episodes = 100;
  int first_episode = 0;  // index of the first (keys the streams)
  bool deterministic = true;
  uint64_t seed = 1;
  int threads = 2;
  // Called after every step of episode 0 with that environment (video); then threads must be 1. May
  // be empty.
  std::function<void(const envs::Env&)> on_step;
};

struct Evaluation {
  std::vector<EpisodeOutcome> episodes;
  bool has_success = false;
  double success_rate = 0;  // last step; NaN where the environment has no success
  double success_any_rate = 0;
  Interval success_ci95;  // Wilson
  double return_mean = 0;
  Interval return_ci95;  // bootstrap
  double episode_length_mean = 0;
};

Evaluation Evaluate(const nn::Policy& policy, const EvaluationRequest& request);

// The figures of an evaluation by the names that `pawl eval --json` and summary.json give them;
// null where undefined.
nlohmann::ordered_json ToJson(const Evaluation& evaluation);

}  // namespace pawl::train
