// The promises of docs/numerics.md on whole decoders: one forward with the same bits wherever a
// token stands, and gradients that do not depend on how a batch is cut or on threads.
#include "nn/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/error.h"
#include "kernels/logit_rows.h"
#include "tests/nn/language_testing.h"

namespace pawl::nn {
namespace {

// Every family of the goldens, in float32 and bfloat16.
struct Case {
  std::string family;
  ComputeType compute;
};
class DecoderBits : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    golden_ = ReadLanguageGolden(GetParam().family);
    weights_ = std::make_unique<DecoderWeights>(golden_.layout, GetParam().compute);
    std::copy(golden_.weights.begin(), golden_.weights.end(), weights_->master().begin());
    weights_->Refresh(team_);
  }
  int64_t width() const { return golden_.layout->config().width; }
  int64_t vocab() const { return golden_.layout->config().vocab; }
  std::vector<int32_t> Tokens(int64_t count, uint64_t seed) const {
    return RandomSequences({count}, vocab(), seed).tokens;
  }
  // Hidden states [T, D] of sequences laid end to end, `first` rows of something else before them.
  std::vector<float> Packed(const std::vector<std::vector<int32_t>>& sequences, kernels::Team& team,
                            const PackedDecoder* packed = nullptr) {
    std::vector<int32_t> tokens, positions;
    std::vector<DecoderSequence> parts;
    for (const auto& sequence : sequences) {
      parts.push_back({.row = static_cast<int64_t>(tokens.size()),
                       .rows = static_cast<int64_t>(sequence.size())});
      for (size_t i = 0; i < sequence.size(); ++i) positions.push_back(static_cast<int32_t>(i));
      tokens.insert(tokens.end(), sequence.begin(), sequence.end());
    }
    Decoder decoder(golden_.layout, static_cast<int64_t>(tokens.size()), KeepActivations::kNothing,
                    team);
    const float* hidden =
        decoder.Forward({.weights = *weights_, .packed = packed},
                        {.tokens = tokens, .positions = positions, .sequences = parts});
    return {hidden, hidden + static_cast<int64_t>(tokens.size()) * width()};
  }
  // The same of one sequence through a cache, `chunk` tokens a pass.
  std::vector<float> InChunks(const std::vector<int32_t>& sequence, int64_t chunk,
                              const PackedDecoder* packed) {
    const auto length = static_cast<int64_t>(sequence.size());
    KvCache cache(golden_.layout->config(), length);
    Decoder decoder(golden_.layout, chunk, KeepActivations::kNothing, team_);
    std::vector<float> out;
    for (int64_t at = 0; at < length; at += chunk) {
      const int64_t rows = std::min(chunk, length - at);
      std::vector<int32_t> positions(rows);
      std::iota(positions.begin(), positions.end(), static_cast<int32_t>(at));
      const DecoderSequence part{.rows = rows, .first_position = at, .cache = &cache};
      const float* hidden = decoder.Forward({.weights = *weights_, .packed = packed},
                                            {.tokens = std::span(sequence).subspan(at, rows),
                                             .positions = positions,
                                             .sequences = {&part, 1}});
      out.insert(out.end(), hidden, hidden + rows * width());
    }
    return out;
  }

  LanguageGolden golden_;
  kernels::Team team_{2};
  std::unique_ptr<DecoderWeights> weights_;
};

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const auto& family : GoldenFamilies()) {
    cases.push_back({family, ComputeType::kF32});
    cases.push_back({family, ComputeType::kBf16});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, DecoderBits, testing::ValuesIn(AllCases()), [](const auto& info) {
  return info.param.family + (info.param.compute == ComputeType::kF32 ? "F32" : "Bf16");
});

bool SameBits(std::span<const float> a, std::span<const float> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
  });
}

TEST_P(DecoderBits, ATokensBitsDoNotDependOnWhereItStandsInAPack) {
  const auto sequence = Tokens(29, 1);
  const auto alone = Packed({sequence}, team_);
  for (const int64_t before : {1, 5, 17, 28}) {
    const auto packed = Packed({Tokens(before, 2), sequence, Tokens(9, 3)}, team_);
    EXPECT_TRUE(SameBits(alone, std::span(packed).subspan(before * width(), alone.size())))
        << before << " tokens before it";
  }
}

TEST_P(DecoderBits, PrefixesChunksAndSingleTokensThroughACacheAreTheWholeSequence) {
  const auto sequence = Tokens(40, 4);
  const auto whole = Packed({sequence}, team_);
  const PackedDecoder packed(*weights_, team_);
  EXPECT_TRUE(SameBits(whole, Packed({sequence}, team_, &packed))) << "packed weights";
  for (const int64_t chunk : {1, 7, 16, 39}) {
    EXPECT_TRUE(SameBits(whole, InChunks(sequence, chunk, &packed))) << "chunks of " << chunk;
  }
  EXPECT_TRUE(SameBits(whole, InChunks(sequence, 3, nullptr))) << "plain weights";
}

TEST_P(DecoderBits, ThreadsDoNotMatter) {
  const auto expected = Packed({Tokens(40, 5), Tokens(13, 6)}, team_);
  for (const int threads : {1, 3}) {
    kernels::Team team(threads);
    EXPECT_TRUE(SameBits(expected, Packed({Tokens(40, 5), Tokens(13, 6)}, team)));
  }
}

// All gradients of a trainer, one after the other.
std::vector<float> AllGradients(LanguageTrainer& trainer) {
  std::vector<float> all;
  for (const auto& gradient : trainer.Gradients())
    all.insert(all.end(), gradient.values.begin(), gradient.values.end());
  return all;
}

TEST_P(DecoderBits, TheGradientDoesNotDependOnMicroBatchesThreadsOrRecomputation) {
  const auto batch = RandomSequences({12, 3, 30, 1, 8, 21, 2}, vocab(), 7);
  const int64_t targets = CountTargets(batch.view());
  const auto loss = MeanLoss(static_cast<double>(targets));
  std::vector<float> expected, expected_log_prob(targets);
  {
    auto trainer = MakeCpuTrainer(golden_.layout, From(golden_.weights),
                                  {.compute = GetParam().compute, .threads = 2});
    trainer->Gradient(batch.view(), loss, expected_log_prob, {});
    expected = AllGradients(*trainer);
  }
  for (const int64_t micro : {1, 16, 40}) {
    for (const int threads : {1, 3}) {
      for (const bool recompute : {false, true}) {
        auto trainer = MakeCpuTrainer(golden_.layout, From(golden_.weights),
                                      {.compute = GetParam().compute,
                                       .micro_batch_tokens = micro,
                                       .checkpoint_activations = recompute,
                                       .threads = threads});
        std::vector<float> log_prob(targets);
        for (int repeat = 0; repeat < 2; ++repeat)
          trainer->Gradient(batch.view(), loss, log_prob, {});
        EXPECT_TRUE(SameBits(expected_log_prob, log_prob));
        const auto gradients = AllGradients(*trainer);
        EXPECT_TRUE(SameBits(expected, gradients))
            << micro << " tokens at a time, " << threads << " threads, " << recompute;
      }
    }
  }
}

TEST_P(DecoderBits, ScoringAndLearningSeeTheSameLogProbabilities) {
  const auto batch = RandomSequences({12, 30, 8}, vocab(), 8, /*prompt=*/4);
  const int64_t targets = CountTargets(batch.view());
  auto trainer = MakeCpuTrainer(golden_.layout, From(golden_.weights),
                                {.compute = GetParam().compute, .threads = 2});
  std::vector<float> scored(targets), learned(targets), entropy(targets);
  trainer->Score(batch.view(), {scored, entropy});
  trainer->Gradient(batch.view(), MeanLoss(1), learned, {});
  EXPECT_TRUE(SameBits(scored, learned));
  for (const float e : entropy) {
    EXPECT_GT(e, 0);
    EXPECT_LE(e, std::log(static_cast<float>(vocab())) * 1.0001f);
  }
}

// The head of generation (packed weights, one token a pass) and the head of the learner, with a cap
// in every family: the same law, the same bits.
TEST_P(DecoderBits, GenerationHasTheLearnersLogProbabilities) {
  for (const double cap : {0.0, 4.0}) {
    ModelConfig config = golden_.layout->config();
    config.logit_soft_cap = cap;
    golden_.layout = std::make_shared<DecoderLayout>(config);
    weights_ = std::make_unique<DecoderWeights>(golden_.layout, GetParam().compute);
    std::copy(golden_.weights.begin(), golden_.weights.end(), weights_->master().begin());
    weights_->Refresh(team_);

    const auto batch = RandomSequences({33}, vocab(), 10);
    const int64_t targets = CountTargets(batch.view());
    auto trainer = MakeCpuTrainer(golden_.layout, From(golden_.weights),
                                  {.compute = GetParam().compute, .threads = 2});
    std::vector<float> scored(targets), generated(targets), logits(targets * vocab());
    trainer->Score(batch.view(), {scored});

    const PackedDecoder packed(*weights_, team_);
    const auto hidden = InChunks(batch.tokens, 1, &packed);
    for (int64_t row = 0; row < targets; ++row) {
      HeadLogits({.weights = *weights_, .packed = &packed}, hidden.data() + row * width(), 1,
                 logits.data() + row * vocab(), team_);
    }
    kernels::LogitRowsForward({.rows = targets,
                               .vocab = vocab(),
                               .f32 = logits.data(),
                               .stride = vocab(),
                               .targets = batch.tokens.data() + 1,
                               .log_prob = generated.data()},
                              team_);
    EXPECT_TRUE(SameBits(scored, generated)) << "cap " << cap;
  }
}

// Gaps between targets leave rows out of the head alone: the other targets see what they saw.
TEST_P(DecoderBits, WeightsThatAreNotFiniteAreRefusedByName) {
  const auto& parameter = golden_.layout->parameters().at(3);
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    auto weights = golden_.weights;
    weights[parameter.offset + parameter.count - 1] = bad;
    try {
      MakeCpuTrainer(golden_.layout, From(weights), {.compute = GetParam().compute, .threads = 2});
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("'" + parameter.name + "' holds NaN or infinity"),
                std::string::npos)
          << error.what();
    }
  }
}

TEST_P(DecoderBits, GapsBetweenTargetsDoNotMoveTheOthers) {
  const auto all = RandomSequences({20, 9, 31}, vocab(), 11);
  auto some = all;
  std::vector<float> kept;
  auto trainer = MakeCpuTrainer(golden_.layout, From(golden_.weights),
                                {.compute = GetParam().compute, .threads = 2});
  std::vector<float> log_prob(CountTargets(all.view()));
  trainer->Score(all.view(), {log_prob});
  for (size_t i = 0, target = 0; i < all.tokens.size(); ++i) {
    if (!all.is_target[i]) continue;
    some.is_target[i] = i % 3 != 1 && i > 6;
    if (some.is_target[i]) kept.push_back(log_prob[target]);
    ++target;
  }
  ASSERT_GT(kept.size(), 20u);
  std::vector<float> with_gaps(CountTargets(some.view()));
  trainer->Score(some.view(), {with_gaps});
  EXPECT_TRUE(SameBits(kept, with_gaps));
}

// The same promises where sequences cross blocks of 64 keys, a pass has many rows and there are
// more threads than cores: a random model of every family with 256 positions.
TEST_P(DecoderBits, LongSequences) {
  ModelConfig config = golden_.layout->config();
  config.max_positions = 256;
  golden_.layout = std::make_shared<DecoderLayout>(config);
  golden_.weights.assign(golden_.layout->size(), 0);
  InitializeWeights(*golden_.layout, 0.1, 5, golden_.weights);
  weights_ = std::make_unique<DecoderWeights>(golden_.layout, GetParam().compute);
  std::copy(golden_.weights.begin(), golden_.weights.end(), weights_->master().begin());
  weights_->Refresh(team_);

  const std::vector<int64_t> lengths = {63, 130, 65, 200, 64, 129};
  const PackedDecoder packed(*weights_, team_);
  std::vector<std::vector<int32_t>> sequences;
  std::vector<float> alone;
  for (const int64_t length : lengths) {
    sequences.push_back(Tokens(length, 20 + length));
    const auto hidden = Packed({sequences.back()}, team_);
    for (const int64_t chunk : {1, 63, 100}) {
      EXPECT_TRUE(SameBits(hidden, InChunks(sequences.back(), chunk, &packed)))
          << length << " tokens in chunks of " << chunk;
    }
    alone.insert(alone.end(), hidden.begin(), hidden.end());
  }
  OwnedSequences batch;
  for (const auto& sequence : sequences) batch.Add(sequence);
  const int64_t targets = CountTargets(batch.view());
  std::vector<float> expected, log_prob(targets);
  for (const int threads : {1, 3, 16}) {
    kernels::Team team(threads);
    EXPECT_TRUE(SameBits(alone, Packed(sequences, team))) << threads << " threads";
    auto trainer = MakeCpuTrainer(golden_.layout, From(golden_.weights),
                                  {.compute = GetParam().compute,
                                   .micro_batch_tokens = threads == 3 ? 1 : 1000,
                                   .checkpoint_activations = threads == 16,
                                   .threads = threads});
    trainer->Gradient(batch.view(), MeanLoss(static_cast<double>(targets)), log_prob, {});
    const auto gradients = AllGradients(*trainer);
    if (expected.empty()) expected = gradients;
    EXPECT_TRUE(SameBits(expected, gradients)) << threads << " threads";
  }
}

TEST_P(DecoderBits, WhatFollowsTheLastTargetOfASequenceDoesNotMatter) {
  auto batch = RandomSequences({20, 15}, vocab(), 9);
  for (int64_t i = 10; i < 20; ++i) batch.is_target[i] = 0;
  auto cut = RandomSequences({10}, vocab(), 9);
  std::copy_n(batch.tokens.begin(), 10, cut.tokens.begin());
  cut.Add({batch.tokens.begin() + 20, batch.tokens.end()});
  const int64_t targets = CountTargets(batch.view());
  ASSERT_EQ(targets, CountTargets(cut.view()));
  auto trainer = MakeCpuTrainer(golden_.layout, From(golden_.weights),
                                {.compute = GetParam().compute, .threads = 2});
  std::vector<float> a(targets), b(targets);
  trainer->Gradient(batch.view(), MeanLoss(7), a, {});
  const auto expected = AllGradients(*trainer);
  trainer->Gradient(cut.view(), MeanLoss(7), b, {});
  EXPECT_TRUE(SameBits(a, b));
  EXPECT_TRUE(SameBits(expected, AllGradients(*trainer)));
}

}  // namespace
}  // namespace pawl::nn
