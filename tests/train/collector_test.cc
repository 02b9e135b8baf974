#include "train/collector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "policy_oracle.h"
#include "scripted_env.h"
#include "train_testing.h"

namespace pawl::train {
namespace {

// Weights, observations and actions are float32 in a rollout and double here; a rounding error of
// 2^-24 passes through a network of two layers and a division by a deviation of about 1.
constexpr double kTolerance = 2e-5;

TrainConfig ScriptedConfig(const TempFolder& folder, std::vector<std::string> more = {}) {
  std::vector<std::string> assignments = {"env.id=Scripted",
                                          "env.num_envs=3",
                                          "env.args.terminate_at=[4, 0, 7]",
                                          "env.args.truncate_at=[0, 5, 7]",
                                          "policy.hidden=[5]",
                                          "policy.log_std_init=-0.4",
                                          "policy.ortho_init=false",
                                          "ppo.horizon=3",
                                          "ppo.minibatch=3",
                                          "actors.block=2",
                                          "actors.count=2",
                                          "normalize.clip_observation=1.4",
                                          "normalize.clip_reward=1.3",
                                          "normalize.epsilon=0.01",
                                          "normalize.gamma=0.9",
                                          "normalize.warmup_steps=4"};
  assignments.insert(assignments.end(), more.begin(), more.end());
  return LoadTrainConfig(WriteSmallConfig(folder / "c.toml").string(), assignments);
}

// Mean and variance of all numbers seen, in two passes, beside the first estimate: mean 0 and
// variance 1 with the weight of 1e-4 numbers.
struct Moments {
  double mean = 0, variance = 1;
};
Moments MomentsOf(const std::vector<double>& seen) {
  constexpr double kPrior = 1e-4;
  const double count = kPrior + seen.size();
  double sum = 0;
  for (double x : seen) sum += x;
  const double mean = sum / count;
  double squares = kPrior * (1 + mean * mean);
  for (double x : seen) squares += (x - mean) * (x - mean);
  return {mean, squares / count};
}

// One rollout, worked out plainly: all in double, one environment after the other, statistics from
// the list of everything seen.
class SlowCollector {
 public:
  SlowCollector(const TrainConfig& config, const kernels::MlpShape& shape,
                std::span<const float> weights)
      : config_(config), policy_(shape, weights), b_(config.env.num_envs), o_(shape.obs) {
    seen_.resize(o_);
    for (int i = 0; i < b_; ++i) {
      auto& player = players_.emplace_back();
      player.env = envs::MakeEnv(config.env, config.seed, i);
      player.observation.resize(o_);
      Reset(i);
      Count(player.observation);
    }
    Merge();
    if (config.normalize.update == nn::NormalizeUpdate::kPerStep) return;
    // the warm-up is cut into rollouts, too
    for (int left = config.normalize.warmup_steps; left > 0; left -= config.ppo.horizon)
      Collect(std::min(left, config.ppo.horizon));
  }

  struct Row {
    std::vector<double> observation, action, final_observation;
    double log_prob, value, raw_reward, reward = 0, final_value = 0;
    bool terminated, truncated;
  };
  struct Last {
    std::vector<double> observation;
    double value;
  };
  std::vector<Row> rows;   // [T, B] of the last Collect
  std::vector<Last> last;  // [B]

  void Collect(int steps) {
    const bool per_step = config_.normalize.update == nn::NormalizeUpdate::kPerStep;
    rows.clear();
    for (int t = 0; t < steps; ++t) {
      for (int i = 0; i < b_; ++i) rows.push_back(Step(i));
      ++step_;
      if (!per_step) continue;
      Merge();
      Finish(rows.end() - b_);
    }
    if (!per_step) Finish(rows.begin());
    last.clear();
    for (const auto& player : players_) {
      const auto x = Normalize(player.observation);
      last.push_back({x, policy_.Value(x)});
    }
    if (!per_step) Merge();
  }

  Moments observation_moments(int k) const { return merged_[k]; }
  double return_variance() const { return merged_return_.variance; }
  const std::vector<double>& episode_returns() const { return episode_returns_; }

 private:
  struct Player {
    std::unique_ptr<envs::Env> env;
    std::vector<double> observation;
    int64_t episode = 0;
    double discounted = 0, episode_return = 0;
  };

  void Reset(int i) {
    Player& p = players_[i];
    p.env->Reset(core::Philox(config_.seed, core::Role::kEnvReset, i, p.episode++), p.observation);
    p.episode_return = 0;
  }

  void Count(const std::vector<double>& observation) {
    for (int k = 0; k < o_; ++k) seen_[k].push_back(observation[k]);
  }

  void Merge() {
    merged_.clear();
    for (const auto& seen : seen_) merged_.push_back(MomentsOf(seen));
    merged_return_ = MomentsOf(seen_returns_);
  }

  std::vector<double> Normalize(const std::vector<double>& raw) const {
    std::vector<double> out;
    for (int k = 0; k < o_; ++k) {
      const double x =
          (raw[k] - merged_[k].mean) / std::sqrt(merged_[k].variance + config_.normalize.epsilon);
      out.push_back(
          std::clamp(x, -config_.normalize.clip_observation, config_.normalize.clip_observation));
    }
    return out;
  }

  Row Step(int i) {
    Player& p = players_[i];
    Row row;
    row.observation = Normalize(p.observation);
    row.value = policy_.Value(row.observation);
    row.action = policy_.Mean(row.observation);
    row.log_prob = 0;
    core::Philox rng(config_.seed, core::Role::kAction, i, step_);
    const auto& bounds = p.env->Spec().action;
    std::vector<double> clipped;
    for (size_t k = 0; k < row.action.size(); ++k) {
      const double noise = rng.Normal(), log_std = policy_.LogStd(k);
      row.action[k] += std::exp(log_std) * noise;
      row.log_prob -= noise * noise / 2 + log_std + std::log(2 * std::numbers::pi) / 2;
      clipped.push_back(std::clamp(row.action[k], bounds.low[k], bounds.high[k]));
    }
    const auto result = p.env->Step(clipped, p.observation);
    row.raw_reward = result.reward;
    row.terminated = result.terminated;
    row.truncated = result.truncated && !result.terminated;
    p.episode_return += result.reward;
    CountReturn(p, row);
    if (result.terminated || result.truncated) {
      row.final_observation = p.observation;
      episode_returns_.push_back(p.episode_return);
      Reset(i);
    }
    Count(p.observation);
    return row;
  }

  void CountReturn(Player& p, const Row& row) {
    const bool at_termination = config_.normalize.reset == nn::NormalizeReset::kTerminated;
    if (at_termination && row.terminated) p.discounted = 0;
    p.discounted = config_.normalize.gamma * p.discounted + row.raw_reward;
    seen_returns_.push_back(p.discounted);
    if (!at_termination && (row.terminated || row.truncated)) p.discounted = 0;
  }

  // With the statistics merged so far.
  void Finish(std::vector<Row>::iterator first) {
    const double scale = std::sqrt(merged_return_.variance + config_.normalize.epsilon);
    const double clip = config_.normalize.clip_reward;
    for (auto row = first; row != rows.end(); ++row) {
      row->reward = std::clamp(row->raw_reward / scale, -clip, clip);
      if (!row->truncated) continue;
      row->final_observation = Normalize(row->final_observation);
      row->final_value = policy_.Value(row->final_observation);
    }
  }

  TrainConfig config_;
  PolicyOracle policy_;
  int b_, o_;
  std::vector<Player> players_;
  int64_t step_ = 0;
  std::vector<std::vector<double>> seen_;  // [O] each: all there were
  std::vector<double> seen_returns_, episode_returns_;
  std::vector<Moments> merged_;  // [O]
  Moments merged_return_;
};

void ExpectNear(const float* found, const std::vector<double>& expected, const char* what) {
  for (size_t k = 0; k < expected.size(); ++k)
    EXPECT_NEAR(found[k], expected[k], kTolerance * (1 + std::abs(expected[k])))
        << what << ' ' << k;
}

void ExpectSame(const rollout::TrajectoryBatch& batch, const SlowCollector& slow) {
  const int b = batch.batch, o = batch.obs, a = batch.act;
  ASSERT_EQ(size_t(batch.rows()), slow.rows.size());
  for (size_t row = 0; row < slow.rows.size(); ++row) {
    SCOPED_TRACE(testing::Message() << "step " << row / b << ", environment " << row % b);
    const auto& expected = slow.rows[row];
    EXPECT_EQ(batch.terminated[row], expected.terminated);
    EXPECT_EQ(batch.truncated[row], expected.truncated);
    ExpectNear(batch.observation + row * o, expected.observation, "observation");
    ExpectNear(batch.action + row * a, expected.action, "action");
    ExpectNear(batch.log_prob + row, {expected.log_prob}, "log_prob");
    ExpectNear(batch.value + row, {expected.value}, "value");
    ExpectNear(batch.reward + row, {expected.reward}, "reward");
    ExpectNear(batch.final_value + row, {expected.final_value}, "final_value");
    if (expected.truncated) {
      ExpectNear(batch.final_observation + row * o, expected.final_observation,
                 "final_observation");
    }
  }
  for (int i = 0; i < b; ++i) {
    SCOPED_TRACE(testing::Message() << "environment " << i);
    ExpectNear(batch.last_observation + i * o, slow.last[i].observation, "last_observation");
    ExpectNear(batch.last_value + i, {slow.last[i].value}, "last_value");
  }
}

struct Made {
  explicit Made(const TrainConfig& config)
      : spec(envs::MakeEnv(config.env, config.seed, 0)->Spec()),
        shape(nn::MakeShape(config.policy, spec)),
        weights(nn::InitialWeights(config.policy, shape, config.seed)),
        collector(config, spec, shape, "") {}
  envs::EnvSpec spec;
  kernels::MlpShape shape;
  kernels::AlignedBuffer weights;
  Collector collector;
};

void ExpectRolloutsAsWorkedOut(const TrainConfig& config, int rollouts) {
  Made made(config);
  made.collector.Start(made.weights.span());
  SlowCollector slow(config, made.shape, made.weights.span());
  int truncated = 0, terminated = 0;
  for (int i = 0; i < rollouts && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "rollout " << i);
    const auto batch = made.collector.Collect(made.weights.span(), i);
    slow.Collect(config.ppo.horizon);
    ExpectSame(batch, slow);
    const auto found = made.collector.normalizer().Snapshot();
    for (int k = 0; k < made.shape.obs; ++k) {
      const Moments expected = slow.observation_moments(k);
      EXPECT_NEAR(found.mean[k], expected.mean, 1e-6) << k;
      EXPECT_NEAR(found.variance[k], expected.variance, 1e-6 * expected.variance) << k;
    }
    EXPECT_NEAR(found.return_variance, slow.return_variance(), 1e-6 * slow.return_variance());
    for (const auto& row : slow.rows) {
      truncated += row.truncated;
      terminated += row.terminated;
    }
  }
  // else the script shows nothing
  EXPECT_GT(truncated, 0);
  EXPECT_GT(terminated, 0);
  const auto& ended = slow.episode_returns();
  ASSERT_EQ(made.collector.episodes().total(), static_cast<int64_t>(ended.size()));
  if (ended.size() <= EpisodeWindow::kSize) {
    double sum = 0;
    for (double value : ended) sum += value;
    EXPECT_NEAR(made.collector.episodes().Mean().episode_return, sum / ended.size(), 1e-5);
  }
}

class CollectorModes : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(CollectorModes, FillTheRolloutAsWorkedOutPlainly) {
  TempFolder folder;
  const auto& [update, reset] = GetParam();
  ExpectRolloutsAsWorkedOut(ScriptedConfig(folder, {std::string("normalize.update=") + update,
                                                    std::string("normalize.reset=") + reset}),
                            4);
}

INSTANTIATE_TEST_SUITE_P(All, CollectorModes,
                         testing::Combine(testing::Values("rollout", "per_step"),
                                          testing::Values("done", "terminated")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::get<1>(info.param);
                         });

// Values are taken 64 rows at a time: here 70 environments, most of them cut off in every step.
TEST(Collector, ValuesMoreEndsThanOneForwardPassHolds) {
  TempFolder folder;
  ExpectRolloutsAsWorkedOut(
      ScriptedConfig(folder, {"env.num_envs=70", "ppo.horizon=2", "actors.block=32",
                              "env.args.terminate_at=[0, 0, 0, 0, 0, 0, 0, 0, 2]",
                              "env.args.truncate_at=[1, 1, 1, 1, 1, 1, 1, 1, 0]"}),
      3);
}

TEST(Collector, GoesOnFromItsSavedStateInEveryBitAndCount) {
  TempFolder folder;
  const auto config = ScriptedConfig(
      folder, {"env.args.diverge_every=2", "sim.max_divergence_rate=1", "actors.count=1"});
  Made first(config), second(config);
  first.collector.Start(first.weights.span());
  for (int i = 0; i < 4; ++i) first.collector.Collect(first.weights.span(), i);
  core::ArrayMap saved;
  first.collector.Save(saved);
  second.collector.Load(saved);
  ASSERT_GT(first.collector.diverged_episodes(), 0);
  EXPECT_EQ(second.collector.diverged_episodes(), first.collector.diverged_episodes());
  EXPECT_EQ(second.collector.env_steps(), first.collector.env_steps());
  const auto a = first.collector.Collect(first.weights.span(), 4);
  const auto b = second.collector.Collect(second.weights.span(), 4);
  for (int row = 0; row < a.rows(); ++row) {
    EXPECT_EQ(a.reward[row], b.reward[row]) << row;
    EXPECT_EQ(a.log_prob[row], b.log_prob[row]) << row;
    EXPECT_EQ(a.final_value[row], b.final_value[row]) << row;
  }
  EXPECT_EQ(second.collector.diverged_episodes(), first.collector.diverged_episodes());
  EXPECT_EQ(second.collector.episodes().total(), first.collector.episodes().total());
}

// Every fourth episode diverges: 0.25 of them.
std::vector<std::string> DivergingQuarter(const std::string& allowed) {
  return {"env.args.truncate_at=[1]", "env.args.terminate_at=[0]", "env.args.diverge_every=4",
          "sim.max_divergence_rate=" + allowed, "ppo.horizon=10"};
}

TEST(Collector, StopsTheRunWhenTooManyEpisodesDiverge) {
  TempFolder folder;
  Made made(ScriptedConfig(folder, DivergingQuarter("0.2")));
  made.collector.Start(made.weights.span());
  try {
    for (int i = 0; i < 10; ++i) made.collector.Collect(made.weights.span(), i);
    FAIL() << "0.25 of the episodes diverged, 0.2 are allowed";
  } catch (const Error& error) {
    const std::string line = error.what();
    EXPECT_NE(line.find("sim.max_divergence_rate"), std::string::npos) << line;
    EXPECT_NE(line.find("bad qvel"), std::string::npos) << line;
    EXPECT_EQ(error.exit_code(), 1);
  }
  EXPECT_GE(made.collector.episodes().total(), 100);  // fewer are no rate yet
}

TEST(Collector, GoesOnWhileFewEnoughEpisodesDiverge) {
  TempFolder folder;
  Made made(ScriptedConfig(folder, DivergingQuarter("0.3")));
  made.collector.Start(made.weights.span());
  for (int i = 0; i < 10; ++i) made.collector.Collect(made.weights.span(), i);
  // 3 environments x (4 + 10 x 10) episodes
  EXPECT_EQ(made.collector.episodes().total(), 312);
  EXPECT_EQ(made.collector.diverged_episodes(), 78);
}

}  // namespace
}  // namespace pawl::train
