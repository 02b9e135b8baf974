// Ten training steps against PyTorch's (tests/goldens/make_training.py): losses, gradient norms and
// the weights they lead to.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <bit>
#include <numeric>

#include "nn/torch_trainer.h"
#include "tests/nn/language_testing.h"

namespace pawl::nn {
namespace {

// A bias of all keys adds the same to every score of a query: its derivative is 0, and Adam walks
// on the rounding errors.
bool IsKeyBias(const ModelParameter& parameter, int64_t index) {
  const auto width = static_cast<int64_t>(parameter.count) / 3;
  return parameter.name.ends_with("c_attn.bias") && index >= width && index < 2 * width;
}

class TrainingGolden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    model_ = ReadLanguageGolden(GetParam());
    golden_ = core::ReadSafetensors(
        (GoldensFolder() / "training" / (GetParam() + ".safetensors")).string());
  }
  struct Result {
    std::vector<double> loss, grad_norm;
    std::vector<float> weights;
  };
  Result Train(const LanguageTrainerOptions& options) const {
    return StepsOf(MakeCpuTrainer(model_.layout, From(model_.weights), options));
  }
  Result StepsOf(std::unique_ptr<LanguageTrainer> trainer) const {
    const auto tokens = golden_.Get<int32_t>("tokens");
    const auto rates = golden_.Get<double>("learning_rate");
    const auto& shape = golden_.At("tokens").shape;
    Result result;
    for (int64_t step = 0; step < shape[0]; ++step) {
      const int64_t count = shape[1] * shape[2];
      const OwnedSequences batch = RowsOf(tokens.subspan(step * count, count), shape[2]);
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
  void ExpectGolden(const Result& result) const {
    const auto loss = golden_.Get<double>("loss");
    const auto norm = golden_.Get<double>("grad_norm");
    for (size_t step = 0; step < loss.size(); ++step) {
      EXPECT_NEAR(result.loss[step], loss[step], 2e-5 * loss[step]) << step;
      EXPECT_NEAR(result.grad_norm[step], norm[step], 2e-4 * norm[step]) << step;
    }
    EXPECT_LT(loss.back(), loss.front());  // they learned something
    for (const ModelParameter& parameter : model_.layout->parameters()) {
      const auto expected = golden_.Get<float>("weight/" + parameter.name);
      double worst = 0;
      for (size_t i = 0; i < parameter.count; ++i) {
        const auto at = static_cast<int64_t>(i);
        if (IsKeyBias(parameter, at)) continue;
        const int64_t in = parameter.stored_transposed ? parameter.shape[1] : 1;
        const int64_t out = parameter.stored_transposed ? parameter.shape[0] : 1;
        const int64_t stored = parameter.stored_transposed ? at % in * out + at / in : at;
        worst = std::max(worst, std::fabs(double{result.weights[parameter.offset + i]} -
                                          expected[static_cast<size_t>(stored)]));
      }
      // a step moves a weight by up to the learning rate; where Adam divides two numbers that are
      // both rounding errors, by any part of it
      EXPECT_LT(worst, 3e-4) << parameter.name;
    }
  }
  LanguageGolden model_;
  core::ArrayMap golden_;
};
INSTANTIATE_TEST_SUITE_P(Families, TrainingGolden, testing::Values("llama3", "gpt2"),
                         [](const auto& info) { return info.param; });

TEST_P(TrainingGolden, LossesNormsAndWeightsAreThoseOfPyTorch) {
  ExpectGolden(Train({.threads = 2}));
}

TEST_P(TrainingGolden, OnLibTorchTheyAreToo) {
  ExpectGolden(StepsOf(MakeTorchTrainer(model_.layout, From(model_.weights), {}, "cpu")));
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
    a->Score(batch.view(), scored, {});
    b->Score(batch.view(), again, {});
    EXPECT_EQ(scored, again);
  }
}

}  // namespace
}  // namespace pawl::nn
