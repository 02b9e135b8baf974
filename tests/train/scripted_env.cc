#include "scripted_env.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cmath>

#include "envs/make_entry.h"

namespace pawl::train {
namespace {

int64_t Of(const std::vector<int64_t>& list, int env_idx) { return list[env_idx % list.size()]; }

class ScriptedEnv : public envs::Env {
 public:
  ScriptedEnv(const ScriptedArgs& args, int env_idx) : args_(args), env_idx_(env_idx) {
    spec_ = {.id = "Scripted",
             .version = "1",
             .observation = {{.name = "x", .size = 2, .shape = {2}}},
             .action = {.size = 2, .low = {-1, -1}, .high = {1, 0.5}},
             .max_episode_steps = 100,
             .has_success = args.has_success};
  }
  const envs::EnvSpec& Spec() const override { return spec_; }

  void Reset(core::Philox rng, std::span<double> observation) override {
    ++state_.episodes;
    state_.length = 0;
    state_.start = rng.Uniform(-1, 1);
    state_.action = {};
    Observe(observation);
  }

  envs::StepResult Step(std::span<const double> action, std::span<double> observation) override {
    ++state_.steps;
    ++state_.length;
    state_.action = {action[0], action[1]};
    if (state_.steps == args_.kill_step && env_idx_ == args_.kill_env) KillOnce();
    Observe(observation);
    const double wave = 0.5 * std::sin(2.0 * state_.steps);
    envs::StepResult result{.reward = args_.reward_scale * (state_.start + wave + action[0] -
                                                            0.3 * action[1] + 0.1 * (env_idx_ % 7)),
                            .terminated = state_.length == Of(args_.terminate_at, env_idx_),
                            .truncated = state_.length == Of(args_.truncate_at, env_idx_),
                            .success = state_.length == args_.success_at};
    const bool end = result.terminated || result.truncated;
    if (end && args_.diverge_every > 0 && state_.episodes % args_.diverge_every == 0) {
      result = {.terminated = true, .divergence = envs::Divergence::kBadVelocity};
    }
    return result;
  }

  void SaveState(core::ByteWriter& out) const override { out.Put(state_); }
  void LoadState(core::ByteReader& in) override { in.Get(state_); }

 private:
  struct State {
    int64_t steps = 0, episodes = 0;  // ever
    int64_t length = 0;               // of this episode
    double start = 0;
    std::array<double, 2> action{};
  };

  void Observe(std::span<double> observation) const {
    const double steps = state_.steps;
    observation[0] = args_.offset + state_.start + std::sin(1.3 * steps + env_idx_);
    observation[1] = args_.offset + 5 * std::cos(0.7 * steps + 2 * env_idx_) + state_.action[0] -
                     2 * state_.action[1];
  }

  void KillOnce() const {
    const int fd = open(args_.kill_file.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) raise(SIGKILL);
  }

  ScriptedArgs args_;
  int env_idx_;
  envs::EnvSpec spec_;
  State state_;
};

EvaluationPlan plan;
std::array<std::atomic<size_t>, kPlannedEpisodes> played;  // evaluations, by planned episode

// One step an episode. Those of training give nothing.
class PlannedEnv : public envs::Env {
 public:
  PlannedEnv(bool has_success, int planned) {
    spec_ = {.id = "Planned",
             .version = "1",
             .observation = {{.name = "x", .size = 1, .shape = {1}}},
             .action = {.size = 1, .low = {-1}, .high = {1}},
             .max_episode_steps = 1,
             .has_success = has_success};
    if (planned < 0) return;
    const size_t evaluation = played[planned]++;
    reward_ = plan.returns.at(evaluation);
    success_ = planned < plan.successes.at(evaluation);
  }
  const envs::EnvSpec& Spec() const override { return spec_; }
  void Reset(core::Philox, std::span<double> observation) override { observation[0] = 0; }
  envs::StepResult Step(std::span<const double>, std::span<double> observation) override {
    observation[0] = 0;
    return {.reward = reward_, .terminated = true, .success = success_};
  }
  void SaveState(core::ByteWriter&) const override {}
  void LoadState(core::ByteReader&) override {}

 private:
  envs::EnvSpec spec_;
  double reward_ = 0;
  bool success_ = false;
};

struct PlannedArgs {
  bool has_success = true;
  template <class V>
  void Visit(V& v) {
    v.Field("has_success", has_success, {.help = "whether success means anything"});
  }
};

template <class Args>
Args Load(const envs::EnvConfig& config) {
  Args args;
  core::LoadConfig(config.args, args, "env.args");
  return args;
}

}  // namespace

void SetEvaluationPlan(EvaluationPlan new_plan) {
  plan = std::move(new_plan);
  for (auto& count : played) count = 0;
}

void RegisterTestEnvs() {
  envs::RegisterEnv(
      {.id = "Scripted",
       .summary = "a plain function of its steps",
       .make = [](const envs::EnvConfig& config, uint64_t,
                  int env_idx) -> std::unique_ptr<envs::Env> {
         return std::make_unique<ScriptedEnv>(Load<ScriptedArgs>(config), env_idx);
       },
       .describe_args = [] { return core::DescribeConfig(ScriptedArgs(), "env.args"); }});
  envs::RegisterEnv(
      {.id = "Planned",
       .summary = "evaluations as a test says",
       .make = [](const envs::EnvConfig& config, uint64_t,
                  int env_idx) -> std::unique_ptr<envs::Env> {
         return std::make_unique<PlannedEnv>(Load<PlannedArgs>(config).has_success,
                                             env_idx - config.num_envs);
       },
       .describe_args = [] { return core::DescribeConfig(PlannedArgs(), "env.args"); }});
}

}  // namespace pawl::train
