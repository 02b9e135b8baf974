// LanguageTrainer on LibTorch: what learns on CUDA, and on the CPU the reference of cpu_trainer.cc.
// Weights, gradient and moments live on the device; samples are drawn on the CPU kernels from a
// host copy of the weights. The learner's thread only.
#pragma once
#include <memory>
#include <string>

#include "nn/language_trainer.h"

namespace pawl::nn {

// device: "cpu" or "cuda" (torch_device.h says what CUDA needs). Sets ATen's threads to
// options.threads. Numbers agree with MakeCpuTrainer's to rounding, checkpoints are the same.
std::unique_ptr<LanguageTrainer> MakeTorchTrainer(std::shared_ptr<const DecoderLayout> layout,
                                                  const FillWeights& fill,
                                                  const LanguageTrainerOptions& options,
                                                  const std::string& device);

}  // namespace pawl::nn
