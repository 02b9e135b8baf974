// A decoder's folder as Hugging Face lays it out: config.json, generation_config.json and
// model.safetensors, or shards with model.safetensors.index.json. Weights are float32 in memory and
// float32, bfloat16 or float16 in files. Errors are UserError lines that name the folder or file.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "nn/decoder_layout.h"
#include "nn/model_config.h"

namespace pawl::nn {

ModelConfig ReadModelConfig(const std::filesystem::path& folder);

// Fills flat [layout.size()] from the folder's weights, exactly; padding becomes 0. Tensors that
// are missing, left over, or of another shape or dtype are all named in one error. Left out in
// silence: buffers that transformers once saved, and a tied head that equals the embedding.
void ReadWeights(const std::filesystem::path& folder, const DecoderLayout& layout,
                 std::span<float> flat);

struct WriteModelOptions {
  std::string dtype = "float32";  // of the file; bfloat16 and float16 round to nearest even
  uint64_t max_shard_bytes = 5'000'000'000;  // of a file's data; a larger tensor has its own
  std::map<std::string, std::string> files;  // further ones, name to contents: the tokenizer's
};
// Writes the model's files, flat [layout.size()], into an existing folder.
void WriteModelFiles(const std::filesystem::path& folder, const DecoderLayout& layout,
                     std::span<const float> flat, const WriteModelOptions& options);
// Writes the folder anew: into <folder>.tmp, synced, then in place of what was there, so that a
// whole model stands at `folder` whatever happens in between.
void WriteModel(const std::filesystem::path& folder, const DecoderLayout& layout,
                std::span<const float> flat, const WriteModelOptions& options);

}  // namespace pawl::nn
