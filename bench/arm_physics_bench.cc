// The physics and inverse kinematics of an arm task alone: replays what policies did, without
// observation, reward, network or synchronisation. One JSON object per checkpoint.
//   arm_physics_bench CHECKPOINT... [--envs N] [--threads T] [--steps S] [--repeats R]
// Each checkpoint's policy acts with its noise, as in training, in N environments for S steps; the
// replay must end in the same positions to the last bit. Its rate is the limit of a training run's.
#include <mujoco/mujoco.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <barrier>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/clock.h"
#include "core/error.h"
#include "envs/action_map.h"
#include "envs/arm_env.h"
#include "nn/policy_file.h"
#include "nn/policy_runner.h"
#include "train/run_folder.h"

namespace pawl {
namespace {

struct Options {
  int envs = 32, threads = 2, steps = 300, repeats = 3;
};

// What happened in one environment.
struct Recording {
  struct Start {
    int step = 0;
    std::vector<double> state;  // mjSTATE_INTEGRATION right after the reset
  };
  std::vector<Start> starts;
  std::vector<double> actions;     // [steps, A]
  std::vector<double> final_qpos;  // before the reset, where the last step ended an episode
};

Recording Record(const nn::Policy& policy, int env_idx, int steps) {
  const auto env = envs::MakeEnv(policy.env, /*seed=*/1, env_idx);
  auto& arm = dynamic_cast<envs::ArmEnv&>(*env);
  const mjModel& m = arm.sim().model();
  const int act = policy.shape.act;
  nn::PolicyRunner runner(policy.shape, 1);
  const envs::ActionMap map(policy.spec.action,
                            policy.shape.head == kernels::PolicyHead::kSquashedGaussian);
  std::vector<double> raw(policy.shape.obs), action(act);
  std::vector<float> obs(policy.shape.obs), head(act), noise(act), sample(act);
  Recording out;
  int episode = 0;
  const auto reset = [&](int step) {
    env->Reset(core::Philox(1, core::Role::kTest, env_idx, episode++), raw);
    auto& start = out.starts.emplace_back();
    start.step = step;
    start.state.resize(mj_stateSize(&m, mjSTATE_INTEGRATION));
    mj_getState(&m, &arm.sim().data(), start.state.data(), mjSTATE_INTEGRATION);
  };
  reset(0);
  for (int step = 0; step < steps; ++step) {
    policy.normalizer.Observation(raw.data(), 1, obs.data());
    float value = 0, log_prob = 0;
    runner.Forward(policy.weights.span(), obs.data(), 1, head.data(), &value);
    core::Philox rng(2, core::Role::kTest, env_idx, step);
    nn::FillActionNoise(policy.shape.head, rng, noise);
    kernels::SampleActions(policy.shape.head, act, head.data(),
                           runner.LogStd(policy.weights.span()), noise.data(), 1, sample.data(),
                           &log_prob);
    map.ToEnv(sample.data(), action.data());
    out.actions.insert(out.actions.end(), action.begin(), action.end());
    const auto result = env->Step(action, raw);
    PAWL_CHECK(result.divergence == envs::Divergence::kNone, "the simulation diverged");
    out.final_qpos.assign(arm.sim().data().qpos, arm.sim().data().qpos + m.nq);
    if ((result.terminated || result.truncated) && step + 1 < steps) reset(step + 1);
  }
  return out;
}

// ArmEnv::Step without what follows the physics.
void Replay(const Recording& recording, const std::shared_ptr<const envs::ArmModel>& arm,
            envs::MujocoSim& sim, envs::ArmControl& control, int steps) {
  const mjModel& m = sim.model();
  mjData& d = sim.data();
  const int act = control.action_size(), targets_every = std::max(1, arm->substeps / 2);
  for (int step = 0; step < steps; ++step) {
    const auto start = std::find_if(recording.starts.begin(), recording.starts.end(),
                                    [&](const auto& s) { return s.step == step; });
    if (start != recording.starts.end()) {
      sim.Reset();
      mj_setState(&m, &d, start->state.data(), mjSTATE_INTEGRATION);
      mj_step1(&m, &d);
      control.Reset(true, d);
      mj_setState(&m, &d, start->state.data(), mjSTATE_INTEGRATION);  // the gripper's own target
    }
    control.Act(
        {recording.actions.data() + static_cast<size_t>(step) * act, static_cast<size_t>(act)}, d);
    for (int i = 0; i < arm->substeps; ++i) {
      if (i % targets_every == 0) control.WriteTargets(d);
      mj_step2(&m, &d);
      mj_step1(&m, &d);
    }
  }
}

// Control steps per second on all threads.
double Rate(const nn::Policy& policy, const std::vector<Recording>& recordings, const Options& o) {
  const auto env = envs::MakeEnv(policy.env, 1, 0);
  const auto& first = dynamic_cast<const envs::ArmEnv&>(*env);
  const auto arm = first.shared_arm();
  std::vector<std::unique_ptr<envs::MujocoSim>> sims;
  std::vector<envs::ArmControl> controls;
  for (int i = 0; i < o.envs; ++i) {
    sims.push_back(std::make_unique<envs::MujocoSim>(arm->model));
    controls.push_back(first.control());
  }
  double began = 0;
  std::barrier sync(o.threads, [&began]() noexcept { began = core::MonotonicSeconds(); });
  std::vector<std::thread> threads;
  for (int t = 0; t < o.threads; ++t) {
    threads.emplace_back([&, t] {
      const int begin = o.envs * t / o.threads, end = o.envs * (t + 1) / o.threads;
      sync.arrive_and_wait();
      // each environment's data stays in the cache for all of its steps: no order is faster
      for (int i = begin; i < end; ++i) {
        Replay(recordings[i], arm, *sims[i], controls[i], o.steps);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const double seconds = core::MonotonicSeconds() - began;
  for (int i = 0; i < o.envs; ++i) {
    const auto& qpos = recordings[i].final_qpos;
    PAWL_CHECK(std::equal(qpos.begin(), qpos.end(), sims[i]->data().qpos),
               "the replay left the recorded trajectory");
  }
  return static_cast<double>(o.envs) * o.steps / seconds;
}

void Run(const std::string& path, const Options& o) {
  std::vector<std::string> skipped;
  const auto found = train::FindCheckpoint(path, /*best=*/false, skipped);
  const nn::Policy policy = nn::PolicyFromFiles(found.files, path);
  std::vector<Recording> recordings;
  for (int i = 0; i < o.envs; ++i) recordings.push_back(Record(policy, i, o.steps));
  std::vector<double> rates;
  for (int i = 0; i < o.repeats; ++i) rates.push_back(Rate(policy, recordings, o));
  std::sort(rates.begin(), rates.end());
  const nlohmann::ordered_json row = {{"bench", "arm_physics"},
                                      {"env", policy.env.id},
                                      {"checkpoint", found.folder.filename().string()},
                                      {"envs", o.envs},
                                      {"threads", o.threads},
                                      {"steps_per_s", rates[rates.size() / 2]},
                                      {"range", {rates.front(), rates.back()}}};
  std::printf("%s\n", row.dump().c_str());
  std::fflush(stdout);
}

}  // namespace
}  // namespace pawl

int main(int argc, char** argv) {
  CLI::App app("Physics and inverse kinematics of an arm task, replayed alone");
  std::vector<std::string> paths;
  pawl::Options options;
  app.add_option("checkpoints", paths, "run folders or checkpoints")->required();
  app.add_option("--envs", options.envs)->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--steps", options.steps, "per environment")->check(CLI::PositiveNumber);
  app.add_option("--repeats", options.repeats)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    for (const auto& path : paths) pawl::Run(path, options);
  } catch (const pawl::Error& error) {
    std::fprintf(stderr, "arm_physics_bench: %s\n", error.what());
    return 1;
  }
}
