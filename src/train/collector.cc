#include "train/collector.h"

#include <algorithm>

#include "core/clock.h"

namespace pawl::train {
namespace {

// Room for one environment's state, measured on a fresh one; episodes may grow it a little
// (contacts do not: MuJoCo's integration state has a fixed size).
size_t StateBytes(const TrainConfig& config) {
  envs::EnvBlock block(config.env, config.seed, 0, 1);
  std::vector<double> observation(block.Spec().ObservationSize());
  block.Reset(observation);
  core::ByteWriter out;
  block.SaveState(0, out);
  return (out.bytes().size() + 1024 + 63) / 64 * 64;
}

SlabShape MakeSlabShape(const TrainConfig& config, const envs::EnvSpec& spec,
                        const kernels::MlpShape& shape) {
  return {.time = config.ppo.horizon,
          .batch = config.env.num_envs,
          .obs = shape.obs,
          .act = spec.action.discrete() ? 1 : shape.act,
          .weights = nn::FlatWeightsSize(shape),
          .state_bytes = StateBytes(config),
          .record_slots = static_cast<size_t>(config.ppo.horizon)};
}

ActorSetup MakeActorSetup(const TrainConfig& config, const kernels::MlpShape& shape,
                          const std::string& dump_folder) {
  return {.env = config.env,
          .policy = shape,
          .actors = config.actors,
          .seed = config.seed,
          .normalize_observation = config.normalize.observation,
          .clip_observation = config.normalize.clip_observation,
          .normalize_epsilon = config.normalize.epsilon,
          .dump_folder = dump_folder};
}

}  // namespace

Collector::Collector(const TrainConfig& config, const envs::EnvSpec& spec,
                     const kernels::MlpShape& shape, const std::string& dump_folder)
    : config_(config),
      shape_(shape),
      slab_(MakeSlabShape(config, spec, shape)),
      actors_(MakeActors(MakeActorSetup(config, shape, dump_folder), slab_)),
      normalizer_(config.normalize, shape.obs, config.env.num_envs),
      runner_(shape, kValueRows),
      head_(size_t{kValueRows} * shape.act),
      gathered_(size_t{kValueRows} * shape.obs),
      values_(kValueRows) {}

void Collector::Start(std::span<const float> weights) {
  actors_->Reset();
  normalizer_.MergeObservations(
      {slab_.moments, size_t(config_.env.num_envs) * (1 + 2 * shape_.obs)});
  int left = WarmupSteps(config_);
  while (left > 0) {
    const int steps = std::min(left, config_.ppo.horizon);
    Publish(weights);
    RunSegment(0, steps);
    MergeStatistics(0, steps);
    steps_per_env_ += steps;
    left -= steps;
  }
}

rollout::TrajectoryBatch Collector::Collect(std::span<const float> weights, int64_t version) {
  const int horizon = config_.ppo.horizon;
  if (config_.normalize.update == nn::NormalizeUpdate::kRollout) {
    // one snapshot for the whole rollout, its final observations and its rewards
    Publish(weights);
    RunSegment(0, horizon);
    ScaleAndValue(weights, 0, horizon);
    MergeStatistics(0, horizon);
  } else {
    // SB3's VecNormalize: statistics take in each step's observations and rewards before these are
    // normalised
    for (int t = 0; t < horizon; ++t) {
      Publish(weights);
      RunSegment(t, t + 1);
      MergeStatistics(t, t + 1);
      snapshot_ = normalizer_.Snapshot();
      ScaleAndValue(weights, t, t + 1);
    }
  }
  ValueLastObservations(weights);
  steps_per_env_ += horizon;
  return slab_.View(version);
}

void Collector::Publish(std::span<const float> weights) {
  std::copy(weights.begin(), weights.end(), slab_.weights);
  snapshot_ = normalizer_.Snapshot();
  std::copy(snapshot_.mean.begin(), snapshot_.mean.end(), slab_.norm_mean);
  std::copy(snapshot_.variance.begin(), snapshot_.variance.end(), slab_.norm_variance);
}

void Collector::RunSegment(int begin, int end) {
  const double started = core::MonotonicSeconds();
  actors_->Collect({.begin = begin, .end = end, .first_step = steps_per_env_});
  const double wall = core::MonotonicSeconds() - started;
  PhaseSeconds sum;
  for (int env = 0; env < config_.env.num_envs; ++env) {
    sum.physics += slab_.phases[env].physics;
    sum.observation += slab_.phases[env].observation;
    sum.inference += slab_.phases[env].inference;
  }
  const double actors = actors_->count();
  seconds_.physics += sum.physics / actors;
  seconds_.observation += sum.observation / actors;
  seconds_.inference += sum.inference / actors;
  seconds_.transport +=
      std::max(0.0, wall - (sum.physics + sum.observation + sum.inference) / actors);
  CountEpisodes();
}

void Collector::MergeStatistics(int begin, int end) {
  const double started = core::MonotonicSeconds();
  const size_t b = config_.env.num_envs;
  if (config_.normalize.observation)
    normalizer_.MergeObservations({slab_.moments, b * (1 + 2 * shape_.obs)});
  if (config_.normalize.reward) {
    const size_t first = begin * b, rows = (end - begin) * b;
    normalizer_.AccumulateReturns({slab_.raw_reward + first, rows},
                                  {slab_.terminated + first, rows},
                                  {slab_.truncated + first, rows});
  }
  seconds_.finish += core::MonotonicSeconds() - started;
}

// Scales the rewards of [begin, end) and values the observations at which episodes were cut, all
// with snapshot_.
void Collector::ScaleAndValue(std::span<const float> weights, int begin, int end) {
  const double started = core::MonotonicSeconds();
  const size_t b = config_.env.num_envs, o = shape_.obs;
  std::vector<float*> targets;
  for (size_t row = begin * b; row < end * b; ++row) {
    slab_.reward[row] = snapshot_.Reward(slab_.raw_reward[row]);
    slab_.final_value[row] = 0;
    if (!slab_.truncated[row]) continue;
    float* final_observation = slab_.final_observation + row * o;
    snapshot_.Observation(slab_.raw_final_observation + row * o, 1, final_observation);
    std::copy_n(final_observation, o, gathered_.data() + targets.size() * o);
    targets.push_back(slab_.final_value + row);
    if (targets.size() == kValueRows) Value(weights, targets);
  }
  Value(weights, targets);
  seconds_.finish += core::MonotonicSeconds() - started;
}

void Collector::ValueLastObservations(std::span<const float> weights) {
  const double started = core::MonotonicSeconds();
  const int b = config_.env.num_envs, o = shape_.obs;
  snapshot_.Observation(slab_.raw_observation, b, slab_.last_observation);
  std::vector<float*> targets;
  for (int env = 0; env < b; ++env) {
    std::copy_n(slab_.last_observation + size_t(env) * o, o, gathered_.data() + targets.size() * o);
    targets.push_back(slab_.last_value + env);
    if (targets.size() == kValueRows) Value(weights, targets);
  }
  Value(weights, targets);
  seconds_.finish += core::MonotonicSeconds() - started;
}

// Values the gathered observations, writes them where they belong and empties the list.
void Collector::Value(std::span<const float> weights, std::vector<float*>& targets) {
  if (targets.empty()) return;
  runner_.Forward(weights, gathered_.data(), static_cast<int>(targets.size()), head_.data(),
                  values_.data());
  for (size_t i = 0; i < targets.size(); ++i) *targets[i] = values_[i];
  targets.clear();
}

// Finished episodes in the order in which they ended (step, then environment).
void Collector::CountEpisodes() {
  std::vector<EpisodeReport> reports;
  for (int env = 0; env < config_.env.num_envs; ++env) {
    const EpisodeReport* first = slab_.records + env * slab_.shape().record_slots;
    reports.insert(reports.end(), first, first + slab_.record_count[env]);
  }
  std::stable_sort(reports.begin(), reports.end(),
                   [](const auto& a, const auto& b) { return a.step < b.step; });
  for (const EpisodeReport& report : reports) {
    episodes_.Add({report.episode_return, static_cast<double>(report.length),
                   static_cast<double>(report.success)});
    if (report.divergence != 0) CheckDivergence(report);
  }
}

void Collector::CheckDivergence(const EpisodeReport& report) {
  ++diverged_;
  const double rate = static_cast<double>(diverged_) / static_cast<double>(episodes_.total());
  // a handful of early episodes is no rate yet
  if (episodes_.total() >= 100 && rate > config_.sim.max_divergence_rate) {
    throw RunError(
        {.what = fmt::format(
             "{} of {} episodes ended by a diverged simulation (the last: {}, environment {})",
             diverged_, episodes_.total(), envs::kDivergenceNames[report.divergence],
             report.env_idx),
         .where = "sim.max_divergence_rate",
         .expected = fmt::format("at most {:g}", config_.sim.max_divergence_rate),
         .hint = "a smaller timestep, or weaker actions?"});
  }
}

void Collector::Save(core::ArrayMap& out) {
  actors_->SaveStates();
  const SlabShape& s = slab_.shape();
  std::vector<std::byte> bytes;
  std::vector<int64_t> sizes;
  for (int env = 0; env < s.batch; ++env) {
    const std::byte* state = slab_.state + env * s.state_bytes;
    bytes.insert(bytes.end(), state, state + slab_.state_size[env]);
    sizes.push_back(static_cast<int64_t>(slab_.state_size[env]));
  }
  out.PutBytes("envs/state", bytes);
  out.Put<int64_t>("envs/state_size", sizes, {s.batch});
  out.PutScalar<int64_t>("envs/steps", steps_per_env_);
  out.PutScalar<int64_t>("envs/diverged", diverged_);
  normalizer_.Save(out);
  episodes_.Save(out);
}

void Collector::Load(const core::ArrayMap& in) {
  const SlabShape& s = slab_.shape();
  const auto bytes = in.GetBytes("envs/state");
  const auto sizes = in.Get<int64_t>("envs/state_size");
  PAWL_CHECK_EQ(sizes.size(), static_cast<size_t>(s.batch), "saved environments");
  size_t offset = 0;
  for (int env = 0; env < s.batch; ++env) {
    const auto size = static_cast<size_t>(sizes[env]);
    PAWL_CHECK(size <= s.state_bytes && offset + size <= bytes.size(), "state of environment {}",
               env);
    std::copy_n(bytes.begin() + offset, size, slab_.state + env * s.state_bytes);
    slab_.state_size[env] = size;
    offset += size;
  }
  steps_per_env_ = in.GetScalar<int64_t>("envs/steps");
  diverged_ = in.GetScalar<int64_t>("envs/diverged");
  normalizer_.Load(in);
  episodes_.Load(in);
  actors_->LoadStates();
}

}  // namespace pawl::train
