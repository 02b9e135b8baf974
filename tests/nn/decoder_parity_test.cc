// The decoder on the CPU kernels against transformers' recorded logits, loss and gradients.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "nn/decoder.h"
#include "tests/nn/logit_errors.h"

namespace pawl::nn {
namespace {

class DecoderParity : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Families, DecoderParity, testing::ValuesIn(GoldenFamilies()),
                         [](const auto& info) { return info.param; });

// Logits [rows, V] of the golden's first `sequences` sequences.
std::vector<float> Logits(const LanguageGolden& golden, ComputeType compute) {
  kernels::Team team(2);
  DecoderWeights weights(golden.layout, compute);
  std::copy(golden.weights.begin(), golden.weights.end(), weights.master().begin());
  weights.Refresh(team);
  const auto tokens = golden.arrays.Get<int32_t>("tokens");
  const auto& shape = golden.arrays.At("tokens").shape;
  const int64_t batch = shape[0], length = shape[1], vocab = golden.layout->config().vocab;
  std::vector<int32_t> positions;
  std::vector<DecoderSequence> sequences;
  for (int64_t b = 0; b < batch; ++b) {
    sequences.push_back({.row = b * length, .rows = length});
    for (int64_t i = 0; i < length; ++i) positions.push_back(static_cast<int32_t>(i));
  }
  Decoder decoder(golden.layout, batch * length, KeepActivations::kNothing, team);
  const DecoderModel model{.weights = weights};
  const float* hidden =
      decoder.Forward(model, {.tokens = tokens, .positions = positions, .sequences = sequences});
  std::vector<float> logits(static_cast<size_t>(batch * length * vocab));
  HeadLogits(model, hidden, batch * length, logits.data(), team);
  return logits;
}

TEST_P(DecoderParity, LogitsAreThoseOfTransformers) {
  const LanguageGolden golden = ReadLanguageGolden(GetParam());
  const auto expected = golden.arrays.Get<float>("logits");
  const auto logits = Logits(golden, ComputeType::kF32);
  ASSERT_EQ(logits.size(), expected.size());
  double worst = 0;
  for (size_t i = 0; i < logits.size(); ++i)
    worst = std::max(worst, std::fabs(double{logits[i]} - expected[i]));
  EXPECT_LT(worst, 1e-4);
  RecordProperty("largest_difference", std::to_string(worst));
}

// In bfloat16 the yardstick is float64: we may not be farther from it than transformers is.
TEST(DecoderParityTest, Bfloat16IsNearerToTheTruthThanTransformers) {
  ExpectNearerThanTransformers(
      [](const LanguageGolden& golden) { return Logits(golden, ComputeType::kBf16); });
}

TEST_P(DecoderParity, LossAndEveryGradientAreThoseOfTransformers) {
  const LanguageGolden golden = ReadLanguageGolden(GetParam());
  const OwnedSequences batch = GoldenSequences(golden.arrays);
  const int64_t targets = CountTargets(batch.view());
  for (const bool recompute : {false, true}) {
    auto trainer = MakeCpuTrainer(golden.layout, From(golden.weights),
                                  {.checkpoint_activations = recompute, .threads = 2});
    std::vector<float> log_prob(targets);
    trainer->Gradient(batch.view(), MeanLoss(static_cast<double>(targets)), log_prob, {});
    const double loss =
        -std::accumulate(log_prob.begin(), log_prob.end(), 0.0) / static_cast<double>(targets);
    EXPECT_NEAR(loss, golden.arrays.GetScalar<float>("loss"), 1e-5);
    int compared = 0;
    for (const auto& [name, values] : trainer->Gradients()) {
      const ModelParameter& parameter = *golden.layout->Find(name);
      const auto expected = golden.arrays.Get<float>("grad/" + name);
      ASSERT_EQ(values.size(), expected.size()) << name;
      double scale = 0, worst = 0;
      // transformers gives the padding id's row of the embedding no gradient; it is a token to us
      const bool embedding = parameter.offset == golden.layout->embedding();
      const int64_t pad = golden.layout->config().pad_id.value_or(-1);
      for (size_t i = 0; i < values.size(); ++i) {
        size_t at = i;
        if (embedding && static_cast<int64_t>(i) / parameter.shape[1] == pad) continue;
        if (parameter.stored_transposed) {
          const int64_t in = parameter.shape[1], out = parameter.shape[0];
          at = (i % in) * out + i / in;
        }
        scale = std::max(scale, std::fabs(double{expected[at]}));
        worst = std::max(worst, std::fabs(double{values[i]} - expected[at]));
      }
      EXPECT_LE(worst, 2e-5 * scale + 1e-7) << name;
      ++compared;
    }
    EXPECT_EQ(compared, static_cast<int>(golden.layout->parameters().size()));
  }
}

}  // namespace
}  // namespace pawl::nn
