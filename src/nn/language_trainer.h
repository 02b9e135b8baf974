// What trains a language model, whatever it runs on: weights, gradient and AdamW's moments, behind
// the few calls a learner needs. The CPU one is our kernels and bit-exact (cpu_trainer.cc); the one
// on LibTorch (torch_trainer.h) serves CUDA and is the reference in tests. The learner's thread
// only.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "kernels/lm_head.h"
#include "nn/decoder_weights.h"
#include "nn/generate.h"
#include "nn/lora.h"
#include "nn/token_sequences.h"

namespace pawl::nn {

struct AdamWSettings {
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;  // of matrices; decoupled (Loshchilov and Hutter 2019)
};

struct LanguageTrainerOptions {
  ComputeType compute = ComputeType::kF32;
  int64_t micro_batch_tokens = 4096;  // whole sequences, as many as fit; at least one
  bool checkpoint_activations = false;
  int threads = 1;                 // the result is the same bits for any number
  std::optional<LoraConfig> lora;  // train a new adapter instead of the model
  std::string adapter_folder;      // or go on with this one; empty: none
  uint64_t seed = 1;               // of a new adapter's weights
  // No gradient, no moments: Score, Generate, Weights, Lora and Load; the rest throws.
  bool evaluate_only = false;
  float temperature = 1;      // log-probabilities are of logits / temperature
  bool want_entropy = false;  // the loss sees entropies (else zeros) even where none are returned
};

// What Score writes, a number for each target of a batch, in nats; what is empty is not asked for.
// A target is the most likely token exactly where its log-probability equals the best one.
struct TokenScores {
  std::span<float> log_prob;  // [targets]; never empty
  std::span<float> entropy = {};
  std::span<float> best_log_prob = {};  // of the most likely token
};

// A sequence runs through the model up to the token before its last target. Batches that contradict
// themselves or do not fit the model (ids, learned positions) throw pawl::Error before any work.
class LanguageTrainer {
 public:
  virtual ~LanguageTrainer() = default;
  // Under the current weights.
  virtual void Score(const TokenSequences& batch, const TokenScores& scores) = 0;
  // The gradient of the whole batch: `loss` sees targets in ascending ranges (kernels::TokenLoss).
  // The same bits for any micro_batch_tokens (CPU).
  virtual void Gradient(const TokenSequences& batch, const kernels::TokenLoss& loss,
                        std::span<float> log_prob, std::span<float> entropy) = 0;
  // The last gradient, by parameter; valid until the next call.
  struct NamedGradient {
    std::string name;  // as in the model's or adapter's folder
    std::span<const float> values;
  };
  virtual std::vector<NamedGradient> Gradients() = 0;
  // Euclidean norm of the last gradient; not finite where the gradient is not.
  virtual double GradientNorm() = 0;
  // The first parameter whose gradient is not finite, or "".
  virtual std::string NonFiniteGradient() = 0;
  // One AdamW step with the gradient times `scale`; step counts from 1.
  virtual void Step(const AdamWSettings& settings, float scale, int64_t step) = 0;
  // Float32 masters on the host, LoRA not merged; valid until the next Step or Load.
  virtual std::span<const float> Weights() = 0;
  virtual const LoraWeights* Lora() = 0;  // nullptr without an adapter
  // Goes on from a prompt (generate.h), on the CPU.
  virtual std::vector<int32_t> Generate(std::span<const int32_t> prompt,
                                        const GenerateOptions& options) = 0;
  // Of what is trained: weights and moments, as views until the next Step or Load.
  virtual void Save(core::ArrayMap& out) = 0;
  virtual void Load(const core::ArrayMap& in) = 0;
  virtual std::string Description() const = 0;  // "CPU kernels (AVX2, 2 threads), float32"
};

// Writes the weights to start from into the layout; called once.
using FillWeights = std::function<void(std::span<float> weights)>;
std::unique_ptr<LanguageTrainer> MakeCpuTrainer(std::shared_ptr<const DecoderLayout> layout,
                                                const FillWeights& fill,
                                                const LanguageTrainerOptions& options);

}  // namespace pawl::nn
