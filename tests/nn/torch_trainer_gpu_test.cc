// The trainer on LibTorch on a CUDA device beside the trainer on the CPU kernels.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "kernels/cuda_library.h"
#include "tests/nn/peft_golden.h"
#include "tests/nn/trainer_comparison.h"

namespace pawl::nn {
namespace {

class TorchTrainerGpu : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
#ifdef PAWL_CUDA_LIBRARY
    // a machine without a GPU may lack the CUDA libraries; with one, loading must work
    try {
      const auto library = kernels::CudaLibrary::Load(PAWL_CUDA_LIBRARY);
      if (library.DeviceCount() == 0) GTEST_SKIP() << "no CUDA device is visible";
    } catch (const Error& error) {
      if (std::filesystem::exists("/dev/nvidiactl")) throw;
      GTEST_SKIP() << error.what();
    }
    golden_ = ReadLanguageGolden(GetParam());
#else
    GTEST_SKIP() << "libpawl_cuda.so is not built";
#endif
  }
  TrainerPair Trainers(const LanguageTrainerOptions& options) const {
    return MakeTrainers(golden_, options, "cuda");
  }
  LanguageGolden golden_;
};
INSTANTIATE_TEST_SUITE_P(Families, TorchTrainerGpu, testing::ValuesIn(GoldenFamilies()),
                         [](const auto& info) { return info.param; });

TEST_P(TorchTrainerGpu, StepsAreThoseOfTheCpuKernels) {
  ExpectSameTraining(Trainers({}), golden_);
  ExpectSameTraining(Trainers({.micro_batch_tokens = 20, .checkpoint_activations = true}), golden_);
}

TEST_P(TorchTrainerGpu, StepsOfANewAdapterAreThoseOfTheCpuKernels) {
  LoraConfig lora;
  lora.rank = 3;
  lora.target_modules = {"all-linear"};
  ExpectSameTraining(Trainers({.lora = lora}), golden_);
}

TEST_P(TorchTrainerGpu, Bfloat16IsNearTheCpuKernels) {
  ExpectSimilarGradient(Trainers({.compute = ComputeType::kBf16}), golden_);
}

TEST_P(TorchTrainerGpu, CheckpointsMoveToTheCpu) {
  const auto trainers = Trainers({});
  const OwnedSequences batch = MixedBatch(golden_, 1);
  std::vector<float> ours(CountTargets(batch.view())), theirs(ours.size());
  trainers.torch->Gradient(batch.view(), PolicyLoss(10), ours, {});
  trainers.torch->Step({.learning_rate = 1e-2}, 1, 1);
  core::ArrayMap saved;
  trainers.torch->Save(saved);
  trainers.cpu->Load(saved);
  EXPECT_EQ(LargestDifference(trainers.cpu->Weights(), trainers.torch->Weights()), 0);
  trainers.torch->Score(batch.view(), {ours});
  trainers.cpu->Score(batch.view(), {theirs});
  EXPECT_LE(LargestDifference(ours, theirs), 1e-5 * Largest(theirs) * Scale());
}

}  // namespace
}  // namespace pawl::nn
