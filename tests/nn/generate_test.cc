// Generation against whole-sequence passes: the likeliest token of every step, where a text ends,
// what happens past the model's positions, and draws against the softmax they are of.
#include "nn/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nn/decoder.h"
#include "tests/nn/language_testing.h"

namespace pawl::nn {
namespace {
using Ids = std::vector<int32_t>;

// The recorded llama3: 61 ids, 64 positions, ends at 2 and 5.
class GenerateTest : public testing::Test {
 protected:
  struct Model {
    explicit Model(const ModelConfig& config, std::span<const float> values, kernels::Team& team)
        : weights(std::make_shared<DecoderLayout>(config), ComputeType::kF32), team_(team) {
      std::copy(values.begin(), values.end(), weights.master().begin());
      weights.Refresh(team);
      packed = std::make_unique<PackedDecoder>(weights, team);
    }
    DecoderModel view() const { return {.weights = weights, .packed = packed.get()}; }
    Ids Generate(const Ids& prompt, const GenerateOptions& options) const {
      return nn::Generate(view(), prompt, options, team_);
    }
    // Of the token after `text`, by a pass over all of it.
    std::vector<float> Logits(const Ids& text) const {
      const auto rows = static_cast<int64_t>(text.size());
      Ids positions(text.size());
      std::iota(positions.begin(), positions.end(), 0);
      const DecoderSequence sequence{.rows = rows};
      Decoder decoder(weights.shared_layout(), rows, KeepActivations::kNothing, team_);
      const float* hidden =
          decoder.Forward({.weights = weights},
                          {.tokens = text, .positions = positions, .sequences = {&sequence, 1}});
      std::vector<float> logits(static_cast<size_t>(weights.config().vocab));
      HeadLogits({.weights = weights}, hidden + (rows - 1) * weights.config().width, 1,
                 logits.data(), team_);
      return logits;
    }
    // The likeliest continuation, one whole pass a token, by the words of generate.h.
    Ids Likeliest(Ids text, int64_t tokens) const {
      const ModelConfig& config = weights.config();
      Ids out;
      while (static_cast<int64_t>(out.size()) < tokens) {
        if (static_cast<int64_t>(text.size()) > config.max_positions)
          text.erase(text.begin(), text.end() - config.max_positions / 2);
        const auto logits = Logits(text);
        const auto id =
            static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
        text.push_back(id);
        out.push_back(id);
        if (std::find(config.eos_ids.begin(), config.eos_ids.end(), id) != config.eos_ids.end())
          break;
      }
      return out;
    }
    DecoderWeights weights;
    std::unique_ptr<PackedDecoder> packed;
    kernels::Team& team_;
  };

  Model Endless() {
    ModelConfig config = golden_.layout->config();
    config.eos_ids.clear();
    return Model(config, golden_.weights, team_);
  }
  Ids RandomPrompt(int64_t length, uint64_t seed) const {
    return RandomSequences({length}, golden_.layout->config().vocab, seed).tokens;
  }

  const LanguageGolden golden_ = ReadLanguageGolden("llama3");
  kernels::Team team_{1};
  const Model model_{golden_.layout->config(), golden_.weights, team_};
};

TEST_F(GenerateTest, WithoutTemperatureEveryTokenIsTheLikeliestOfAWholePass) {
  const Model endless = Endless();
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const Ids prompt = RandomPrompt(static_cast<int64_t>(1 + 3 * seed), seed);
    const GenerateOptions options{.tokens = 30, .temperature = 0};
    const Ids out = endless.Generate(prompt, options);
    ASSERT_EQ(out.size(), 30u);
    EXPECT_EQ(out, endless.Likeliest(prompt, 30)) << seed;
    EXPECT_EQ(model_.Generate(prompt, options), model_.Likeliest(prompt, 30)) << seed;
  }
}

TEST_F(GenerateTest, EndsAtAnEndIdAndNowhereElse) {
  ASSERT_EQ(golden_.layout->config().eos_ids, (std::vector<int64_t>{2, 5}));
  const Model endless = Endless();
  const Ids prompt = {3, 1, 4};
  int ended[] = {0, 0}, full = 0;
  for (uint64_t index = 0; index < 200; ++index) {
    const GenerateOptions options{.tokens = 40, .temperature = 1.5, .index = index};
    const Ids out = model_.Generate(prompt, options);
    ASSERT_FALSE(out.empty());
    const auto end = [](int32_t id) { return id == 2 || id == 5; };
    EXPECT_TRUE(std::none_of(out.begin(), out.end() - 1, end)) << index;
    if (end(out.back())) {
      ++ended[out.back() == 5];
    } else {
      EXPECT_EQ(out.size(), 40u) << index;
      ++full;
    }
    // but for its end, the text of a model without end ids
    const Ids longer = endless.Generate(prompt, options);
    ASSERT_EQ(longer.size(), 40u);
    EXPECT_TRUE(std::equal(out.begin(), out.end(), longer.begin())) << index;
  }
  EXPECT_GT(ended[0], 0);
  EXPECT_GT(ended[1], 0);
  EXPECT_GT(full, 0);
}

TEST_F(GenerateTest, PastItsPositionsItGoesOnFromTheLastHalf) {
  const Model endless = Endless();
  const int64_t positions = golden_.layout->config().max_positions;
  ASSERT_EQ(positions, 64);
  // prompts within the positions, filling them, and longer
  for (const int64_t length : {5, 63, 64, 65, 100}) {
    const Ids prompt = RandomPrompt(length, static_cast<uint64_t>(length));
    const Ids out = endless.Generate(prompt, {.tokens = 200, .temperature = 0});
    ASSERT_EQ(out.size(), 200u);
    EXPECT_EQ(out, endless.Likeliest(prompt, 200)) << length;
  }
}

TEST_F(GenerateTest, FewerTokensAreAPrefixAndSeedAndIndexChangeTheDraws) {
  const Model endless = Endless();
  const Ids prompt = {7, 8, 9};
  const Ids whole = endless.Generate(prompt, {.tokens = 150});
  for (const int64_t tokens : {1, 10, 61, 62, 63, 94, 95, 96}) {
    EXPECT_EQ(endless.Generate(prompt, {.tokens = tokens}),
              Ids(whole.begin(), whole.begin() + tokens))
        << tokens;
  }
  EXPECT_TRUE(endless.Generate(prompt, {.tokens = 0}).empty());
  EXPECT_NE(endless.Generate(prompt, {.tokens = 150, .seed = 2}), whole);
  EXPECT_NE(endless.Generate(prompt, {.tokens = 150, .index = 1}), whole);
  EXPECT_EQ(endless.Generate(prompt, {.tokens = 150, .seed = 1, .index = 0}), whole);
}

// Pearson's statistic of counts against probabilities and its bound for a false alarm of 1e-9
// (Wilson and Hilferty's cube). Ids that are expected fewer than 8 times are one bin.
void ExpectDraws(const std::vector<int64_t>& counts, const std::vector<double>& probabilities) {
  ASSERT_EQ(counts.size(), probabilities.size());
  const auto draws = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  double statistic = 0, rare_expected = 0, rare = 0;
  int bins = 0;
  const auto add = [&](double found, double expected) {
    statistic += (found - expected) * (found - expected) / expected;
    ++bins;
  };
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = draws * probabilities[i];
    if (expected >= 8) {
      add(static_cast<double>(counts[i]), expected);
    } else {
      rare_expected += expected;
      rare += static_cast<double>(counts[i]);
    }
  }
  if (rare_expected >= 8) add(rare, rare_expected);
  ASSERT_GT(bins, 8);
  const double k = bins - 1, z = 6;
  const double bound = k * std::pow(1 - 2 / (9 * k) + z * std::sqrt(2 / (9 * k)), 3);
  EXPECT_LT(statistic, bound) << bins << " bins";
}

std::vector<double> Softmax(const std::vector<float>& logits, double temperature) {
  const double most = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (const float logit : logits) p.push_back(std::exp((logit - most) / temperature));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

// Of the first token, and of the second where the first is the likeliest: their noise must be
// independent, or the second would follow the first one's.
TEST_F(GenerateTest, DrawsAreOfTheSoftmaxAtTheTemperature) {
  constexpr int kDraws = 20'000;
  const Model endless = Endless();
  const size_t vocab = 61;
  const Ids prompt = {3, 1, 4};
  for (const double temperature : {0.8, 2.0}) {
    const auto first = Softmax(endless.Logits(prompt), temperature);
    const auto likeliest =
        static_cast<int32_t>(std::max_element(first.begin(), first.end()) - first.begin());
    std::vector<int64_t> counts(vocab), followers(vocab);
    for (uint64_t index = 0; index < kDraws; ++index) {
      const Ids out = endless.Generate(
          prompt, {.tokens = 2, .temperature = temperature, .seed = 11, .index = index});
      ASSERT_EQ(out.size(), 2u);
      ++counts[static_cast<size_t>(out[0])];
      if (out[0] == likeliest) ++followers[static_cast<size_t>(out[1])];
    }
    ExpectDraws(counts, first);
    Ids text = prompt;
    text.push_back(likeliest);
    ExpectDraws(followers, Softmax(endless.Logits(text), temperature));
  }
}

}  // namespace
}  // namespace pawl::nn
