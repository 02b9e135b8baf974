// The trainer on LibTorch against PEFT's recorded gradients and the trainer on the CPU kernels.
#include "nn/torch_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "tests/nn/peft_golden.h"
#include "tests/nn/trainer_comparison.h"

namespace pawl::nn {
namespace {

class TorchTrainer : public testing::TestWithParam<std::string> {
 protected:
  TrainerPair Trainers(const LanguageTrainerOptions& options) const {
    return MakeTrainers(golden_, options, "cpu");
  }
  std::unique_ptr<LanguageTrainer> Torch(const LanguageTrainerOptions& options) const {
    return MakeTorchTrainer(golden_.layout, From(golden_.weights), options, "cpu");
  }
  const LanguageGolden golden_ = ReadLanguageGolden(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Families, TorchTrainer, testing::ValuesIn(GoldenFamilies()),
                         [](const auto& info) { return info.param; });

TEST_P(TorchTrainer, StepsAreThoseOfTheCpuKernels) {
  ExpectSameTraining(Trainers({}), golden_);
  ExpectSameTraining(Trainers({.micro_batch_tokens = 20, .checkpoint_activations = true}), golden_);
}

TEST_P(TorchTrainer, TemperatureIsThatOfTheCpuKernels) {
  ExpectSameTraining(Trainers({.temperature = 0.7f}), golden_);
}

TEST_P(TorchTrainer, StepsOfANewAdapterAreThoseOfTheCpuKernels) {
  ExpectSameTraining(Trainers({.lora = AllLinears()}), golden_);
  ExpectSameTraining(Trainers({.checkpoint_activations = true, .lora = AllLinears()}), golden_);
}

TEST_P(TorchTrainer, Bfloat16IsNearTheCpuKernels) {
  ExpectSimilarGradient(Trainers({.compute = ComputeType::kBf16}), golden_);
  ExpectSimilarGradient(Trainers({.compute = ComputeType::kBf16, .lora = AllLinears()}), golden_);
}

// Sums in another order only.
TEST_P(TorchTrainer, MicroBatchesDoNotMatter) {
  const OwnedSequences batch = MixedBatch(golden_, 4);
  for (const auto& lora : {std::optional<LoraConfig>(), std::optional(AllLinears())}) {
    const auto whole = AllGradients(*Torch({.lora = lora}), batch);
    for (const int64_t tokens : {1, 20, 33}) {
      const auto parts = AllGradients(*Torch({.micro_batch_tokens = tokens, .lora = lora}), batch);
      EXPECT_LE(LargestDifference(parts, whole), 4e-6 * Largest(whole) * Scale()) << tokens;
    }
  }
}

TEST_P(TorchTrainer, ScoringAndLearningSeeTheSameLogProbabilities) {
  const OwnedSequences batch = MixedBatch(golden_, 7);
  const int64_t targets = CountTargets(batch.view());
  const auto trainers = Trainers({});
  std::vector<float> learned(targets), scored(targets), entropy(targets), cpu(targets);
  trainers.torch->Gradient(batch.view(), MeanLoss(1), learned, {});
  trainers.torch->Score(batch.view(), scored, entropy);
  EXPECT_LE(LargestDifference(scored, learned), 1e-5 * Scale());
  trainers.cpu->Score(batch.view(), scored, cpu);
  EXPECT_LE(LargestDifference(entropy, cpu), 1e-5 * Largest(cpu) * Scale());
}

// Trains a step, saves, loads into a trainer that started elsewhere; both must go on alike.
void ExpectToGoOnAlike(LanguageTrainer& from, LanguageTrainer& to, const LanguageGolden& golden) {
  const AdamWSettings settings{.learning_rate = 1e-2, .epsilon = 1e-2, .weight_decay = 0.1};
  const auto step = [&](LanguageTrainer& trainer, int64_t index) {
    AllGradients(trainer, MixedBatch(golden, static_cast<uint64_t>(index)));
    trainer.Step(settings, 0.5f, index);
  };
  step(from, 1);
  step(from, 2);
  core::ArrayMap saved;
  from.Save(saved);
  to.Load(saved);
  EXPECT_EQ(LargestDifference(from.Weights(), to.Weights()), 0);
  if (from.Lora() != nullptr) {
    EXPECT_EQ(LargestDifference(from.Lora()->values(), to.Lora()->values()), 0);
  }
  step(from, 3);
  step(to, 3);
  EXPECT_LE(LargestDifference(to.Weights(), from.Weights()),
            1e-5 * Largest(from.Weights()) * Scale());
  if (from.Lora() != nullptr) {
    EXPECT_LE(LargestDifference(to.Lora()->values(), from.Lora()->values()),
              1e-5 * Largest(from.Lora()->values()) * Scale());
  }
}

TEST_P(TorchTrainer, CheckpointsMoveBetweenTheTrainers) {
  auto saving_norms = AllLinears();
  saving_norms.modules_to_save = {GetParam() == "gpt2" ? "ln_f" : "norm"};
  for (const auto& lora : {std::optional<LoraConfig>(), std::optional(saving_norms)}) {
    for (const bool from_torch : {true, false}) {
      TrainerPair trainers = Trainers({.lora = lora});
      // the other one starts from something else; frozen weights are no part of a checkpoint
      const FillWeights other = [&](std::span<float> to) {
        std::copy(golden_.weights.begin(), golden_.weights.end(), to.begin());
        if (!lora) std::transform(to.begin(), to.end(), to.begin(), [](float w) { return w / 2; });
      };
      const LanguageTrainerOptions options{.lora = lora, .seed = 2};
      if (from_torch) {
        const auto to = MakeCpuTrainer(golden_.layout, other, options);
        ExpectToGoOnAlike(*trainers.torch, *to, golden_);
      } else {
        const auto to = MakeTorchTrainer(golden_.layout, other, options, "cpu");
        ExpectToGoOnAlike(*trainers.cpu, *to, golden_);
      }
    }
  }
}

class TorchPeftParity : public testing::TestWithParam<PeftCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, TorchPeftParity, testing::ValuesIn(PeftCases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(TorchPeftParity, LossAndEveryGradientAreThoseOfPeft) {
  const PeftGolden golden = ReadPeftGolden(GetParam());
  for (const bool recompute : {false, true}) {
    const auto trainer = MakeTorchTrainer(
        golden.base.layout, From(golden.base.weights),
        {.checkpoint_activations = recompute, .adapter_folder = golden.folder.string()}, "cpu");
    ExpectPeftGradients(golden, *trainer);
  }
}

TEST_P(TorchPeftParity, StepsAreThoseOfTheCpuKernels) {
  const PeftGolden golden = ReadPeftGolden(GetParam());
  ExpectSameTraining(MakeTrainers(golden.base, {.adapter_folder = golden.folder.string()}, "cpu"),
                     golden.base);
}

TEST_P(TorchPeftParity, FrozenWeightsStayAsTheyAre) {
  const PeftGolden golden = ReadPeftGolden(GetParam());
  const auto trainer = MakeTorchTrainer(golden.base.layout, From(golden.base.weights),
                                        {.adapter_folder = golden.folder.string()}, "cpu");
  const std::vector<float> before(trainer->Weights().begin(), trainer->Weights().end());
  const std::vector<float> adapter(trainer->Lora()->values().begin(),
                                   trainer->Lora()->values().end());
  AllGradients(*trainer, GoldenSequences(golden.arrays));
  trainer->Step({.learning_rate = 1e-2, .weight_decay = 0.1}, 1, 1);
  EXPECT_GT(LargestDifference(trainer->Lora()->values(), adapter), 1e-3);
  const auto& saved = trainer->Lora()->layout().saved();
  for (const ModelParameter& p : golden.base.layout->parameters()) {
    const bool learns = std::any_of(saved.begin(), saved.end(),
                                    [&](const auto* other) { return other->name == p.name; });
    const double moved = LargestDifference(trainer->Weights().subspan(p.offset, p.count),
                                           std::span(before).subspan(p.offset, p.count));
    EXPECT_EQ(moved > 0, learns) << p.name;
  }
}

class TorchTrainerTest : public testing::Test {
 protected:
  std::unique_ptr<LanguageTrainer> Make(const LanguageTrainerOptions& options,
                                        const std::string& device = "cpu") const {
    return MakeTorchTrainer(golden_.layout, From(golden_.weights), options, device);
  }
  const LanguageGolden golden_ = ReadLanguageGolden("qwen2");
};

// The loss's view of entropy is one, whichever trainer: real where it is wanted, else zeros.
TEST_F(TorchTrainerTest, EntropyReachesTheLossOnlyWhereItIsWanted) {
  const OwnedSequences batch = MixedBatch(golden_, 2);
  std::vector<float> log_prob(CountTargets(batch.view()));
  for (const bool wanted : {false, true}) {
    const auto trainers = MakeTrainers(golden_, {.want_entropy = wanted}, "cpu");
    std::vector<double> norms;
    for (LanguageTrainer* trainer : {trainers.cpu.get(), trainers.torch.get()}) {
      float seen = 0;
      const kernels::TokenLoss loss = [&](int64_t, std::span<const float>,
                                          std::span<const float> entropy,
                                          std::span<float> dlog_prob, std::span<float> dentropy) {
        seen = std::max(seen, *std::max_element(entropy.begin(), entropy.end()));
        std::fill(dlog_prob.begin(), dlog_prob.end(), -1.0f);
        std::fill(dentropy.begin(), dentropy.end(), 1.0f);
      };
      trainer->Gradient(batch.view(), loss, log_prob, {});
      EXPECT_EQ(seen > 0, wanted);
      norms.push_back(trainer->GradientNorm());
    }
    EXPECT_NEAR(norms[0] / norms[1], 1, 1e-5 * Scale());
  }
}

TEST_F(TorchTrainerTest, SaysWhereItRuns) {
  EXPECT_EQ(Make({})->Description(), "LibTorch on cpu, float32");
  EXPECT_EQ(Make({.compute = ComputeType::kBf16, .checkpoint_activations = true})->Description(),
            "LibTorch on cpu, bfloat16, activations recomputed");
}

TEST_F(TorchTrainerTest, CudaWithoutADeviceIsTheUsersError) {
  // libpawl_cuda.so is not loaded here, so there is none whatever the machine
  try {
    Make({}, "cuda");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no CUDA device is usable"));
  }
}

}  // namespace
}  // namespace pawl::nn
