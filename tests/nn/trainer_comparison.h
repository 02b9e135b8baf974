// The trainer on LibTorch beside the one on the CPU kernels, for the tests on the CPU and on CUDA.
#pragma once
#include <string>
#include <vector>

#include "nn/language_trainer.h"
#include "tests/nn/language_testing.h"

namespace pawl::nn {

struct TrainerPair {
  std::unique_ptr<LanguageTrainer> cpu, torch;
};
TrainerPair MakeTrainers(const LanguageGolden& golden, const LanguageTrainerOptions& options,
                         const std::string& device);

// A batch with prompts, a sequence of one token, and sequences longer than every window.
OwnedSequences MixedBatch(const LanguageGolden& golden, uint64_t seed);

// A token-local loss that weighs every target otherwise and has entropy in it.
kernels::TokenLoss PolicyLoss(double normaliser);

// Adapters of every linear layer.
LoraConfig AllLinears();

// Every gradient of PolicyLoss over a batch, one after the other.
std::vector<float> AllGradients(LanguageTrainer& trainer, const OwnedSequences& batch);

// Three steps of both on the same batches: log-probabilities, entropies, every gradient, norms and
// the weights they lead to agree to float32's rounding.
void ExpectSameTraining(TrainerPair trainers, const LanguageGolden& golden);
// The same for one gradient in bfloat16, loosely.
void ExpectSimilarGradient(TrainerPair trainers, const LanguageGolden& golden);

}  // namespace pawl::nn
