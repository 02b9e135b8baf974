// The recorded adapters of tests/goldens/lora (make_lora.py says what the arrays are).
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "tests/nn/language_testing.h"

namespace pawl::nn {

struct PeftCase {
  const char* name;
  const char* family;
};
inline void PrintTo(const PeftCase& c, std::ostream* out) { *out << c.name; }
inline const std::vector<PeftCase>& PeftCases() {
  static const std::vector<PeftCase> kCases = {
      {"plain", "llama"}, {"rslora", "gpt2"}, {"saved", "qwen3"}};
  return kCases;
}

struct PeftGolden {
  LanguageGolden base;
  std::filesystem::path folder;
  core::ArrayMap arrays;
};
inline PeftGolden ReadPeftGolden(const PeftCase& c) {
  PeftGolden golden{.base = ReadLanguageGolden(c.family),
                    .folder = GoldensFolder() / "lora" / c.name};
  golden.arrays = core::ReadSafetensors((golden.folder / "golden.safetensors").string());
  return golden;
}

inline double LargestDifference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(double{a[i]} - b[i]));
  return worst;
}
inline double Largest(std::span<const float> values) {
  double largest = 0;
  for (const float x : values) largest = std::max(largest, std::fabs(double{x}));
  return largest;
}

// Loss and every gradient of a trainer made with the golden's adapter. Float32 rounds sums of
// some hundred products by a few 1e-6 of the largest.
inline void ExpectPeftGradients(const PeftGolden& golden, LanguageTrainer& trainer) {
  const auto batch = GoldenSequences(golden.arrays);
  const int64_t targets = CountTargets(batch.view());
  std::vector<float> log_prob(targets);
  trainer.Gradient(batch.view(), MeanLoss(static_cast<double>(targets)), log_prob, {});
  EXPECT_NEAR(-std::accumulate(log_prob.begin(), log_prob.end(), 0.0) / targets,
              golden.arrays.GetScalar<float>("loss"), 2e-5 * Scale());
  size_t expected_count = 0;
  for (const auto& array : golden.arrays.arrays())
    expected_count += array.name.starts_with("grad/");
  const auto gradients = trainer.Gradients();
  EXPECT_EQ(gradients.size(), expected_count);
  for (const auto& [name, values] : gradients) {
    const bool adapter = name.starts_with("base_model.model.");
    const auto expected =
        golden.arrays.Get<float>((adapter ? "grad/" : "grad/base_model.model.") + name);
    EXPECT_LE(LargestDifference(values, expected), (2e-5 * Largest(expected) + 1e-7) * Scale())
        << name;
  }
}

}  // namespace pawl::nn
