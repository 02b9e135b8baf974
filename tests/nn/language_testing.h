// Small decoders for tests: the recorded models of transformers, random ones, random batches.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/rng.h"
#include "core/safetensors.h"
#include "nn/language_trainer.h"
#include "nn/model_files.h"
#include "tests/goldens/goldens.h"

namespace pawl::nn {

// Multiplies tolerances: 0 shows the true residuals. Never loosens one.
inline double Scale() {
  const char* scale = std::getenv("PAWL_TOLERANCE");
  return scale == nullptr ? 1 : std::clamp(std::atof(scale), 0.0, 1.0);
}

// A recorded model of tests/goldens/language (make_language.py).
struct LanguageGolden {
  std::shared_ptr<const DecoderLayout> layout;
  std::vector<float> weights;
  core::ArrayMap arrays;  // tokens, logits, loss, grad/...
};
inline const std::vector<std::string>& GoldenFamilies() {
  static const std::vector<std::string> kNames = {"llama", "llama3", "mistral", "qwen2",
                                                  "qwen3", "gpt2",   "gemma3"};
  return kNames;
}
inline LanguageGolden ReadLanguageGolden(const std::string& family) {
  const auto folder = GoldensFolder() / "language" / family;
  LanguageGolden golden;
  golden.layout = std::make_shared<DecoderLayout>(ReadModelConfig(folder));
  golden.weights.resize(golden.layout->size());
  ReadWeights(folder, *golden.layout, golden.weights);
  golden.arrays = core::ReadSafetensors((folder / "golden.safetensors").string());
  return golden;
}

// To start a trainer from given weights.
inline FillWeights From(std::span<const float> weights) {
  return [weights](std::span<float> to) { std::copy(weights.begin(), weights.end(), to.begin()); };
}

// A batch that owns its arrays.
struct OwnedSequences {
  std::vector<int32_t> tokens, starts = {0};
  std::vector<uint8_t> is_target;
  TokenSequences view() const { return {tokens, starts, is_target}; }
  void Add(const std::vector<int32_t>& sequence, int64_t prompt = 1) {
    for (size_t i = 0; i < sequence.size(); ++i) {
      tokens.push_back(sequence[i]);
      is_target.push_back(static_cast<int64_t>(i) >= prompt);
    }
    starts.push_back(static_cast<int32_t>(tokens.size()));
  }
};
// tokens [B, length] as B sequences, all but their first tokens learned.
inline OwnedSequences RowsOf(std::span<const int32_t> tokens, int64_t length) {
  OwnedSequences batch;
  for (size_t at = 0; at < tokens.size(); at += static_cast<size_t>(length)) {
    const auto row = tokens.subspan(at, static_cast<size_t>(length));
    batch.Add({row.begin(), row.end()});
  }
  return batch;
}
// The same of an array `tokens` [B, S], as golden files have it.
inline OwnedSequences GoldenSequences(const core::ArrayMap& arrays) {
  return RowsOf(arrays.Get<int32_t>("tokens"), arrays.At("tokens").shape.at(1));
}
inline OwnedSequences RandomSequences(const std::vector<int64_t>& lengths, int64_t vocab,
                                      uint64_t seed, int64_t prompt = 1) {
  core::Philox rng(seed, core::Role::kTest, 0, 0);
  OwnedSequences batch;
  for (const int64_t length : lengths) {
    std::vector<int32_t> sequence;
    for (int64_t i = 0; i < length; ++i)
      sequence.push_back(static_cast<int32_t>(rng.Below(static_cast<uint32_t>(vocab))));
    batch.Add(sequence, std::min(prompt, length));
  }
  return batch;
}

// The loss of supervised training: -1 / normaliser for every target.
inline kernels::TokenLoss MeanLoss(double normaliser) {
  return [normaliser](int64_t, std::span<const float>, std::span<const float>,
                      std::span<float> dlog_prob, std::span<float>) {
    for (float& d : dlog_prob) d = static_cast<float>(-1 / normaliser);
  };
}

}  // namespace pawl::nn
