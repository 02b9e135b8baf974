#include "tests/nn/trainer_comparison.h"

#include <gtest/gtest.h>

#include "nn/torch_trainer.h"
#include "tests/nn/peft_golden.h"

namespace pawl::nn {
namespace {

// The largest difference relative to the largest value.
void ExpectClose(std::span<const float> ours, std::span<const float> expected, double tolerance,
                 const std::string& what) {
  EXPECT_LE(LargestDifference(ours, expected), (tolerance * Largest(expected) + 1e-7) * Scale())
      << what;
}

double Norm(std::span<const float> values) {
  double squares = 0;
  for (const float x : values) squares += double{x} * x;
  return std::sqrt(squares);
}

// Relative to the expected values' norm.
double Distance(std::span<const float> ours, std::span<const float> expected) {
  std::vector<float> difference(ours.begin(), ours.end());
  for (size_t i = 0; i < difference.size(); ++i) difference[i] -= expected[i];
  return Norm(difference) / Norm(expected);
}

// What both say of a batch.
struct Pass {
  Pass(LanguageTrainer& trainer, const OwnedSequences& batch)
      : log_prob(CountTargets(batch.view())), entropy(log_prob.size()) {
    const auto targets = static_cast<double>(log_prob.size());
    trainer.Gradient(batch.view(), PolicyLoss(targets), log_prob, entropy);
    for (const auto& part : trainer.Gradients()) {
      names.push_back(part.name);
      gradients.emplace_back(part.values.begin(), part.values.end());
    }
    norm = trainer.GradientNorm();
  }
  std::vector<float> log_prob, entropy;
  std::vector<std::string> names;
  std::vector<std::vector<float>> gradients;
  double norm = 0;
};

}  // namespace

LoraConfig AllLinears() {
  LoraConfig config;
  config.rank = 3;
  config.alpha = 6;
  config.target_modules = {"all-linear"};
  return config;
}

std::vector<float> AllGradients(LanguageTrainer& trainer, const OwnedSequences& batch) {
  std::vector<float> log_prob(CountTargets(batch.view())), all;
  trainer.Gradient(batch.view(), PolicyLoss(10), log_prob, {});
  for (const auto& gradient : trainer.Gradients())
    all.insert(all.end(), gradient.values.begin(), gradient.values.end());
  return all;
}

TrainerPair MakeTrainers(const LanguageGolden& golden, const LanguageTrainerOptions& options,
                         const std::string& device) {
  const FillWeights fill = From(golden.weights);
  return {.cpu = MakeCpuTrainer(golden.layout, fill, options),
          .torch = MakeTorchTrainer(golden.layout, fill, options, device)};
}

OwnedSequences MixedBatch(const LanguageGolden& golden, uint64_t seed) {
  auto batch = RandomSequences({12, 3, 30, 1, 8, 8, 21, 2}, golden.layout->config().vocab, seed,
                               /*prompt=*/2);
  batch.is_target[18] = 0;  // a gap among the targets
  return batch;
}

kernels::TokenLoss PolicyLoss(double normaliser) {
  return [normaliser](int64_t first, std::span<const float> log_prob, std::span<const float>,
                      std::span<float> dlog_prob, std::span<float> dentropy) {
    for (size_t i = 0; i < log_prob.size(); ++i) {
      const auto weight = static_cast<double>((first + static_cast<int64_t>(i)) % 5 - 1);
      dlog_prob[i] = static_cast<float>(-weight / normaliser);
      dentropy[i] = static_cast<float>(-0.125 / normaliser);
    }
  };
}

void ExpectSameTraining(TrainerPair trainers, const LanguageGolden& golden) {
  const auto learned = [&] {  // something that must move
    const LoraWeights* lora = trainers.torch->Lora();
    const auto values = lora == nullptr ? trainers.torch->Weights() : lora->values();
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> start = learned();
  for (int64_t step = 1; step <= 3; ++step) {
    SCOPED_TRACE(step);
    const OwnedSequences batch = MixedBatch(golden, static_cast<uint64_t>(step));
    const Pass cpu(*trainers.cpu, batch), torch(*trainers.torch, batch);
    ExpectClose(torch.log_prob, cpu.log_prob, 1e-5, "log_prob");
    ExpectClose(torch.entropy, cpu.entropy, 1e-5, "entropy");
    EXPECT_EQ(torch.names, cpu.names);
    for (size_t i = 0; i < cpu.names.size(); ++i) {
      ExpectClose(torch.gradients[i], cpu.gradients[i], 2e-5, cpu.names[i]);
    }
    EXPECT_NEAR(torch.norm / cpu.norm, 1, 1e-5 * Scale());
    // an epsilon of the gradients' order: with a small one, the sign of a gradient that is nothing
    // but rounding would move its weight by the whole learning rate; a small rate, as differences
    // of weights grow from step to step
    for (LanguageTrainer* trainer : {trainers.cpu.get(), trainers.torch.get()}) {
      trainer->Step({.learning_rate = 1e-3, .beta2 = 0.95, .epsilon = 1e-2, .weight_decay = 0.5},
                    static_cast<float>(1 / cpu.norm), step);
    }
    ExpectClose(trainers.torch->Weights(), trainers.cpu->Weights(), 1e-5, "weights");
    if (const LoraWeights* lora = trainers.cpu->Lora()) {
      ExpectClose(trainers.torch->Lora()->values(), lora->values(), 1e-5, "adapter");
    }
  }
  EXPECT_GT(LargestDifference(learned(), start), 3e-4);
}

// Both round the operands of products to 2^-9; LibTorch also rounds what comes out of a linear and
// goes into attention, and does so some 20 times in a row.
void ExpectSimilarGradient(TrainerPair trainers, const LanguageGolden& golden) {
  const OwnedSequences batch = MixedBatch(golden, 1);
  const Pass cpu(*trainers.cpu, batch), torch(*trainers.torch, batch);
  EXPECT_LT(Distance(torch.log_prob, cpu.log_prob), 0.03 * Scale());
  std::vector<float> all_torch, all_cpu;
  for (size_t i = 0; i < cpu.names.size(); ++i) {
    all_cpu.insert(all_cpu.end(), cpu.gradients[i].begin(), cpu.gradients[i].end());
    all_torch.insert(all_torch.end(), torch.gradients[i].begin(), torch.gradients[i].end());
  }
  EXPECT_LT(Distance(all_torch, all_cpu), 0.08 * Scale());
}

}  // namespace pawl::nn
