#include "envs/env_block.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/file.h"
#include "core/safetensors.h"
#include "envs/action_map.h"

namespace pawl::envs {
namespace {

// x - x is 0 for finite numbers and NaN else; four sums keep the adds independent.
bool AllFinite(std::span<const double> values) {
  double sum[4] = {};
  size_t i = 0;
  for (; i + 4 <= values.size(); i += 4) {
    for (int k = 0; k < 4; ++k) sum[k] += values[i + k] - values[i + k];
  }
  for (; i < values.size(); ++i) sum[0] += values[i] - values[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]) == 0;
}

int FirstBad(std::span<const double> values) {
  const auto bad = std::find_if(values.begin(), values.end(),
                                [](double value) { return !std::isfinite(value); });
  return static_cast<int>(bad - values.begin());
}

// "qvel[2]" of observation number 10
std::string ObservationName(const EnvSpec& spec, int index) {
  for (const ObservationPart& part : spec.observation) {
    if (index < part.size) return fmt::format("observation {}[{}]", part.name, index);
    index -= part.size;
  }
  return "observation";
}

}  // namespace

EnvBlock::EnvBlock(const EnvConfig& config, uint64_t seed, int first_env, int count,
                   EnvBlockOptions options)
    : seed_(seed), first_env_(first_env), options_(std::move(options)) {
  PAWL_CHECK_GE(count, 1, "a block needs an environment");
  slots_.resize(count);
  for (int i = 0; i < count; ++i) slots_[i].env = MakeEnv(config, seed, first_env + i);
  spec_ = &slots_[0].env->Spec();
  CheckBounds(spec_->action);
  obs_size_ = spec_->ObservationSize();
  action_size_ = spec_->action.size;
  for (Slot& slot : slots_) {
    slot.action.resize(action_size_);
    slot.observation.resize(obs_size_);
  }
}

EnvBlock::~EnvBlock() = default;
EnvBlock::EnvBlock(EnvBlock&&) noexcept = default;

void EnvBlock::Reset(std::span<double> observations) {
  PAWL_CHECK_EQ(observations.size(), slots_.size() * obs_size_, "observations must be [n, O]");
  for (int i = 0; i < count(); ++i) ResetOne(i, observations.subspan(i * obs_size_, obs_size_));
}

void EnvBlock::ResetOne(int i, std::span<double> observation) {
  Slot& slot = slots_[i];
  Counters& counters = slot.counters;
  ++counters.episode;
  counters.length = 0;
  counters.episode_return = 0;
  counters.success_any = 0;
  slot.env->Reset(core::Philox(seed_, options_.reset_role, first_env_ + i, counters.episode),
                  observation);
  if (!AllFinite(observation)) [[unlikely]]
    ThrowBadNumber(i, ObservationName(*spec_, FirstBad(observation)) + " after a reset", {});
  std::copy(observation.begin(), observation.end(), slot.observation.begin());
}

void EnvBlock::Step(std::span<const double> actions, std::span<double> observations,
                    std::span<double> final_observations, std::span<StepResult> results) {
  const size_t n = slots_.size();
  PAWL_CHECK_EQ(actions.size(), n * action_size_, "actions must be [n, A]");
  PAWL_CHECK_EQ(observations.size(), n * obs_size_, "observations must be [n, O]");
  PAWL_CHECK_EQ(final_observations.size(), n * obs_size_, "final observations must be [n, O]");
  PAWL_CHECK_EQ(results.size(), n, "results must be [n]");
  for (size_t i = 0; i < n; ++i) {
    results[i] = StepOne(static_cast<int>(i), actions.subspan(i * action_size_, action_size_),
                         observations.subspan(i * obs_size_, obs_size_),
                         final_observations.subspan(i * obs_size_, obs_size_));
  }
}

StepResult EnvBlock::StepOne(int i, std::span<const double> action, std::span<double> observation,
                             std::span<double> final_observation) {
  Slot& slot = slots_[i];
  CheckAction(i, action);
  std::copy(action.begin(), action.end(), slot.action.begin());
  if (options_.clip_actions && !spec_->action.discrete()) {
    const ActionSpec& bounds = spec_->action;
    for (int k = 0; k < action_size_; ++k) {
      slot.action[k] = std::clamp(slot.action[k], bounds.low[k], bounds.high[k]);
    }
  }

  const StepResult result = slot.env->Step(slot.action, observation);
  if (!std::isfinite(result.reward)) [[unlikely]]
    ThrowBadNumber(i, "reward", slot.action);
  if (!AllFinite(observation)) [[unlikely]]
    ThrowBadNumber(i, ObservationName(*spec_, FirstBad(observation)), slot.action);

  Counters& counters = slot.counters;
  ++counters.length;
  counters.episode_return += result.reward;
  counters.success_any |= result.success;
  if (result.divergence != Divergence::kNone) [[unlikely]]
    ++counters.divergences[static_cast<size_t>(result.divergence)];
  if (result.terminated || result.truncated) {
    std::copy(observation.begin(), observation.end(), final_observation.begin());
    FinishEpisode(i, result);
    ResetOne(i, observation);
  } else {
    std::copy(observation.begin(), observation.end(), slot.observation.begin());
  }
  return result;
}

void EnvBlock::CheckAction(int i, std::span<const double> action) const {
  if (AllFinite(action)) [[likely]]
    return;
  ThrowBadNumber(i, fmt::format("action {}", FirstBad(action)), action);
}

void EnvBlock::FinishEpisode(int i, const StepResult& result) {
  const Counters& counters = slots_[i].counters;
  episodes_.push_back({.env_idx = first_env_ + i,
                       .episode = counters.episode,
                       .episode_return = counters.episode_return,
                       .length = counters.length,
                       .success = result.success,
                       .success_any = counters.success_any != 0,
                       .terminated = result.terminated,
                       .divergence = result.divergence});
}

std::vector<EpisodeRecord> EnvBlock::TakeEpisodes() { return std::exchange(episodes_, {}); }

void EnvBlock::SaveState(int i, core::ByteWriter& out) const {
  const Slot& slot = slots_[i];
  out.Put(slot.counters);
  out.PutSpan<double>(slot.observation);
  slot.env->SaveState(out);
}

void EnvBlock::LoadState(int i, core::ByteReader& in) {
  Slot& slot = slots_[i];
  in.Get(slot.counters);
  in.GetSpan<double>(slot.observation);
  slot.env->LoadState(in);
}

void EnvBlock::ThrowBadNumber(int i, const std::string& quantity,
                              std::span<const double> action) const {
  const Counters& counters = slots_[i].counters;
  const int env_idx = first_env_ + i;
  std::string dump = "no dump folder was given";
  if (!options_.dump_folder.empty()) {
    core::ByteWriter state;
    SaveState(i, state);
    core::ArrayMap arrays;
    arrays.PutBytes("state_after", state.bytes());
    arrays.Put<double>("observation_before", slots_[i].observation, {obs_size_});
    arrays.Put<double>("action", action, {static_cast<int64_t>(action.size())});
    arrays.metadata() = {{"env", spec_->id},
                         {"env_idx", std::to_string(env_idx)},
                         {"episode", std::to_string(counters.episode)},
                         {"step", std::to_string(counters.length)},
                         {"seed", std::to_string(seed_)},
                         {"quantity", quantity}};
    const auto path = std::filesystem::path(options_.dump_folder) /
                      fmt::format("bad_env_{}.safetensors", env_idx);
    std::filesystem::create_directories(options_.dump_folder);
    core::WriteFileAtomic(path, core::ToSafetensors(arrays));
    dump = fmt::format("its state is in {}", path.string());
  }
  throw RunError({.what = fmt::format("{} of environment {} is not finite", quantity, env_idx),
                  .where = fmt::format("{}, episode {}, step {}", spec_->id, counters.episode,
                                       counters.length),
                  .expected = "a finite number",
                  .hint = dump});
}

}  // namespace pawl::envs
