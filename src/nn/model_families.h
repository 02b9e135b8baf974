// The families of decoder models by their names in a Hugging Face folder, and what a family fixes.
// For those who make model configs: readers, writers, new models.
#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "nn/model_config.h"

namespace pawl::nn {

struct FamilyInfo {
  ModelFamily family;
  const char* architecture;  // in `architectures`
  const char* model_type;
  // what transformers' configuration class takes where config.json has no such key
  int64_t kv_heads;       // 0: as many as heads
  int64_t head_dim;       // 0: width / heads
  int64_t bos, eos, pad;  // -1: none
  bool tied;
};

// configuration_<model_type>.py of transformers 5.23
inline constexpr FamilyInfo kFamilies[] = {
    {ModelFamily::kLlama, "LlamaForCausalLM", "llama", 0, 0, 1, 2, -1, false},
    {ModelFamily::kMistral, "MistralForCausalLM", "mistral", 8, 0, 1, 2, -1, false},
    {ModelFamily::kQwen2, "Qwen2ForCausalLM", "qwen2", 32, 0, -1, -1, -1, false},
    {ModelFamily::kQwen3, "Qwen3ForCausalLM", "qwen3", 32, 128, -1, -1, -1, false},
    {ModelFamily::kGpt2, "GPT2LMHeadModel", "gpt2", 0, 0, 50256, 50256, -1, true},
    {ModelFamily::kGemma3, "Gemma3ForCausalLM", "gemma3_text", 4, 256, 2, 1, 0, true},
};

inline const FamilyInfo& InfoOf(ModelFamily family) {
  return kFamilies[static_cast<size_t>(family)];
}

inline constexpr std::pair<const char*, kernels::FeedForwardActivation> kActivations[] = {
    // the name that is written comes first (GPT-2 has its own)
    {"silu", kernels::FeedForwardActivation::kSilu},
    {"swish", kernels::FeedForwardActivation::kSilu},
    {"gelu_pytorch_tanh", kernels::FeedForwardActivation::kGeluTanh},
    {"gelu_new", kernels::FeedForwardActivation::kGeluTanh},
    {"gelu_fast", kernels::FeedForwardActivation::kGeluTanh},
    {"gelu", kernels::FeedForwardActivation::kGelu},
    {"gelu_python", kernels::FeedForwardActivation::kGelu},
};

// Throws UserError unless every size lies in a range where no product of sizes overflows.
void CheckSizes(const ModelConfig& config, const std::string& source);
// Sets what the family fixes, or what follows from the sizes: norms, gates, scales.
void SetFamilySwitches(ModelConfig& config);

}  // namespace pawl::nn
