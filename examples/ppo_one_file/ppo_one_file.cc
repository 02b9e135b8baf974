// PPO in one file, from Pawl's parts: trains CartPole-v1 on one core and prints the return as it
// goes. `pawl train` is this loop with normalisation, parallel actors, a fused update, checkpoints
// and evaluation.
//
//   ppo_one_file [ENV_STEPS] [SEED]
#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "algos/ppo_loss.h"
#include "core/error.h"
#include "envs/vec_env.h"
#include "nn/actor_critic.h"
#include "nn/policy_config.h"
#include "nn/policy_runner.h"
#include "rollout/advantage.h"

namespace {
using namespace pawl;
using torch::Tensor;

struct Settings {
  int64_t total_steps = 100'000;  // env steps
  uint64_t seed = 1;
  int num_envs = 8, horizon = 32;                 // B, T: a rollout is T steps of B environments
  int epochs = 10, minibatch = 256;               // passes over a rollout; rows of a gradient step
  double learning_rate = 1e-3, clip_range = 0.2;  // both fall linearly to 0
  double gamma = 0.98, gae_lambda = 0.8;
  double value_coef = 0.5, max_grad_norm = 0.5;
};

// The environments with the arrays that they write to, row i by environment i.
struct Actor {
  Actor(const envs::EnvConfig& env, const nn::PolicyConfig& policy, uint64_t seed)
      : seed(seed),
        envs(env, seed, {.num_threads = 1}),
        shape(nn::MakeShape(policy, envs.Spec())),
        runner(shape, env.num_envs) {
    const int64_t B = env.num_envs;
    raw_observation = torch::empty({B, shape.obs}, torch::kDouble);
    raw_final_observation = torch::empty({B, shape.obs}, torch::kDouble);
    results.resize(B);
    auto span = [](Tensor& x) { return std::span(x.data_ptr<double>(), size_t(x.numel())); };
    envs.Reset({span(raw_observation), span(raw_final_observation), results});
  }
  uint64_t seed;
  envs::VecEnv envs;
  kernels::MlpShape shape;                        // O inputs, A outputs of the policy
  nn::PolicyRunner runner;                        // forward pass of flat weights, without LibTorch
  Tensor raw_observation, raw_final_observation;  // [B, O] double
  std::vector<envs::StepResult> results;          // [B]
  int64_t step = 0;                               // that each environment has taken
};

// A = numbers of an action (1, the index, where it is discrete).
struct Rollout {
  Tensor observation;     // [T, B, O]
  Tensor action;          // [T, B, A]
  Tensor log_prob;        // [T, B] nats, of the policy that acted
  rollout::GaeInput gae;  // rewards, values and ends of episodes, [T, B] each
};

// T steps of every environment; an episode that ends begins anew within the step.
Rollout Collect(Actor& actor, std::span<const float> weights, const Settings& s) {
  const int T = s.horizon, B = s.num_envs, O = actor.shape.obs, choices = actor.shape.act;
  const int A = actor.envs.Spec().action.size;
  const auto numbers = torch::zeros({T, B}), flags = torch::zeros({T, B}, torch::kByte);
  Rollout r{torch::empty({T, B, O}), torch::empty({T, B, A}), torch::empty({T, B})};
  r.gae = {.reward = numbers.clone(),
           .value = numbers.clone(),
           .final_value = numbers.clone(),
           .last_value = torch::empty({B}),
           .terminated = flags.clone(),
           .truncated = flags.clone(),
           .gamma = s.gamma,
           .lambda = s.gae_lambda};
  Tensor head = torch::empty({B, choices}), noise = torch::empty({B, choices});
  auto forward = [&](const Tensor& obs, Tensor value) {  // [B, O] -> head [B, choices], value [B]
    actor.runner.Forward(weights, obs.data_ptr<float>(), B, head.data_ptr<float>(),
                         value.data_ptr<float>());
  };
  for (int t = 0; t < T; ++t, ++actor.step) {
    r.observation[t].copy_(actor.raw_observation);
    forward(r.observation[t], r.gae.value[t]);
    // keyed by environment and step: the same numbers however the work is split
    for (int i = 0; i < B; ++i) {
      core::Philox rng(actor.seed, core::Role::kAction, i, actor.step);
      nn::FillActionNoise(actor.shape.head, rng,
                          {noise.data_ptr<float>() + i * choices, size_t(choices)});
    }
    auto* action = r.action[t].data_ptr<float>();
    kernels::SampleActions(actor.shape.head, choices, head.data_ptr<float>(),
                           actor.runner.LogStd(weights), noise.data_ptr<float>(), B, action,
                           r.log_prob[t].data_ptr<float>());
    actor.envs.Step(std::vector<double>(action, action + B * A));  // clips to the bounds
    bool any_truncated = false;
    for (int i = 0; i < B; ++i) {
      const envs::StepResult& result = actor.results[i];
      r.gae.reward.data_ptr<float>()[t * B + i] = static_cast<float>(result.reward);
      r.gae.terminated.data_ptr<uint8_t>()[t * B + i] = result.terminated;
      r.gae.truncated.data_ptr<uint8_t>()[t * B + i] = result.truncated;
      any_truncated |= result.truncated;
    }
    // a time limit does not end the task: what would have come after is worth V of the episode's
    // true last observation (raw_observation holds the next episode's first by now)
    if (any_truncated) {
      forward(actor.raw_final_observation.to(torch::kFloat), r.gae.final_value[t]);
    }
  }
  forward(actor.raw_observation.to(torch::kFloat), r.gae.last_value);
  return r;
}

// Passes of minibatch steps over the rollout. left: share of the run to come, 1 to 0. Returns
// KL(old || new) of the last minibatch, nats: how far the policy moved.
double Learn(const Settings& s, const Rollout& r, const nn::ActorCritic& model,
             torch::optim::Adam& adam, int64_t update, double left) {
  const rollout::Advantages gae = rollout::Gae(r.gae);
  // time and environments become rows, N = T B
  const Tensor obs = r.observation.flatten(0, 1), action = r.action.flatten(0, 1);
  const Tensor old_log_prob = r.log_prob.flatten(), old_value = r.gae.value.flatten();
  const Tensor advantage = gae.advantage.flatten(), returns = gae.returns.flatten();
  adam.param_groups()[0].options().set_lr(s.learning_rate * left);
  const double clip = s.clip_range * left;
  double kl_nats = 0;
  std::vector<int64_t> order(obs.size(0));
  for (int epoch = 0; epoch < s.epochs; ++epoch) {
    // Fisher-Yates with this epoch's own stream
    std::iota(order.begin(), order.end(), 0);
    core::Philox rng(s.seed, core::Role::kShuffle, epoch, update);
    for (uint32_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
    for (const Tensor& rows : torch::tensor(order).split(s.minibatch)) {
      auto pick = [&](const Tensor& x) { return x.index_select(0, rows); };
      const auto [distribution, value] = model.Forward(pick(obs));
      const Tensor log_prob = distribution.LogProb(pick(action)), old = pick(old_log_prob);
      const Tensor policy_loss = algos::ClippedSurrogate(
          log_prob, old, algos::NormalizeAdvantage(pick(advantage)), clip, clip);
      const Tensor value_loss = algos::ValueLoss(value, pick(returns), pick(old_value), /*clip=*/0);
      adam.zero_grad();
      (policy_loss + s.value_coef * value_loss).backward();
      torch::nn::utils::clip_grad_norm_(adam.param_groups()[0].params(), s.max_grad_norm);
      adam.step();
      kl_nats = algos::ApproxKl((log_prob - old).detach(), algos::KlEstimator::kK3).item<double>();
    }
  }
  return kl_nats;
}

void Train(const Settings& s) {
  const envs::EnvConfig env{.id = "CartPole-v1", .num_envs = s.num_envs};
  const nn::PolicyConfig policy;  // two hidden layers of 64, tanh
  Actor actor(env, policy, s.seed);
  // the weights twice: one flat buffer for acting, named tensors with gradients for learning
  auto weights = nn::InitialWeights(policy, actor.shape, s.seed);
  nn::ActorCritic model(actor.shape, weights.span(), torch::kCPU);
  std::vector<Tensor> parameters;
  for (auto& [name, tensor] : model.parameters()) parameters.push_back(tensor);
  torch::optim::Adam adam(parameters, torch::optim::AdamOptions(s.learning_rate).eps(1e-5));

  std::vector<double> returns;  // of the episodes that ended since the last line
  for (int64_t steps = 0, update = 0; steps < s.total_steps; ++update) {
    const Rollout rollout = Collect(actor, weights.span(), s);
    const double left = 1 - double(steps) / double(s.total_steps);
    const double kl_nats = Learn(s, rollout, model, adam, update, left);
    nn::TensorsToFlat(model.layout(), model.parameters(), weights.span());  // publish
    steps += int64_t{s.num_envs} * s.horizon;

    for (const auto& e : actor.envs.TakeEpisodes()) returns.push_back(e.episode_return);
    const bool last = steps >= s.total_steps;
    if (returns.empty() || (update % 40 != 39 && !last)) continue;
    std::printf("%7lld steps   return %6.1f   kl %.4f\n", static_cast<long long>(steps),
                std::accumulate(returns.begin(), returns.end(), 0.0) / double(returns.size()),
                kl_nats);
    std::fflush(stdout);
    returns.clear();
  }
}
}  // namespace

int main(int argc, char** argv) {
  at::set_num_threads(1);  // 256 rows are too few to share
  Settings settings;
  if (argc > 1) settings.total_steps = std::strtoll(argv[1], nullptr, 10);
  if (argc > 2) settings.seed = std::strtoull(argv[2], nullptr, 10);
  try {
    Train(settings);
  } catch (const pawl::Error& error) {
    std::fprintf(stderr, "ppo_one_file: %s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
