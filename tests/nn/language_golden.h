// The recorded models of tests/goldens/language (make_language.py says what the arrays are).
#pragma once
#include <cstdlib>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "nn/decoder_layout.h"
#include "nn/model_files.h"
#include "tests/goldens/goldens.h"

namespace pawl::nn {

inline const std::vector<std::string> kLanguageGoldens = {"llama", "llama3", "mistral", "qwen2",
                                                          "qwen3", "gpt2",   "gemma3"};

struct LanguageGolden {
  DecoderLayout layout;
  std::vector<float> weights;  // [layout.size()]
  core::ArrayMap arrays;
};

// Multiplies every tolerance: 0 shows the true residuals.
inline double Scale() {
  const char* scale = std::getenv("PAWL_TOLERANCE");
  return scale == nullptr ? 1 : std::atof(scale);
}

inline LanguageGolden ReadLanguageGolden(const std::string& family) {
  const auto folder = GoldensFolder() / "language" / family;
  LanguageGolden golden{.layout = DecoderLayout(ReadModelConfig(folder)),
                        .arrays = core::ReadSafetensors((folder / "golden.safetensors").string())};
  golden.weights.resize(golden.layout.size());
  ReadWeights(folder, golden.layout, golden.weights);
  return golden;
}

}  // namespace pawl::nn
