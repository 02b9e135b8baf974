// The fused kernel against LibTorch autograd, over every option that both serve.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "algos/ppo.h"
#include "rollout_testing.h"

namespace pawl::algos {
namespace {
using kernels::Activation;
using kernels::PolicyHead;

constexpr int kTime = 32, kBatch = 5;  // 160 rows: minibatches of 36 leave a short one of 16

PpoConfig GridConfig(UpdatePath path) {
  PpoConfig config;
  config.horizon = kTime;
  config.epochs = 2;
  config.minibatch = 36;  // 5 a pass: 10 gradient steps
  config.learning_rate = 1e-3;
  config.entropy_coef = 0.01;
  config.update_path = path;
  return config;
}

std::unique_ptr<PpoLearner> MakeLearner(const PpoConfig& config, const kernels::MlpShape& shape,
                                        std::span<const float> weights) {
  auto learner = std::make_unique<PpoLearner>(config, nn::PolicyConfig{}, shape, /*seed=*/3, "cpu");
  learner->SetWeights(weights);
  return learner;
}

double Metric(const UpdateMetrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no metric " << name;
  return 0;
}

std::string CaseName(const testing::TestParamInfo<std::tuple<Activation, bool, PolicyHead>>& info) {
  constexpr const char* kActivations[] = {"Tanh", "Relu", "Elu"};
  constexpr const char* kHeads[] = {"Gaussian", "Squashed", "Categorical"};
  const auto& [activation, shared, head] = info.param;
  return std::string(kActivations[int(activation)]) + (shared ? "Shared" : "Separate") +
         kHeads[int(head)];
}

class FusedGrid : public testing::TestWithParam<std::tuple<Activation, bool, PolicyHead>> {};

// 1e-5 after 10 gradient steps at a rate of 1e-3: float32 sums in another order differ by about
// 1e-6 of the gradient, and Adam moves a weight by at most the rate per step, so a wrong term shows
// as 1e-3 or more.
TEST_P(FusedGrid, EqualsAutogradAfterTenSteps) {
  const auto& [activation, shared, head] = GetParam();
  double worst = 0;
  for (const std::vector<int>& hidden : {std::vector<int>{64, 64}, {17, 9, 33}, {256}}) {
    const kernels::MlpShape shape{.obs = 11,
                                  .act = 3,
                                  .hidden = hidden,
                                  .activation = activation,
                                  .shared = shared,
                                  .head = head};
    const auto weights = RandomWeights(shape, 7);
    const TestRollout rollout = MakeTestRollout(shape, weights.span(), kTime, kBatch, 11);
    for (const double clip_value : {0.0, 0.1}) {
      for (const double target_kl : {0.0, 0.003}) {
        for (const auto normalize :
             {AdvantageNormalization::kMinibatch, AdvantageNormalization::kBatch,
              AdvantageNormalization::kNone}) {
          SCOPED_TRACE(testing::Message() << "hidden " << testing::PrintToString(hidden)
                                          << ", value clip " << clip_value << ", target KL "
                                          << target_kl << ", normalisation " << int(normalize));
          UpdateMetrics metrics[2];
          std::unique_ptr<PpoLearner> learners[2];
          for (int path = 0; path < 2; ++path) {
            PpoConfig config = GridConfig(path == 0 ? UpdatePath::kFused : UpdatePath::kTorch);
            config.clip_range_value = clip_value;
            config.target_kl = target_kl;
            config.normalize_advantage = normalize;
            learners[path] = MakeLearner(config, shape, weights.span());
            metrics[path] = learners[path]->Update(rollout.View(), 0, 0);
          }
          const double difference = MaxDifference(learners[0]->Weights(), learners[1]->Weights());
          worst = std::max(worst, difference);
          EXPECT_LE(difference, 1e-5);
          EXPECT_GT(MaxDifference(learners[0]->Weights(), weights.span()), 1e-4)
              << "nothing was learnt";
          EXPECT_EQ(learners[0]->gradient_steps(), learners[1]->gradient_steps());
          if (target_kl == 0) {
            EXPECT_EQ(learners[0]->gradient_steps(), 10);
          }
          for (size_t i = 0; i < metrics[0].size(); ++i) {
            if (std::isnan(metrics[0][i].second) && std::isnan(metrics[1][i].second))
              continue;  // std of a categorical
            EXPECT_NEAR(metrics[0][i].second, metrics[1][i].second,
                        2e-5 * (1 + std::fabs(metrics[1][i].second)))
                << metrics[0][i].first;
          }
          EXPECT_EQ(Metric(metrics[0], "first_minibatch_max_log_ratio"), 0.0);
        }
      }
    }
  }
  RecordProperty("worst_difference", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(
    Options, FusedGrid,
    testing::Combine(testing::Values(Activation::kTanh, Activation::kRelu, Activation::kElu),
                     testing::Bool(),
                     testing::Values(PolicyHead::kGaussian, PolicyHead::kSquashedGaussian,
                                     PolicyHead::kCategorical)),
    CaseName);

TEST(FusedUpdate, TargetKlOfTheGridStopsSomeUpdatesEarly) {
  const kernels::MlpShape shape{.obs = 11, .act = 3, .hidden = {64, 64}};
  const auto weights = RandomWeights(shape, 7);
  PpoConfig config = GridConfig(UpdatePath::kFused);
  config.target_kl = 0.003;
  const auto learner = MakeLearner(config, shape, weights.span());
  const TestRollout rollout = MakeTestRollout(shape, weights.span(), kTime, kBatch, 11);
  learner->Update(rollout.View(), 0, 0);
  EXPECT_GT(learner->gradient_steps(), 0);
  EXPECT_LT(learner->gradient_steps(), 10);
}

TEST(FusedUpdate, OneAndTwoThreadsGiveTheSameBits) {
  for (const bool shared : {false, true}) {
    const kernels::MlpShape shape{.obs = 17, .act = 6, .hidden = {64, 64}, .shared = shared};
    const auto weights = RandomWeights(shape, 5);
    const TestRollout rollout = MakeTestRollout(shape, weights.span(), 64, 3, 2);
    std::unique_ptr<PpoLearner> learners[2];
    for (int threads = 1; threads <= 2; ++threads) {
      PpoConfig config = GridConfig(UpdatePath::kFused);
      config.update_threads = threads;
      learners[threads - 1] = MakeLearner(config, shape, weights.span());
      learners[threads - 1]->Update(rollout.View(), 0, 0);
    }
    EXPECT_EQ(MaxDifference(learners[0]->Weights(), learners[1]->Weights()), 0)
        << (shared ? "shared" : "separate");
  }
}

// A minibatch of one row normalises nothing and divides by nothing.
TEST(FusedUpdate, MinibatchesOfOneRowEqualAutograd) {
  const kernels::MlpShape shape{.obs = 1, .act = 1, .hidden = {1}};
  const auto weights = RandomWeights(shape, 9);
  const TestRollout rollout = MakeTestRollout(shape, weights.span(), 5, 1, 4);
  std::unique_ptr<PpoLearner> learners[2];
  for (int path = 0; path < 2; ++path) {
    PpoConfig config = GridConfig(path == 0 ? UpdatePath::kFused : UpdatePath::kTorch);
    config.minibatch = 1;
    learners[path] = MakeLearner(config, shape, weights.span());
    learners[path]->Update(rollout.View(), 0, 0);
  }
  EXPECT_LE(MaxDifference(learners[0]->Weights(), learners[1]->Weights()), 1e-5);
}

}  // namespace
}  // namespace pawl::algos
