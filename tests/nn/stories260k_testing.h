// A small language model that was really trained: stories260K of llama2.c (260,032 parameters of
// the Llama architecture, 512 tokens), as a Hugging Face folder. Its file lies in shared/data
// beside the repository, not in it: where it is missing, tests that need it skip.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "core/buffer.h"
#include "nn/model_config.h"

namespace pawl::nn {

// shared/data of the nearest folder above the repository that has one; nothing where none has.
std::optional<std::filesystem::path> FindSharedData();

struct Stories260k {
  std::filesystem::path source;  // models/stories260K: tokenizer and recorded outputs
  std::filesystem::path folder;  // the Hugging Face folder, beside the test binary; gone at its end
};
// Makes the folder at the first call; nothing where shared/data is missing. Not thread-safe.
std::optional<Stories260k> MakeStories260k();

inline constexpr const char* kNoStories260k = "no shared/data/models/stories260K above the sources";

}  // namespace pawl::nn
