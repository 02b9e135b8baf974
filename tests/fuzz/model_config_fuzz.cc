// Any bytes as the config.json of a model, with what follows a '\\0' byte as its
// generation_config.json: either a config or one pawl::Error of one line. What was read writes to
// text that reads back to the same, and has inverse frequencies and a layout.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "nn/decoder_layout.h"
#include "nn/model_config.h"

namespace {
using namespace pawl::nn;

void Require(bool condition) {
  if (!condition) std::abort();
}

void ReadAndWrite(std::string_view config_json, std::string_view generation_json) {
  ModelConfig config;
  try {
    config = ParseModelConfig(config_json, generation_json, "fuzz");
  } catch (const pawl::Error& error) {
    const std::string_view line = error.what();
    Require(error.exit_code() == 2 && line.find('\n') == line.npos && line.size() < 2000);
    return;
  }
  const std::string text = ToConfigJson(config);
  const ModelConfig again = ParseModelConfig(text, ToGenerationConfigJson(config), "again");
  Require(again == config && ToConfigJson(again) == text);
  Require(InverseFrequencies(config.rope, config.head_dim).size() ==
          static_cast<size_t>((config.head_dim + 1) / 2));
  Require(CountParameters(config) > 0 && TrainingFlopsPerToken(config, 1024) > 0);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t split = text.find('\0');
  ReadAndWrite(text.substr(0, split), split == text.npos ? "" : text.substr(split + 1));
  return 0;
}
