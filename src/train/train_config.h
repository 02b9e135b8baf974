// The config of stage "ppo": one struct per section, each beside the code it drives; this file
// adds the sections of the loop itself. Read once at start, checked whole before any work, saved
// resolved in the run folder.
#pragma once
#include <string>

#include "algos/ppo.h"
#include "core/config.h"
#include "envs/registry.h"
#include "nn/normalizer.h"
#include "nn/policy_config.h"
#include "train/run_config.h"

namespace pawl::train {

enum class ActorKind : uint8_t { kThread, kProcess };

struct ActorConfig {
  ActorKind kind = ActorKind::kThread;
  int count = 0;
  int block = 4;
  double deadline_s = 60;
  template <class V>
  void Visit(V& v) {
    v.Field(
        "kind", kind,
        {.help = "actors are threads of this process, or processes it supervises; same results"});
    v.Field("count", count,
            {.help = "threads or processes; 0 = one per core; same results for any number",
             .min = 0,
             .max = 1024});
    v.Field("block", block, {.help = "environments per inference batch", .min = 1, .max = 1024});
    v.Field("deadline_s", deadline_s,
            {.help = "an actor process that answers no request within this time is replaced",
             .min = 0.01,
             .unit = "s"});
  }
};

struct SimConfig {
  double max_divergence_rate = 0.01;
  template <class V>
  void Visit(V& v) {
    v.Field("max_divergence_rate", max_divergence_rate,
            {.help = "share of episodes that may end by a diverged simulation before the run stops",
             .min = 0,
             .max = 1});
  }
};

struct EvalConfig {
  int every_updates = 0;
  int episodes = 20;
  int final_episodes = 100;
  bool deterministic = true;
  double stop_at_success = 0;
  double stop_at_return = 0;
  bool video = true;
  template <class V>
  void Visit(V& v) {
    v.Field("every_updates", every_updates,
            {.help = "updates between evaluations; 0 = only at the end", .min = 0});
    v.Field("episodes", episodes,
            {.help = "episodes of each evaluation during training", .min = 1});
    v.Field("final_episodes", final_episodes,
            {.help = "episodes of the evaluation at the end; 0 = none", .min = 0});
    v.Field("deterministic", deterministic,
            {.help = "evaluate the policy's mode instead of sampling"});
    v.Field("stop_at_success", stop_at_success,
            {.help = "end the run when an evaluation reaches this success rate; 0 = never",
             .min = 0,
             .max = 1});
    v.Field("stop_at_return", stop_at_return,
            {.help = "end the run when an evaluation reaches this return; 0 = never"});
    v.Field("video", video,
            {.help = "record a video of the final policy where the environment can be rendered"});
  }
};

struct TrainConfig {
  Stage stage = Stage::kPpo;
  uint64_t seed = 1;
  int64_t total_steps = 1'000'000;
  std::string device = "cpu";
  std::string init_from;
  envs::EnvConfig env;
  nn::PolicyConfig policy;
  algos::PpoConfig ppo;
  nn::NormalizeConfig normalize;
  ActorConfig actors;
  SimConfig sim;
  CheckpointConfig checkpoint;
  EvalConfig eval;
  template <class V>
  void Visit(V& v) {
    v.Field("stage", stage, {.help = "what the run does; this table is for ppo"});
    v.Field("seed", seed, {.help = "seed of every random stream of the run"});
    v.Field("total_steps", total_steps,
            {.help = "environment steps to train for", .min = 1, .unit = "env steps"});
    v.Field("device", device, {.help = "where the learner runs: cpu or cuda"});
    v.Field("init_from", init_from,
            {.help = "checkpoint whose weights and normaliser the run starts from; empty = fresh"});
    v.Section("env", env, "the environment");
    v.Section("policy", policy, "the actor-critic network");
    v.Section("ppo", ppo, "proximal policy optimisation");
    v.Section("normalize", normalize, "running normalisation of observations and rewards");
    v.Section("actors", actors, "who steps the environments");
    v.Section("sim", sim, "simulation health");
    v.Section("checkpoint", checkpoint, "when the run is saved");
    v.Section("eval", eval, "evaluation");
  }
};

// Reads FILE, applies the --set assignments, resolves paths, checks every key and range and what
// the sections demand of each other.
TrainConfig LoadTrainConfig(const std::string& path, const std::vector<std::string>& assignments);
TrainConfig LoadTrainConfig(const core::Table& table);
// The same checks on a config already in memory.
void CheckTrainConfig(const TrainConfig& config);
// Steps of every environment that only warm the normaliser up, before the first update; they count
// as environment steps.
int WarmupSteps(const TrainConfig& config);
// Makes the user's own files absolute: env.rig, env.args.xml_file, init_from.
void ResolvePaths(TrainConfig& config);
RunConfig DescribeRun(const TrainConfig& config);

}  // namespace pawl::train

template <>
struct pawl::core::EnumNames<pawl::train::ActorKind> {
  static constexpr std::pair<const char*, pawl::train::ActorKind> kTable[] = {
      {"thread", pawl::train::ActorKind::kThread}, {"process", pawl::train::ActorKind::kProcess}};
};
