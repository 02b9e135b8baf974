#include "algos/ppo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <set>

#include "nn/policy_runner.h"
#include "rollout_testing.h"

namespace pawl::algos {
namespace {
using kernels::PolicyHead;
using testing::HasSubstr;

constexpr int kTime = 16, kBatch = 4;

kernels::MlpShape SmallShape(PolicyHead head = PolicyHead::kGaussian) {
  return {.obs = 5, .act = 2, .hidden = {16, 16}, .head = head};
}

PpoConfig SmallConfig(UpdatePath path = UpdatePath::kFused) {
  PpoConfig config;
  config.horizon = kTime;
  config.epochs = 3;
  config.minibatch = 16;
  config.learning_rate = 1e-3;
  config.update_path = path;
  return config;
}

PpoLearner MakeLearner(const PpoConfig& config, const kernels::MlpShape& shape = SmallShape()) {
  return PpoLearner(config, nn::PolicyConfig{}, shape, /*seed=*/3, "cpu");
}

std::map<std::string, double> Named(const UpdateMetrics& metrics) {
  return {metrics.begin(), metrics.end()};
}

std::string MessageOf(const std::function<void()>& call, int exit_code) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), exit_code);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

class BothPaths : public testing::TestWithParam<UpdatePath> {};
INSTANTIATE_TEST_SUITE_P(Paths, BothPaths, testing::Values(UpdatePath::kFused, UpdatePath::kTorch),
                         [](const auto& info) {
                           return info.param == UpdatePath::kFused ? "Fused" : "Torch";
                         });

// One step, known best action: the mean must move to it.
TEST_P(BothPaths, LearnsAOneStepProblem) {
  PpoConfig config = SmallConfig(GetParam());
  config.epochs = 10;
  config.learning_rate = 3e-3;
  const kernels::MlpShape shape = SmallShape();
  PpoLearner learner = MakeLearner(config, shape);
  auto reward = [](const float* obs, const float* action) {
    const float x = action[0] - 0.8f, y = action[1] + 0.5f * std::tanh(obs[0]);
    return -x * x - y * y;
  };
  double first = 0, last = 0;
  for (int update = 0; update < 30; ++update) {
    TestRollout rollout = MakeTestRollout(shape, learner.Weights(), 64, kBatch, update, reward);
    std::fill(rollout.terminated.begin(), rollout.terminated.end(), 1);
    std::fill(rollout.truncated.begin(), rollout.truncated.end(), 0);
    const double mean = std::accumulate(rollout.reward.begin(), rollout.reward.end(), 0.0) / 256;
    if (update == 0) first = mean;
    last = mean;
    learner.Update(rollout.View(), update, update / 30.0);
  }
  EXPECT_LT(first, -2.5);  // two unit Gaussians and their distance
  EXPECT_GT(last, -1.2);
}

TEST_P(BothPaths, SaveAndLoadGoOnBitForBit) {
  PpoConfig config = SmallConfig(GetParam());
  config.schedule = LearningRateSchedule::kAdaptiveKl;
  PpoLearner whole = MakeLearner(config), before = MakeLearner(config);
  auto rollout = [&](const PpoLearner& learner, int update) {
    return MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 100 + update);
  };
  for (int update = 0; update < 2; ++update) {
    whole.Update(rollout(whole, update).View(), update, 0);
    before.Update(rollout(before, update).View(), update, 0);
  }
  core::ArrayMap saved;
  before.Save(saved);
  PpoConfig other_seed = config;
  PpoLearner after(other_seed, nn::PolicyConfig{}, SmallShape(), /*seed=*/3, "cpu");
  after.Load(core::FromSafetensors(core::ToSafetensors(saved), "saved"));
  for (int update = 2; update < 5; ++update) {
    const auto a = whole.Update(rollout(whole, update).View(), update, 0);
    const auto b = after.Update(rollout(after, update).View(), update, 0);
    EXPECT_EQ(a, b);
  }
  EXPECT_EQ(MaxDifference(whole.Weights(), after.Weights()), 0);
}

TEST_P(BothPaths, FirstMinibatchFindsTheActorsLogProbability) {
  for (const auto head :
       {PolicyHead::kGaussian, PolicyHead::kSquashedGaussian, PolicyHead::kCategorical}) {
    PpoLearner learner = MakeLearner(SmallConfig(GetParam()), SmallShape(head));
    const auto rollout = MakeTestRollout(SmallShape(head), learner.Weights(), kTime, kBatch, 1);
    const auto metrics = Named(learner.Update(rollout.View(), 0, 0));
    const double found = metrics.at("first_minibatch_max_log_ratio");
    if (GetParam() == UpdatePath::kFused) {
      EXPECT_EQ(found, 0);
    } else {
      EXPECT_LE(found, 1e-5);
    }
  }
}

// A stale normaliser, other weights or a clipped action show as a log-ratio: the update refuses.
TEST_P(BothPaths, LogProbabilitiesOfOtherWeightsAreRefused) {
  PpoLearner learner = MakeLearner(SmallConfig(GetParam()));
  auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  for (float& x : rollout.log_prob) x += 1e-3f;
  const std::vector<float> before(learner.Weights().begin(), learner.Weights().end());
  EXPECT_THAT(MessageOf([&] { learner.Update(rollout.View(), 0, 0); }, 1),
              HasSubstr("log-probability"));
  EXPECT_EQ(MaxDifference(learner.Weights(), before), 0);
}

TEST_P(BothPaths, BadNumbersAreNamedAndLeaveTheWeights) {
  PpoLearner learner = MakeLearner(SmallConfig(GetParam()));
  const auto good = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  const std::vector<float> before(learner.Weights().begin(), learner.Weights().end());
  auto message = [&](auto&& damage) {
    TestRollout bad = good;
    damage(bad);
    return MessageOf([&] { learner.Update(bad.View(), 0, 0); }, 1);
  };
  EXPECT_THAT(message([](TestRollout& r) { r.reward[4 * kBatch + 3] = NAN; }),
              HasSubstr("reward is nan in a rollout at step 4 of environment 3"));
  EXPECT_THAT(message([](TestRollout& r) { r.observation[5 * 6 + 2] = INFINITY; }),
              HasSubstr("observation is inf in a rollout at step 1 of environment 2"));
  EXPECT_THAT(message([](TestRollout& r) { r.action[0] = NAN; }), HasSubstr("action"));
  EXPECT_THAT(message([](TestRollout& r) { r.value[9] = NAN; }), HasSubstr("value"));
  EXPECT_THAT(message([](TestRollout& r) { r.last_value[1] = NAN; }), HasSubstr("last_value"));
  EXPECT_THAT(message([](TestRollout& r) {
                r.truncated[7] = 1;
                r.terminated[7] = 0;
                r.final_value[7] = NAN;
              }),
              HasSubstr("final_value is nan in a rollout at step 1 of environment 3"));
  EXPECT_THAT(message([](TestRollout& r) { r.reward.assign(r.reward.size(), 3e38f); }),
              HasSubstr("advantage"));
  EXPECT_EQ(MaxDifference(learner.Weights(), before), 0);
  EXPECT_EQ(learner.gradient_steps(), 0);
}

TEST_P(BothPaths, ALossThatOverflowsIsNamedAndLeavesTheWeights) {
  PpoLearner learner = MakeLearner(SmallConfig(GetParam()));
  auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  // finite, but its squared error is not
  std::fill(rollout.reward.begin(), rollout.reward.end(), 1e25f);
  const std::vector<float> before(learner.Weights().begin(), learner.Weights().end());
  EXPECT_THAT(MessageOf([&] { learner.Update(rollout.View(), 0, 0); }, 1),
              HasSubstr("value_loss is not finite at gradient step 1"));
  EXPECT_EQ(MaxDifference(learner.Weights(), before), 0);
}

// What is not valid is not read: the final value of a step that was not cut.
TEST_P(BothPaths, FinalValuesAreReadOnlyWhereTruncated) {
  PpoLearner a = MakeLearner(SmallConfig(GetParam())), b = MakeLearner(SmallConfig(GetParam()));
  auto rollout = MakeTestRollout(SmallShape(), a.Weights(), kTime, kBatch, 1);
  a.Update(rollout.View(), 0, 0);
  for (size_t row = 0; row < rollout.truncated.size(); ++row) {
    if (!rollout.truncated[row]) rollout.final_value[row] = NAN;
  }
  b.Update(rollout.View(), 0, 0);
  EXPECT_EQ(MaxDifference(a.Weights(), b.Weights()), 0);
}

// A minibatch whose KL is above 1.5 x target takes no step and ends the update (SB3).
TEST_P(BothPaths, TargetKlStopsBeforeTheStep) {
  // one minibatch an epoch: an update without a target of so many epochs takes the same steps
  PpoConfig config = SmallConfig(GetParam());
  config.minibatch = kTime * kBatch;
  config.learning_rate = 0.01;
  auto update = [&](PpoLearner& learner, int epochs, double target_kl) {
    config.epochs = epochs;
    config.target_kl = target_kl;
    learner = MakeLearner(config);
    const auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
    return Named(learner.Update(rollout.View(), 0, 0));
  };
  constexpr int kEpochs = 30;
  constexpr double kTarget = 0.02;
  PpoLearner stopped = MakeLearner(config), free = MakeLearner(config);
  const auto metrics = update(stopped, kEpochs, kTarget);
  const auto steps = static_cast<int>(metrics.at("gradient_steps"));
  ASSERT_GT(steps, 1);
  ASSERT_LT(steps, kEpochs - 1);
  EXPECT_EQ(metrics.at("epochs"), steps + 1);
  // sum of the KL of the first n minibatches
  auto kl_sum = [&](int n) { return n * update(free, n, 0).at("approx_kl"); };
  EXPECT_LE(kl_sum(steps) - kl_sum(steps - 1), 1.5 * kTarget);
  EXPECT_GT(kl_sum(steps + 1) - kl_sum(steps), 1.5 * kTarget);
  update(free, steps, 0);
  EXPECT_EQ(MaxDifference(stopped.Weights(), free.Weights()), 0);
}

TEST_P(BothPaths, TargetKlStopsInTheMiddleOfAnEpoch) {
  PpoConfig config = SmallConfig(GetParam());
  config.learning_rate = 0.05;
  config.target_kl = 0.01;
  PpoLearner learner = MakeLearner(config);
  const auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  const auto metrics = Named(learner.Update(rollout.View(), 0, 0));
  const auto steps = static_cast<int>(metrics.at("gradient_steps"));
  EXPECT_NE(steps % 4, 0);
  EXPECT_EQ(metrics.at("epochs"), steps / 4 + 1);
}

TEST_P(BothPaths, RecomputedAdvantagesChangeTheUpdateFromTheSecondEpochOn) {
  PpoConfig config = SmallConfig(GetParam());
  for (const int epochs : {1, 2}) {
    config.epochs = epochs;
    config.recompute_advantages = false;
    PpoLearner a = MakeLearner(config);
    config.recompute_advantages = true;
    PpoLearner b = MakeLearner(config);
    const auto rollout = MakeTestRollout(SmallShape(), a.Weights(), kTime, kBatch, 1);
    a.Update(rollout.View(), 0, 0);
    b.Update(rollout.View(), 0, 0);
    const double difference = MaxDifference(a.Weights(), b.Weights());
    if (epochs == 1) {
      EXPECT_EQ(difference, 0);
    } else {
      EXPECT_GT(difference, 1e-5);
    }
  }
}

// V of observations [rows, O] by the actors' kernels.
std::vector<float> Values(std::span<const float> weights, std::span<const float> observations) {
  const auto rows = static_cast<int>(observations.size() / SmallShape().obs);
  nn::PolicyRunner runner(SmallShape(), rows);
  std::vector<float> head(size_t(rows) * SmallShape().act), value(rows);
  runner.Forward(weights, observations.data(), rows, head.data(), value.data());
  return value;
}

// Generalised advantage estimation as docs/ppo.md writes it (details 1 and 3), in float64.
std::vector<double> Gae(const TestRollout& r, const PpoConfig& config) {
  std::vector<double> advantage(r.reward.size());
  for (int env = 0; env < r.batch; ++env) {
    double next_value = r.last_value[env], next_advantage = 0;
    for (int t = r.time - 1; t >= 0; --t) {
      const int row = t * r.batch + env;
      const bool done = r.terminated[row] || r.truncated[row];
      if (r.terminated[row]) next_value = 0;
      if (r.truncated[row]) next_value = r.final_value[row];
      const double delta = r.reward[row] + config.gamma * next_value - r.value[row];
      advantage[row] = delta + (done ? 0 : config.gamma * config.gae_lambda * next_advantage);
      next_value = r.value[row];
      next_advantage = advantage[row];
    }
  }
  return advantage;
}

// One minibatch an epoch, so that the values of the second epoch are those after one step, which
// an update of one epoch takes alone.
TEST_P(BothPaths, RecomputedAdvantagesAreOfTheNewestValuesAndTheClipIsFromTheOldOnes) {
  PpoConfig config = SmallConfig(GetParam());
  config.minibatch = kTime * kBatch;
  config.learning_rate = 0.02;
  config.clip_range_value = 0.01;
  config.recompute_advantages = true;
  const auto weights = RandomWeights(SmallShape(), 5);
  const TestRollout old = MakeTestRollout(SmallShape(), weights.span(), kTime, kBatch, 2);
  ASSERT_GT(std::accumulate(old.truncated.begin(), old.truncated.end(), 0), 0);
  auto update = [&](PpoLearner& learner) {
    learner.SetWeights(weights.span());
    return Named(learner.Update(old.View(), 0, 0)).at("value_loss");
  };
  config.epochs = 1;
  PpoLearner one = MakeLearner(config);
  const double first_loss = update(one);
  config.epochs = 2;
  PpoLearner two = MakeLearner(config);
  const double second_loss = 2 * update(two) - first_loss;

  TestRollout fresh = old;
  fresh.value = Values(one.Weights(), old.observation);
  fresh.last_value = Values(one.Weights(), old.last_observation);
  const auto final_value = Values(one.Weights(), old.final_observation);
  for (size_t row = 0; row < final_value.size(); ++row) {
    if (old.truncated[row]) fresh.final_value[row] = final_value[row];
  }
  // every kind of value moved by far more than the tolerance
  EXPECT_GT(MaxDifference(fresh.value, old.value), 0.1);
  EXPECT_GT(MaxDifference(fresh.last_value, old.last_value), 0.1);
  EXPECT_GT(MaxDifference(fresh.final_value, old.final_value), 0.1);
  const auto advantage = Gae(fresh, config);
  double loss = 0;
  for (size_t row = 0; row < advantage.size(); ++row) {
    // some ten float32 roundings of numbers of size 10
    ASSERT_NEAR(two.advantage()[row], advantage[row], 1e-5) << row;
    ASSERT_NEAR(two.returns()[row], advantage[row] + fresh.value[row], 1e-5) << row;
    const double moved = double(fresh.value[row]) - old.value[row];
    const double clipped = old.value[row] + std::clamp(moved, -0.01, 0.01);
    loss += std::pow(clipped - advantage[row] - fresh.value[row], 2) / advantage.size();
  }
  EXPECT_NEAR(second_loss, loss, 1e-5 * loss);
}

// Few rows, so that a deviation that is not unbiased shows.
TEST(Ppo, BatchAdvantagesHaveMeanZeroAndUnbiasedDeviationOne) {
  PpoConfig config = SmallConfig();
  config.gamma = 0;
  config.gae_lambda = 0;
  config.normalize_advantage = AdvantageNormalization::kBatch;
  PpoLearner learner = MakeLearner(config);
  auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), /*time=*/2, /*batch=*/2, 1);
  // advantages 1, 2, 3, 6: mean 3, squared deviations 4 + 1 + 0 + 9 over 3
  rollout.value.assign(4, 0.5f);
  rollout.reward = {1.5f, 2.5f, 3.5f, 6.5f};
  learner.Update(rollout.View(), 0, 0);
  const float deviation = std::sqrt(14.0f / 3);
  const float expected[] = {-2 / deviation, -1 / deviation, 0, 3 / deviation};
  EXPECT_LE(MaxDifference(learner.advantage(), expected), 1e-6);
}

// Nothing moves at a rate of 0: the loss is the sum of docs/ppo.md's terms with their signs.
TEST_P(BothPaths, LossSubtractsTheEntropyBonus) {
  PpoConfig config = SmallConfig(GetParam());
  config.learning_rate = 0;
  config.entropy_coef = 0.3;
  config.value_coef = 0.7;
  PpoLearner learner = MakeLearner(config);
  const auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  const auto metrics = Named(learner.Update(rollout.View(), 0, 0));
  // two unit Gaussians
  EXPECT_NEAR(metrics.at("entropy"), std::log(2 * std::numbers::pi * std::numbers::e), 1e-5);
  EXPECT_DOUBLE_EQ(metrics.at("loss"), metrics.at("policy_loss") + 0.7 * metrics.at("value_loss") -
                                           0.3 * metrics.at("entropy"));
}

// A replayed rollout's log-probabilities are another program's: their distance is reported only.
TEST_P(BothPaths, FirstMinibatchReportsItsLargestLogRatio) {
  PpoLearner learner = MakeLearner(SmallConfig(GetParam()));
  learner.ReplayPermutation(
      [](int64_t, int, std::span<int32_t> rows) { std::iota(rows.begin(), rows.end(), 0); });
  auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  rollout.log_prob[3] += 0.25f;
  rollout.log_prob[9] -= 0.125f;
  rollout.log_prob[40] += 0.5f;  // of the third minibatch
  const auto metrics = Named(learner.Update(rollout.View(), 0, 0));
  EXPECT_NEAR(metrics.at("first_minibatch_max_log_ratio"), 0.25, 1e-5);
}

TEST(Ppo, LinearSchedulesReachTheirEnds) {
  PpoConfig config = SmallConfig();
  config.learning_rate_final = 0;
  config.clip_range_final = 0.1;
  PpoLearner learner = MakeLearner(config);
  for (const double progress : {0.0, 0.25, 1.0}) {
    const auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
    const auto metrics = Named(learner.Update(rollout.View(), 0, progress));
    EXPECT_DOUBLE_EQ(metrics.at("learning_rate"), 1e-3 * (1 - progress));
    EXPECT_DOUBLE_EQ(metrics.at("clip_range"), 0.2 - 0.1 * progress);
  }
}

TEST(Ppo, ConstantSchedulesIgnoreProgress) {
  PpoLearner learner = MakeLearner(SmallConfig());
  const auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  const auto metrics = Named(learner.Update(rollout.View(), 7, 0.9));
  EXPECT_EQ(metrics.at("learning_rate"), 1e-3);
  EXPECT_EQ(metrics.at("clip_range"), 0.2);
}

TEST(Ppo, AdaptedRateIsRslRls) {
  struct Case {
    double rate, kl_over_desired, expected;
  };
  const Case cases[] = {
      {1e-3, 2.01, 1e-3 / 1.5}, {1e-3, 1.99, 1e-3},   {1e-3, 1, 1e-3}, {1e-3, 0.51, 1e-3},
      {1e-3, 0.49, 1.5e-3},     {1e-3, 1e-9, 1.5e-3}, {1e-3, 0, 1e-3},  // nothing was measured
      {1.2e-5, 9, 1e-5},        {9e-3, 0.1, 1e-2},    {1e-5, 9, 1e-5}, {1e-2, 0.1, 1e-2}};
  for (const Case& c : cases) {
    EXPECT_DOUBLE_EQ(AdaptedLearningRate(c.rate, 0.02 * c.kl_over_desired, 0.02), c.expected)
        << c.rate << " at " << c.kl_over_desired;
  }
}

TEST(Ppo, AdaptiveRateFollowsTheKlOfEachEpoch) {
  PpoConfig config = SmallConfig();
  config.schedule = LearningRateSchedule::kAdaptiveKl;
  config.desired_kl = 0.004;
  double rate = config.learning_rate, kl_sum = 0;
  int unlike_the_mean = 0;
  for (int epochs = 1; epochs <= 12; ++epochs) {
    // the same first epochs in every update; the last one's KL is what it adds
    config.epochs = epochs;
    PpoLearner learner = MakeLearner(config);
    const auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
    const auto metrics = Named(learner.Update(rollout.View(), 0, 0));
    EXPECT_DOUBLE_EQ(metrics.at("learning_rate"), rate) << "of the last step";
    const double mean = metrics.at("approx_kl"), kl = mean * epochs - kl_sum;
    kl_sum = mean * epochs;
    unlike_the_mean += AdaptedLearningRate(rate, mean, config.desired_kl) !=
                       AdaptedLearningRate(rate, kl, config.desired_kl);
    rate = AdaptedLearningRate(rate, kl, config.desired_kl);
    core::ArrayMap saved;
    learner.Save(saved);
    ASSERT_DOUBLE_EQ(saved.GetScalar<double>("ppo/learning_rate"), rate) << epochs << " epochs";
  }
  EXPECT_GT(unlike_the_mean, 0) << "the mean over the update would have done the same";
}

TEST(Ppo, AdaptiveRateKeepsToItsBounds) {
  PpoConfig config = SmallConfig();
  config.schedule = LearningRateSchedule::kAdaptiveKl;
  config.epochs = 30;
  auto last_rate = [&](double desired_kl) {
    config.desired_kl = desired_kl;
    PpoLearner learner = MakeLearner(config);
    const auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
    return Named(learner.Update(rollout.View(), 0, 0)).at("learning_rate");
  };
  EXPECT_DOUBLE_EQ(last_rate(1e-9), 1e-5);  // never small enough
  EXPECT_DOUBLE_EQ(last_rate(1e9), 1e-2);   // never too large
  config.epochs = 2;
  EXPECT_DOUBLE_EQ(last_rate(1e9), 1.5e-3);  // one epoch later
}

TEST(Ppo, AdaptiveRateBesideAPlannedEndIsRefused) {
  PpoConfig config = SmallConfig();
  config.schedule = LearningRateSchedule::kAdaptiveKl;
  config.learning_rate_final = 0;
  EXPECT_THAT(MessageOf([&] { MakeLearner(config); }, 2), HasSubstr("ppo.learning_rate_final"));
}

TEST(Ppo, PathIsTheFusedKernelWhereItServesAndSaysWhy) {
  PpoConfig config = SmallConfig(UpdatePath::kAuto);
  EXPECT_THAT(MakeLearner(config).PathDescription(), HasSubstr("fused CPU kernel"));
  kernels::MlpShape deep = SmallShape();
  deep.hidden = {8, 8, 8, 8};
  EXPECT_THAT(MakeLearner(config, deep).PathDescription(),
              testing::AllOf(HasSubstr("LibTorch"), HasSubstr("4 hidden layers")));
  config.update_path = UpdatePath::kTorch;
  EXPECT_THAT(MakeLearner(config).PathDescription(), HasSubstr("as configured"));
  config.update_path = UpdatePath::kFused;
  EXPECT_THAT(MessageOf([&] { MakeLearner(config, deep); }, 2), HasSubstr("4 hidden layers"));
}

// Networks that only LibTorch serves learn too, from the log-probabilities of the row kernels.
TEST(Ppo, DeepAndWideNetworksUpdateOnLibTorch) {
  kernels::MlpShape shape = SmallShape();
  shape.hidden = {300, 8, 8, 8};
  PpoLearner learner = MakeLearner(SmallConfig(UpdatePath::kAuto), shape);
  const auto weights = RandomWeights(shape, 1);
  learner.SetWeights(weights.span());
  const auto rollout = MakeTestRollout(shape, learner.Weights(), kTime, kBatch, 1);
  learner.Update(rollout.View(), 0, 0);
  EXPECT_GT(MaxDifference(learner.Weights(), weights.span()), 1e-4);
}

TEST(Ppo, EveryEpochSeesEveryRowOnceInAnOrderOfItsOwn) {
  constexpr int kRows = kTime * kBatch;
  std::vector<int32_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  std::set<std::vector<int32_t>> orders = {all};
  for (const uint64_t seed : {3, 4}) {
    for (int64_t update = 0; update < 3; ++update) {
      for (int epoch = 0; epoch < 3; ++epoch) {
        std::vector<int32_t> rows(kRows, -1), again(kRows, 7);
        ShuffleRows(seed, update, epoch, rows);
        ShuffleRows(seed, update, epoch, again);
        EXPECT_EQ(rows, again);
        EXPECT_TRUE(orders.insert(rows).second)
            << "seed " << seed << ", update " << update << ", epoch " << epoch;
        std::sort(rows.begin(), rows.end());
        EXPECT_EQ(rows, all);
      }
    }
  }
}

// Every row is as likely in every place.
TEST(Ppo, ShuffledRowsAreUniform) {
  constexpr int kRows = 5, kShuffles = 20000;
  double count[kRows][kRows] = {};
  std::vector<int32_t> rows(kRows);
  for (int update = 0; update < kShuffles; ++update) {
    ShuffleRows(/*seed=*/3, update, /*epoch=*/1, rows);
    for (int place = 0; place < kRows; ++place) ++count[place][rows[place]];
  }
  // 5 standard deviations of a binomial count
  const double p = 1.0 / kRows, bound = 5 * std::sqrt(kShuffles * p * (1 - p));
  for (const auto& place : count) {
    for (const double n : place) EXPECT_NEAR(n, kShuffles * p, bound);
  }
}

TEST(Ppo, TheLearnerTakesRowsInTheOrderOfShuffleRows) {
  const PpoConfig config = SmallConfig();
  PpoLearner own = MakeLearner(config), replayed = MakeLearner(config);
  std::vector<std::pair<int64_t, int>> asked;
  replayed.ReplayPermutation([&](int64_t update, int epoch, std::span<int32_t> rows) {
    asked.emplace_back(update, epoch);
    ShuffleRows(/*seed=*/3, update, epoch, rows);
  });
  const auto rollout = MakeTestRollout(SmallShape(), own.Weights(), kTime, kBatch, 1);
  own.Update(rollout.View(), 7, 0);
  replayed.Update(rollout.View(), 7, 0);
  EXPECT_EQ(asked, (std::vector<std::pair<int64_t, int>>{{7, 0}, {7, 1}, {7, 2}}));
  EXPECT_EQ(MaxDifference(own.Weights(), replayed.Weights()), 0);
}

// Returns are the rewards.
PpoConfig ConfigWithoutFuture() {
  PpoConfig config = SmallConfig();
  config.gamma = 0;
  config.gae_lambda = 0;
  return config;
}

TEST(Ppo, ExplainedVarianceIsOneForPerfectValuesAndNanForConstantReturns) {
  const PpoConfig config = ConfigWithoutFuture();
  PpoLearner learner = MakeLearner(config);
  auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  rollout.reward = rollout.value;
  EXPECT_NEAR(Named(learner.Update(rollout.View(), 0, 0)).at("explained_variance"), 1, 1e-6);
  PpoLearner other = MakeLearner(config);
  rollout = MakeTestRollout(SmallShape(), other.Weights(), kTime, kBatch, 1);
  std::fill(rollout.reward.begin(), rollout.reward.end(), 2.0f);
  std::fill(rollout.value.begin(), rollout.value.end(), 0.0f);
  EXPECT_TRUE(std::isnan(Named(other.Update(rollout.View(), 0, 0)).at("explained_variance")));
}

// A constant error is explained: it is the errors' variance that counts, not their square.
TEST(Ppo, ExplainedVarianceLeavesTheMeanErrorOut) {
  const PpoConfig config = ConfigWithoutFuture();
  PpoLearner learner = MakeLearner(config);
  auto rollout = MakeTestRollout(SmallShape(), learner.Weights(), kTime, kBatch, 1);
  // errors are half the return, less 3: a quarter of the variance is left
  for (size_t i = 0; i < rollout.value.size(); ++i) rollout.value[i] = 3 + rollout.reward[i] / 2;
  EXPECT_NEAR(Named(learner.Update(rollout.View(), 0, 0)).at("explained_variance"), 0.75, 1e-6);
}

TEST(Ppo, ConfigRoundTripsThroughToml) {
  PpoConfig config = SmallConfig(UpdatePath::kTorch);
  config.normalize_advantage = AdvantageNormalization::kBatch;
  config.schedule = LearningRateSchedule::kAdaptiveKl;
  PpoConfig loaded;
  core::LoadConfig(core::Table::ParseString(core::ToToml(core::DescribeConfig(config)), "test"),
                   loaded);
  EXPECT_EQ(core::ToToml(core::DescribeConfig(loaded)), core::ToToml(core::DescribeConfig(config)));
}

}  // namespace
}  // namespace pawl::algos
