// LoRA adapters as PEFT folders: adapter_config.json and adapter_model.safetensors, keys
// "base_model.model.<module>.lora_A.weight" [r, in] and ".lora_B.weight" [out, r].
#pragma once
#include <filesystem>
#include <string>

#include "nn/lora.h"

namespace pawl::nn {

// Whether a folder holds an adapter.
bool IsAdapterFolder(const std::filesystem::path& folder);
// Throws UserError for a key that changes the result and is not known (use_dora, ...), by name.
// base: base_model_name_or_path, "" where the file has none.
LoraConfig ReadAdapterConfig(const std::filesystem::path& folder, std::string* base = nullptr);
// The weights of an adapter made for a model like `decoder`; modules_to_save go into `weights`, the
// decoder's masters. Throws UserError naming every missing, surplus or misshapen tensor at once,
// as an adapter for another base has them.
LoraWeights ReadAdapter(const std::filesystem::path& folder, const DecoderLayout& decoder,
                        std::span<float> weights);
// Into an existing folder. base: what the adapter belongs to (a folder), for PEFT's config.
void WriteAdapter(const std::filesystem::path& folder, const LoraWeights& lora,
                  const DecoderLayout& decoder, std::span<const float> weights,
                  const std::string& base);

}  // namespace pawl::nn
