#include "train/rollout_worker.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/clock.h"
#include "envs/action_map.h"
#include "nn/normalizer.h"

namespace pawl::train {

struct RolloutWorker::Block {
  Block(const ActorSetup& setup, int first_env, int count)
      : envs(setup.env, setup.seed, first_env, count,
             {.clip_actions = false, .dump_folder = setup.dump_folder}),  // ActionMap clips
        map(envs.Spec().action, setup.policy.head == kernels::PolicyHead::kSquashedGaussian),
        runner(setup.policy, count),
        head(size_t(count) * setup.policy.act),
        noise(head.size()),
        env_actions(size_t(count) * envs.Spec().action.size),
        results(count) {}
  envs::EnvBlock envs;
  envs::ActionMap map;
  nn::PolicyRunner runner;
  nn::NormalizerSnapshot normalizer;
  std::vector<float> head, noise;
  std::vector<double> env_actions;
  std::vector<envs::StepResult> results;
  core::ByteWriter saved;
};

RolloutWorker::RolloutWorker(const ActorSetup& setup, RolloutSlab& slab, int first_block,
                             int num_blocks)
    : setup_(setup), slab_(slab), first_env_(first_block * setup.actors.block) {
  num_envs_ = std::min(num_blocks * setup.actors.block, setup.env.num_envs - first_env_);
  for (int done = 0; done < num_envs_; done += setup.actors.block) {
    const int count = std::min(setup.actors.block, num_envs_ - done);
    blocks_.push_back(std::make_unique<Block>(setup, first_env_ + done, count));
  }
}

RolloutWorker::~RolloutWorker() = default;

void RolloutWorker::ResetBlock(int index) {
  Block& block = *blocks_[index];
  const size_t o = slab_.shape().obs, first = block.envs.first_env(), n = block.envs.count();
  block.envs.Reset({slab_.raw_observation + first * o, n * o});
  ClearReports(block);
  CountObservations(block);
  ShowLife(block);
}

// The supervising process looks at it while this one works.
void RolloutWorker::ShowLife(const Block& block) {
  std::atomic_ref(slab_.heartbeat[block.envs.first_env()]).fetch_add(1, std::memory_order_relaxed);
}

void RolloutWorker::ClearReports(Block& block) {
  const size_t o = slab_.shape().obs, first = block.envs.first_env(), n = block.envs.count();
  std::fill_n(slab_.moments + first * (1 + 2 * o), n * (1 + 2 * o), 0.0);
  std::fill_n(slab_.record_count + first, n, 0);
  std::fill_n(slab_.phases + first, n, PhaseSeconds{});
}

// Adds the present raw observations to the segment's moments (Welford), each environment by itself.
void RolloutWorker::CountObservations(Block& block) {
  if (!setup_.normalize_observation) return;
  const size_t o = slab_.shape().obs;
  for (int i = 0; i < block.envs.count(); ++i) {
    const size_t env = block.envs.first_env() + i;
    nn::AddToMoments({slab_.raw_observation + env * o, o},
                     {slab_.moments + env * (1 + 2 * o), 1 + 2 * o});
  }
}

void RolloutWorker::CollectBlock(int index, const CollectRequest& request, bool first) {
  Block& block = *blocks_[index];
  if (first) ClearReports(block);
  const size_t o = slab_.shape().obs;
  block.normalizer = {.observation = setup_.normalize_observation,
                      .clip_observation = setup_.clip_observation,
                      .epsilon = setup_.normalize_epsilon,
                      .mean = {slab_.norm_mean, slab_.norm_mean + o},
                      .variance = {slab_.norm_variance, slab_.norm_variance + o}};
  block.normalizer.Prepare();
  for (int t = request.begin; t < request.end; ++t) StepBlock(block, request, t);
}

void RolloutWorker::StepBlock(Block& block, const CollectRequest& request, int t) {
  const SlabShape& s = slab_.shape();
  const size_t o = s.obs, n = block.envs.count(), first = block.envs.first_env();
  const size_t row = size_t(t) * s.batch + first;  // of the [T, B] arrays
  PhaseSeconds& phases = slab_.phases[first];
  double* raw = slab_.raw_observation + first * o;

  const double begin = core::MonotonicSeconds();
  block.normalizer.Observation(raw, static_cast<int>(n), slab_.observation + row * o);
  const double normalized = core::MonotonicSeconds();
  Act(block, request.first_step + t, row);
  const double acted = core::MonotonicSeconds();
  block.envs.Step(block.env_actions, {raw, n * o}, {slab_.raw_final_observation + row * o, n * o},
                  block.results);
  const double stepped = core::MonotonicSeconds();
  for (size_t i = 0; i < n; ++i) {
    slab_.raw_reward[row + i] = block.results[i].reward;
    slab_.terminated[row + i] = block.results[i].terminated;
    slab_.truncated[row + i] = block.results[i].truncated && !block.results[i].terminated;
  }
  ReportEpisodes(block, request.first_step + t);
  CountObservations(block);
  const double end = core::MonotonicSeconds();
  phases.observation += (normalized - begin) + (end - stepped);
  phases.inference += acted - normalized;
  phases.physics += stepped - acted;
  ShowLife(block);
}

// Policy forward and sampling for the whole block; noise is keyed by environment and step.
void RolloutWorker::Act(Block& block, int64_t step, size_t row) {
  const SlabShape& s = slab_.shape();
  const size_t a = setup_.policy.act, n = block.envs.count(), env_a = block.envs.Spec().action.size;
  const std::span<const float> weights(slab_.weights, s.weights);
  block.runner.Forward(weights, slab_.observation + row * s.obs, static_cast<int>(n),
                       block.head.data(), slab_.value + row);
  for (size_t i = 0; i < n; ++i) {
    core::Philox rng(setup_.seed, core::Role::kAction, block.envs.first_env() + i, step);
    nn::FillActionNoise(setup_.policy.head, rng, {block.noise.data() + i * a, a});
  }
  float* action = slab_.action + row * s.act;
  kernels::SampleActions(setup_.policy.head, static_cast<int>(a), block.head.data(),
                         block.runner.LogStd(weights), block.noise.data(), static_cast<int>(n),
                         action, slab_.log_prob + row);
  for (size_t i = 0; i < n; ++i) block.map.ToEnv(action + i * s.act, &block.env_actions[i * env_a]);
}

void RolloutWorker::ReportEpisodes(Block& block, int64_t step) {
  for (const auto& episode : block.envs.TakeEpisodes()) {
    int32_t& count = slab_.record_count[episode.env_idx];
    PAWL_CHECK_LT(static_cast<size_t>(count), slab_.shape().record_slots);
    slab_.records[episode.env_idx * slab_.shape().record_slots + count++] = {
        .step = step,
        .episode_return = episode.episode_return,
        .env_idx = episode.env_idx,
        .length = static_cast<int32_t>(episode.length),
        .success = episode.success,
        .divergence = static_cast<uint8_t>(episode.divergence)};
  }
}

void RolloutWorker::SaveBlock(int index) {
  Block& block = *blocks_[index];
  for (int i = 0; i < block.envs.count(); ++i) {
    const size_t env = block.envs.first_env() + i;
    block.saved.Clear();
    block.envs.SaveState(i, block.saved);
    const auto& bytes = block.saved.bytes();
    PAWL_CHECK_LE(bytes.size(), slab_.shape().state_bytes, "environment {}: its saved state grew",
                  env);
    std::memcpy(slab_.state + env * slab_.shape().state_bytes, bytes.data(), bytes.size());
    slab_.state_size[env] = bytes.size();
  }
}

void RolloutWorker::LoadBlock(int index) {
  Block& block = *blocks_[index];
  const size_t o = slab_.shape().obs;
  for (int i = 0; i < block.envs.count(); ++i) {
    const size_t env = block.envs.first_env() + i;
    core::ByteReader in({slab_.state + env * slab_.shape().state_bytes, slab_.state_size[env]});
    block.envs.LoadState(i, in);
    const auto observation = block.envs.observation(i);
    std::copy(observation.begin(), observation.end(), slab_.raw_observation + env * o);
  }
  block.envs.TakeEpisodes();
  ShowLife(block);
}

}  // namespace pawl::train
