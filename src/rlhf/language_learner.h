// The waist of learning language: what the loop of the stages "pretrain" and "sft" asks of a
// learner beside algos::Learner. A model is run on all tokens of a sequence but its last one, which
// is only a target: a sequence of context + 1 tokens asks for `context` positions. Called by the
// learner loop's thread only.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "algos/learner.h"
#include "nn/language_trainer.h"
#include "rlhf/sft_config.h"
#include "rollout/sequence_batch.h"

namespace pawl::rlhf {

// What a learner is, as data; fixed once it is made.
struct LearnerInfo {
  std::string description;  // "llama, 4 layers of 128, 0.8M parameters, float32 on cpu (2 threads)"
  int64_t parameters = 0;   // tied ones once
  int64_t trained_parameters = 0;  // fewer with LoRA
  int64_t vocab = 0;
  int64_t max_positions = 0;     // the longest context
  double flops_per_token = 0;    // of training, forward and backward (nn::TrainingFlopsPerToken)
  double peak_flops_per_s = 0;   // of the device; 0: the loop measures the processors' FMA rate
  int64_t memory_bytes = 0;      // weights, gradients, optimizer, activations; 0: not known
  std::vector<int32_t> eos_ids;  // where generation ends by itself
};

// A sum, so that batches of any size add up to one mean: loss_sum / targets.
struct LossSum {
  double loss_sum = 0;  // nats
  int64_t targets = 0;
};

class LanguageModelLearner : public algos::Learner<rollout::SequenceBatch> {
 public:
  const LearnerInfo& info() const { return info_; }
  // Update: one optimizer step on the mean loss over the batch's targets. Its metrics hold "loss"
  // (nats per target), "grad_norm" (before clipping) and "learning_rate"; others may follow.

  // The log-probabilities of a batch's targets with the present weights; nothing is learned. A NaN
  // is written as it is.
  virtual void Score(const rollout::SequenceBatch& batch, const nn::TokenScores& scores) = 0;
  // Their negative sum.
  LossSum Evaluate(const rollout::SequenceBatch& batch);
  // Goes on from a prompt (at least one token). Returns the new ids only, an end token included.
  virtual std::vector<int32_t> Generate(std::span<const int32_t> prompt,
                                        const nn::GenerateOptions& options) = 0;
  // A Hugging Face folder (config.json, generation_config.json, model*.safetensors, or a PEFT
  // adapter) in an existing folder; the tokenizer is the loop's to write. Throws RunError.
  virtual void WriteModel(const std::filesystem::path& folder) const = 0;

 protected:
  explicit LanguageModelLearner(LearnerInfo info) : info_(std::move(info)) {}
  LearnerInfo info_;
};

// Everything a learner is made from.
struct LearnerRequest {
  ModelSection model;
  SftConfig train;
  LoraConfig lora;
  uint64_t seed = 1;
  std::string device = "cpu";
  int64_t total_updates = 0;     // for the schedule
  int64_t context = 0;           // positions a sequence needs at most; 0: the model's own
  int64_t tokenizer_vocab = 0;   // the least vocabulary; a new model's where model.vocab is 0
  std::vector<int32_t> eos_ids;  // of the tokenizer; empty where it has none
  // No optimizer state: for `pawl eval`. Update, Save and the like are not called; Load takes the
  // weights out of a training state.
  bool evaluate_only = false;
};
// Throws UserError for what does not fit (a folder that is no model, sizes, device, memory).
using LearnerFactory =
    std::function<std::unique_ptr<LanguageModelLearner>(const LearnerRequest& request)>;

}  // namespace pawl::rlhf
