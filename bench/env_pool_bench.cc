// Control steps per second of envs::VecEnv beside a bare loop of mj_step on the same threads,
// model, states and actions, and beside MuJoCo's own batch API. One JSON object per environment.
// The trajectory (64 environments, resets included) is recorded first; every contender replays it,
// and the final states are compared bit for bit.
//   env_pool_bench [--env ID]... [--envs N] [--threads T] [--batch N] [--pairs N] [--seconds S]
#include <mujoco/mjbatch.h>
#include <mujoco/mujoco.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <barrier>
#include <cstdio>
#include <ctime>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "core/clock.h"
#include "envs/env_block.h"
#include "envs/mujoco_env.h"
#include "envs/mujoco_view.h"
#include "envs/vec_env.h"

namespace pawl::envs {
namespace {

constexpr uint64_t kSeed = 1;

struct Options {
  std::vector<std::string> ids = {"HalfCheetah-v5", "Ant-v5"};
  int envs = 64, threads = 2, batch = 32, pairs = 7, warmup = 20;
  double seconds = 1.5;
};

// Actions that depend on (environment, step) only.
struct Actions {
  static constexpr int kRows = 4096;
  int size = 0;
  std::vector<double> table;  // [kRows, A]
  explicit Actions(const ActionSpec& spec) : size(spec.size) {
    core::Philox rng(kSeed, core::Role::kTest, 0, 0);
    for (int row = 0; row < kRows; ++row) {
      for (int k = 0; k < size; ++k) table.push_back(rng.Uniform(spec.low[k], spec.high[k]));
    }
  }
  std::span<const double> At(int env, int step) const {
    const size_t row = static_cast<size_t>(env * 977 + step) % kRows;
    return {table.data() + row * size, static_cast<size_t>(size)};
  }
};

const MujocoEnv& Mujoco(const EnvBlock& block, int i) {
  return dynamic_cast<const MujocoEnv&>(block.env(i));
}

// What happened, so that others can do the same.
struct Recording {
  int envs = 0, steps = 0, frame_skip = 0;
  SharedModel model;
  struct Start {
    int step = 0;  // before this step the episode starts at...
    std::vector<double> qpos, qvel, state;
  };
  std::vector<std::vector<Start>> starts;       // [N]
  std::vector<std::vector<double>> final_qpos;  // [N]
  std::vector<double> final_observations;       // [N, O]
};

Recording::Start StartOf(const MujocoEnv& env, int step) {
  const mjModel& m = env.sim().model();
  const mjData& d = env.sim().data();
  Recording::Start start{
      .step = step, .qpos = {d.qpos, d.qpos + m.nq}, .qvel = {d.qvel, d.qvel + m.nv}};
  start.state.resize(mj_stateSize(&m, mjSTATE_INTEGRATION));
  mj_getState(&m, &d, start.state.data(), mjSTATE_INTEGRATION);
  return start;
}

Recording Record(const EnvConfig& config, const Actions& actions, int steps) {
  EnvBlock block(config, kSeed, 0, config.num_envs);
  const EnvSpec& spec = block.Spec();
  const int n = config.num_envs, size = spec.ObservationSize();
  Recording recording{.envs = n, .steps = steps, .model = Mujoco(block, 0).sim().shared_model()};
  recording.frame_skip =
      static_cast<int>(std::lround(spec.control_period_s / recording.model->opt.timestep));
  std::vector<double> observations(n * size), final_observation(size);
  block.Reset(observations);
  for (int i = 0; i < n; ++i) {
    auto& starts = recording.starts.emplace_back();
    starts.push_back(StartOf(Mujoco(block, i), 0));
    for (int step = 0; step < steps; ++step) {
      const StepResult result =
          block.StepOne(i, actions.At(i, step), std::span(observations).subspan(i * size, size),
                        final_observation);
      if (result.terminated || result.truncated) {
        starts.push_back(StartOf(Mujoco(block, i), step + 1));
      }
    }
    const mjData& d = Mujoco(block, i).sim().data();
    recording.final_qpos.emplace_back(d.qpos, d.qpos + recording.model->nq);
  }
  recording.final_observations = observations;
  return recording;
}

// Wall and processor time of a measurement; the second tells overhead from other people's load.
struct Timing {
  double steps_per_s = 0, cpu_us_per_step = 0;
};

class Stopwatch {
 public:
  void Start() {
    wall_ = core::MonotonicSeconds();
    cpu_ = CpuSeconds();
  }
  bool started() const { return wall_ > 0; }
  Timing Stop(int64_t steps) const {
    const double count = static_cast<double>(steps);
    return {count / (core::MonotonicSeconds() - wall_), 1e6 * (CpuSeconds() - cpu_) / count};
  }

 private:
  static double CpuSeconds() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  double wall_ = 0, cpu_ = 0;
};

int64_t TimedSteps(const Recording& r, const Options& options) {
  return static_cast<int64_t>(r.envs) * (r.steps - options.warmup);
}

// One mjData per environment, contiguous shares of them on each thread, no synchronisation after
// the start.
Timing Bare(const Recording& r, const Actions& actions, const Options& options) {
  std::vector<mjData*> datas(r.envs);
  for (mjData*& data : datas) data = mj_makeData(r.model.get());
  // the clock starts with the last thread to arrive, not when this one wakes
  Stopwatch watch;
  std::barrier sync(options.threads, [&watch]() noexcept { watch.Start(); });
  std::vector<std::thread> threads;
  const auto run = [&](int begin, int end, int from, int to) {
    const mjModel* m = r.model.get();
    std::vector<size_t> next(end - begin, 0);
    if (from > 0) {
      for (int i = begin; i < end; ++i) {
        const auto& starts = r.starts[i];
        while (next[i - begin] < starts.size() && starts[next[i - begin]].step < from)
          ++next[i - begin];
      }
    }
    for (int step = from; step < to; ++step) {
      for (int i = begin; i < end; ++i) {
        mjData* d = datas[i];
        const auto& starts = r.starts[i];
        size_t& k = next[i - begin];
        if (k < starts.size() && starts[k].step == step) {
          mj_resetData(m, d);
          std::copy(starts[k].qpos.begin(), starts[k].qpos.end(), d->qpos);
          std::copy(starts[k].qvel.begin(), starts[k].qvel.end(), d->qvel);
          mj_forward(m, d);
          ++k;
        }
        const auto action = actions.At(i, step);
        std::copy(action.begin(), action.end(), d->ctrl);
        for (int sub = 0; sub < r.frame_skip; ++sub) mj_step(m, d);
      }
    }
  };
  for (int t = 0; t < options.threads; ++t) {
    threads.emplace_back([&, t] {
      const int begin = r.envs * t / options.threads, end = r.envs * (t + 1) / options.threads;
      run(begin, end, 0, options.warmup);
      sync.arrive_and_wait();
      run(begin, end, options.warmup, r.steps);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Timing timing = watch.Stop(TimedSteps(r, options));
  for (int i = 0; i < r.envs; ++i) {
    // an episode that ended at the very last step was reset in the recording only
    const bool reset_at_end = r.starts[i].back().step == r.steps;
    PAWL_CHECK(
        reset_at_end || std::equal(r.final_qpos[i].begin(), r.final_qpos[i].end(), datas[i]->qpos),
        "the bare loop left the recorded trajectory");
    mj_deleteData(datas[i]);
  }
  return timing;
}

struct PoolArrays {
  explicit PoolArrays(const VecEnv& envs)
      : observations(envs.num_envs() * envs.Spec().ObservationSize()),
        final_observations(observations.size()),
        results(envs.num_envs()) {}
  VecEnvSlots Slots() { return {observations, final_observations, results}; }
  std::vector<double> observations, final_observations;
  std::vector<StepResult> results;
};

Timing PoolSync(const EnvConfig& config, const Recording& r, const Actions& actions,
                const Options& options) {
  VecEnv envs(config, kSeed, {.num_threads = options.threads});
  PoolArrays arrays(envs);
  envs.Reset(arrays.Slots());
  std::vector<double> batch(r.envs * actions.size);
  Stopwatch watch;
  for (int step = 0; step < r.steps; ++step) {
    if (step == options.warmup) watch.Start();
    for (int i = 0; i < r.envs; ++i) {
      std::copy_n(actions.At(i, step).data(), actions.size, batch.data() + i * actions.size);
    }
    envs.Step(batch);
  }
  const Timing timing = watch.Stop(TimedSteps(r, options));
  PAWL_CHECK(arrays.observations == r.final_observations, "the pool left the recorded trajectory");
  return timing;
}

Timing PoolAsync(const EnvConfig& config, const Recording& r, const Actions& actions,
                 const Options& options) {
  VecEnv envs(config, kSeed, {.num_threads = options.threads});
  PoolArrays arrays(envs);
  envs.Reset(arrays.Slots());
  std::vector<int> step(r.envs, 0), ids(r.envs), received(options.batch);
  std::vector<double> batch;
  std::iota(ids.begin(), ids.end(), 0);
  const auto send = [&](std::span<const int> which) {
    batch.clear();
    for (int i : which) {
      const auto action = actions.At(i, step[i]++);
      batch.insert(batch.end(), action.begin(), action.end());
    }
    envs.Send(which, batch);
  };
  send(ids);
  const int64_t total = static_cast<int64_t>(r.envs) * r.steps;
  const int64_t warmup = static_cast<int64_t>(r.envs) * options.warmup;
  int64_t done = 0, counted = 0;
  Stopwatch watch;
  while (done < total) {
    envs.Recv(received);
    done += options.batch;
    if (!watch.started() && done >= warmup) {
      watch.Start();
      counted = done;
    }
    send(received);
  }
  const Timing timing = watch.Stop(done - counted);
  std::vector<int> rest(r.envs);
  envs.Recv(rest);
  return timing;
}

// mjb_step: one barrier per call, no hook between the step and what an observation needs.
Timing MjBatch(const Recording& r, const Actions& actions, const Options& options) {
  char error[512] = "";
  mjBatchConfig batch_config;
  mjb_defaultConfig(&batch_config);
  batch_config.nthread = options.threads;
  batch_config.persistent = 1;
  mjBatch* batch = mjb_makeBatch(r.model.get(), r.envs, &batch_config, error, sizeof(error));
  PAWL_CHECK(batch != nullptr, "{}", error);
  const int row_size = mjb_nstate(batch);
  mjtNum* rows = mjb_state(batch);
  mjtNum* controls = mjb_stateComponent(batch, mjSTATE_CTRL, nullptr);
  std::vector<size_t> next(r.envs, 0);
  Stopwatch watch;
  for (int step = 0; step < r.steps; ++step) {
    if (step == options.warmup) watch.Start();
    for (int i = 0; i < r.envs; ++i) {
      const auto& starts = r.starts[i];
      if (next[i] < starts.size() && starts[next[i]].step == step) {
        std::copy_n(starts[next[i]].state.data(), row_size, rows + i * row_size);
        ++next[i];
      }
      std::copy_n(actions.At(i, step).data(), actions.size, controls + i * row_size);
    }
    mjb_step(batch, nullptr, 0, r.frame_skip, mjSTAGE_NONE);
  }
  const Timing timing = watch.Stop(TimedSteps(r, options));
  mjb_deleteBatch(batch);
  return timing;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Run(const std::string& id, const Options& options) {
  const EnvConfig config{.id = id, .num_envs = options.envs};
  const Actions actions(MakeEnv(config, kSeed, 0)->Spec().action);
  // as many steps as the wanted time holds
  Recording recording = Record(config, actions, options.warmup + 30);
  const double rate = Bare(recording, actions, options).steps_per_s;
  const int steps =
      options.warmup + std::max(30, static_cast<int>(options.seconds * rate / options.envs));
  recording = Record(config, actions, steps);

  const std::pair<const char*, std::function<Timing()>> contenders[] = {
      {"bare", [&] { return Bare(recording, actions, options); }},
      {"pool_sync", [&] { return PoolSync(config, recording, actions, options); }},
      {"pool_async", [&] { return PoolAsync(config, recording, actions, options); }},
      {"mjbatch", [&] { return MjBatch(recording, actions, options); }}};
  std::map<std::string, std::vector<double>> rates, ratios, cpu;
  for (int pair = 0; pair < options.pairs; ++pair) {
    for (const auto& [name, run] : contenders) {
      const Timing timing = run();
      rates[name].push_back(timing.steps_per_s);
      cpu[name].push_back(timing.cpu_us_per_step);
      ratios[name].push_back(rates[name].back() / rates["bare"].back());
    }
  }
  nlohmann::ordered_json row = {{"bench", "env_pool"},    {"env", id},
                                {"envs", options.envs},   {"threads", options.threads},
                                {"batch", options.batch}, {"steps_per_env", steps},
                                {"pairs", options.pairs}};
  for (const auto& [name, unused] : contenders) {
    row[std::string(name) + "_steps_per_s"] = std::round(Median(rates[name]));
    row[std::string(name) + "_cpu_us_per_step"] = std::round(1e2 * Median(cpu[name])) / 1e2;
  }
  for (const auto& [name, unused] : contenders) {
    if (std::string(name) == "bare") continue;
    row[std::string(name) + "_share_of_bare"] = std::round(1e4 * Median(ratios[name])) / 1e4;
  }
  std::printf("%s\n", row.dump().c_str());
  std::fflush(stdout);
}

}  // namespace
}  // namespace pawl::envs

int main(int argc, char** argv) {
  pawl::envs::Options options;
  CLI::App app("environment pool against a bare mj_step loop");
  std::vector<std::string> ids;
  app.add_option("--env", ids, "environment (repeatable; default HalfCheetah-v5 and Ant-v5)");
  app.add_option("--envs", options.envs, "environments");
  app.add_option("--threads", options.threads, "threads");
  app.add_option("--batch", options.batch, "environments per asynchronous receive");
  app.add_option("--pairs", options.pairs, "alternations; medians are printed");
  app.add_option("--seconds", options.seconds, "length of one measurement");
  CLI11_PARSE(app, argc, argv);
  if (!ids.empty()) options.ids = ids;
  try {
    for (const std::string& id : options.ids) pawl::envs::Run(id, options);
  } catch (const pawl::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.exit_code();
  }
}
