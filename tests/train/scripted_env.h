// Environments for the tests of this folder, registered in main, so that actor processes know them,
// too. "Scripted": everything it shows is a plain function of its index, the steps it took, the
// last action and its reset stream. "Planned": each evaluation of a run comes out as a test says.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"

namespace pawl::train {

// Keywords of "Scripted". Lists are indexed by environment, modulo their length; 0 is never.
struct ScriptedArgs {
  std::vector<int64_t> terminate_at = {0};  // step of an episode
  std::vector<int64_t> truncate_at = {10};
  int64_t diverge_every = 0;  // episodes of an environment
  int64_t success_at = 0;     // step of an episode
  bool has_success = false;
  double offset = 0;        // added to observations
  double reward_scale = 1;  // of rewards
  std::string kill_file;    // where it does not exist yet, it is made and the process killed ...
  int64_t kill_env = 0;     // ... by this environment
  int64_t kill_step = 0;    // ... at this step of its life
  template <class V>
  void Visit(V& v) {
    v.Field("terminate_at", terminate_at, {.help = "step that terminates"});
    v.Field("truncate_at", truncate_at, {.help = "step that truncates"});
    v.Field("diverge_every", diverge_every, {.help = "episodes"});
    v.Field("success_at", success_at, {.help = "step that succeeds"});
    v.Field("has_success", has_success, {.help = "whether success means anything"});
    v.Field("offset", offset, {.help = "added to observations"});
    v.Field("reward_scale", reward_scale, {.help = "of rewards"});
    v.Field("kill_file", kill_file, {.help = "made by the one kill"});
    v.Field("kill_env", kill_env, {.help = "environment that kills"});
    v.Field("kill_step", kill_step, {.help = "step that kills"});
  }
};

// What the evaluations of the runs that follow give, first to last. An evaluation of "Planned" must
// play kPlannedEpisodes more episodes than the run has environments: these are the planned ones.
constexpr int kPlannedEpisodes = 4;
struct EvaluationPlan {
  std::vector<int> successes;   // of the planned episodes
  std::vector<double> returns;  // of each planned episode
};
void SetEvaluationPlan(EvaluationPlan plan);

void RegisterTestEnvs();

}  // namespace pawl::train
