// Ten training steps against PyTorch's (tests/goldens/make_training.py): losses, gradient norms and
// the weights they lead to.
#include "tests/nn/training_golden.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <bit>
#include <numeric>

#include "nn/torch_trainer.h"

namespace pawl::nn {
namespace {

class TrainingGolden : public testing::TestWithParam<std::string> {
 protected:
  TrainingResult Train(const LanguageTrainerOptions& options) const {
    return StepsOf(MakeCpuTrainer(model_.layout, From(model_.weights), options));
  }
  TrainingResult StepsOf(std::unique_ptr<LanguageTrainer> trainer) const {
    const auto rates = golden_.arrays.Get<double>("learning_rate");
    TrainingResult result;
    for (int64_t step = 0; step < golden_.steps(); ++step) {
      const OwnedSequences batch = golden_.Batch(step);
      std::vector<float> log_prob(CountTargets(batch.view()));
      const auto targets = static_cast<double>(log_prob.size());
      trainer->Gradient(batch.view(), MeanLoss(targets), log_prob, {});
      result.loss.push_back(-std::accumulate(log_prob.begin(), log_prob.end(), 0.0) / targets);
      const double norm = trainer->GradientNorm();
      result.grad_norm.push_back(norm);
      trainer->Step({.learning_rate = rates[step], .beta2 = 0.95, .weight_decay = 0.1},
                    static_cast<float>(std::min(1.0, 1 / norm)), step + 1);
    }
    result.weights.assign(trainer->Weights().begin(), trainer->Weights().end());
    return result;
  }
  const TrainingGoldenCase golden_ = ReadTrainingGolden(GetParam());
  const LanguageGolden& model_ = golden_.model;
};
INSTANTIATE_TEST_SUITE_P(Families, TrainingGolden, testing::Values("llama3", "gpt2"),
                         [](const auto& info) { return info.param; });

TEST_P(TrainingGolden, LossesNormsAndWeightsAreThoseOfPyTorch) {
  ExpectTrainingGolden(golden_, Train({.threads = 2}));
}

TEST_P(TrainingGolden, OnLibTorchTheyAreToo) {
  ExpectTrainingGolden(golden_,
                       StepsOf(MakeTorchTrainer(model_.layout, From(model_.weights), {}, "cpu")));
}

// No number of the learner passes through ATen, whose sums may change with its threads.
TEST_P(TrainingGolden, TheBitsDoNotDependOnATensThreads) {
  std::vector<std::vector<float>> weights;
  const int before = at::get_num_threads();
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    weights.push_back(Train({.threads = 2}).weights);
  }
  at::set_num_threads(before);
  EXPECT_TRUE(std::equal(
      weights[0].begin(), weights[0].end(), weights[1].begin(),
      [](float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }));
}

TEST_P(TrainingGolden, SavedInTheMiddleAndLoadedElsewhereItGoesOnBitForBit) {
  const auto batch = RandomSequences({12, 30, 8}, model_.layout->config().vocab, 8);
  std::vector<float> log_prob(CountTargets(batch.view()));
  for (const auto compute : {ComputeType::kF32, ComputeType::kBf16}) {
    auto a = MakeCpuTrainer(model_.layout, From(model_.weights), {.compute = compute});
    const auto step = [&](LanguageTrainer& trainer, int64_t index) {
      trainer.Gradient(batch.view(), MeanLoss(10), log_prob, {});
      trainer.Step({.learning_rate = 1e-2}, 0.5f, index);
    };
    step(*a, 1);
    step(*a, 2);
    core::ArrayMap saved;
    a->Save(saved);
    auto b = MakeCpuTrainer(model_.layout,
                            [](std::span<float> to) { std::fill(to.begin(), to.end(), 0.1f); },
                            {.compute = compute, .threads = 2});
    b->Load(saved);
    for (int64_t index = 3; index < 5; ++index) {
      step(*a, index);
      step(*b, index);
    }
    EXPECT_TRUE(std::equal(a->Weights().begin(), a->Weights().end(), b->Weights().begin()));
    std::vector<float> scored(log_prob.size()), again(log_prob.size());
    a->Score(batch.view(), {scored});
    b->Score(batch.view(), {again});
    EXPECT_EQ(scored, again);
  }
}

}  // namespace
}  // namespace pawl::nn
