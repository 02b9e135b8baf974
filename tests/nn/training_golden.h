// The ten recorded training steps of tests/goldens/training (make_training.py), for whatever takes
// them: trainers and the learner on top of them.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/nn/language_testing.h"

namespace pawl::nn {

struct TrainingGoldenCase {
  LanguageGolden model;
  core::ArrayMap arrays;
  int64_t steps() const { return arrays.At("tokens").shape.at(0); }
  OwnedSequences Batch(int64_t step) const {
    const auto& shape = arrays.At("tokens").shape;
    const int64_t count = shape[1] * shape[2];
    return RowsOf(arrays.Get<int32_t>("tokens").subspan(step * count, count), shape[2]);
  }
};
inline TrainingGoldenCase ReadTrainingGolden(const std::string& family) {
  return {.model = ReadLanguageGolden(family),
          .arrays = core::ReadSafetensors(
              (GoldensFolder() / "training" / (family + ".safetensors")).string())};
}

struct TrainingResult {
  std::vector<double> loss, grad_norm;
  std::vector<float> weights;
};

// A bias of all keys adds the same to every score of a query: its derivative is 0, and Adam walks
// on the rounding errors.
inline bool IsKeyBias(const ModelParameter& parameter, int64_t index) {
  const auto width = static_cast<int64_t>(parameter.count) / 3;
  return parameter.name.ends_with("c_attn.bias") && index >= width && index < 2 * width;
}

inline void ExpectTrainingGolden(const TrainingGoldenCase& golden, const TrainingResult& result) {
  const auto loss = golden.arrays.Get<double>("loss");
  const auto norm = golden.arrays.Get<double>("grad_norm");
  ASSERT_EQ(result.loss.size(), loss.size());
  ASSERT_EQ(result.grad_norm.size(), norm.size());
  for (size_t step = 0; step < loss.size(); ++step) {
    EXPECT_NEAR(result.loss[step], loss[step], 2e-5 * loss[step]) << step;
    EXPECT_NEAR(result.grad_norm[step], norm[step], 2e-4 * norm[step]) << step;
  }
  EXPECT_LT(loss.back(), loss.front());  // they learned something
  for (const ModelParameter& parameter : golden.model.layout->parameters()) {
    const auto expected = golden.arrays.Get<float>("weight/" + parameter.name);
    double worst = 0;
    for (size_t i = 0; i < parameter.count; ++i) {
      const auto at = static_cast<int64_t>(i);
      if (IsKeyBias(parameter, at)) continue;
      const int64_t in = parameter.stored_transposed ? parameter.shape[1] : 1;
      const int64_t out = parameter.stored_transposed ? parameter.shape[0] : 1;
      const int64_t stored = parameter.stored_transposed ? at % in * out + at / in : at;
      worst = std::max(worst, std::fabs(double{result.weights[parameter.offset + i]} -
                                        expected[static_cast<size_t>(stored)]));
    }
    // a step moves a weight by up to the learning rate; where Adam divides two numbers that are
    // both rounding errors, by any part of it
    EXPECT_LT(worst, 3e-4) << parameter.name;
  }
}

}  // namespace pawl::nn
