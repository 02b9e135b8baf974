#include "nn/torch_decoder.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <cstring>

#include "tests/nn/logit_errors.h"

namespace pawl::nn {
namespace {
using torch::Tensor;

double InverseTargets(const OwnedSequences& batch) {
  return 1.0 / static_cast<double>(CountTargets(batch.view()));
}

OwnedSequences RandomBatch(const LanguageGolden& golden, const std::vector<int64_t>& lengths) {
  return RandomSequences(lengths, golden.layout->config().vocab, /*seed=*/9);
}

Tensor AsTensor(const core::ArrayMap& arrays, const std::string& name) {
  const core::NamedArray& array = arrays.At(name);
  const auto dtype = array.dtype == core::DType::kF64   ? at::kDouble
                     : array.dtype == core::DType::kI32 ? at::kInt
                                                        : at::kFloat;
  return at::from_blob(const_cast<std::byte*>(array.data.data()), array.shape, dtype).clone();
}

Tensor Distances(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs();
}
double Distance(const Tensor& a, const Tensor& b) { return Distances(a, b).max().item<double>(); }

TorchDecoder MakeDecoder(const LanguageGolden& golden, TorchDecoderSettings settings = {}) {
  TorchDecoder decoder(*golden.layout, settings);
  decoder.SetWeights(golden.weights);
  return decoder;
}

// [B, S, V]
Tensor GoldenLogits(const TorchDecoder& decoder, const LanguageGolden& golden) {
  torch::NoGradGuard no_grad;
  const OwnedSequences batch = GoldenSequences(golden.arrays);
  return decoder.Logits(decoder.Hidden(batch.view())).view(golden.arrays.At("logits").shape);
}

// The gradient of parameter `p` as the folder stores it.
Tensor ParameterGradient(TorchDecoder& decoder, const ModelParameter& p) {
  const Tensor part =
      decoder.gradient().narrow(0, static_cast<int64_t>(p.offset), static_cast<int64_t>(p.count));
  const Tensor shaped = part.view(p.shape);
  return p.stored_transposed ? shaped.t() : shaped;
}

// Tiny products: more threads only wait for each other.
const bool kOneThread = [] {
  at::set_num_threads(1);
  return true;
}();

class TorchDecoderGolden : public ::testing::TestWithParam<std::string> {
 protected:
  const LanguageGolden golden_ = ReadLanguageGolden(GetParam());
};

// float64 holds transformers' formulas apart from rounding: 1e-12 is sums of 100 terms of order 30.
TEST_P(TorchDecoderGolden, LogitsInFloat64AreTransformers) {
  const auto decoder = MakeDecoder(golden_, {.compute = at::kDouble});
  const double error =
      Distance(GoldenLogits(decoder, golden_)[0], AsTensor(golden_.arrays, "logits_f64")[0]);
  EXPECT_LT(error, 1e-12 * Scale());
}

// Logits reach 30, with 4 layers of roundings of 1e-6 each; gradients follow them.
TEST_P(TorchDecoderGolden, LogitsLossAndGradientAreTransformers) {
  auto decoder = MakeDecoder(golden_);
  EXPECT_LT(Distance(GoldenLogits(decoder, golden_), AsTensor(golden_.arrays, "logits")),
            1e-4 * Scale());
  const OwnedSequences batch = GoldenSequences(golden_.arrays);
  const double loss = decoder.CrossEntropyGradient(batch.view(), InverseTargets(batch));
  EXPECT_NEAR(loss, AsTensor(golden_.arrays, "loss").item<double>(), 4e-6 * Scale());
  for (const ModelParameter& p : golden_.layout->parameters()) {
    Tensor expected = AsTensor(golden_.arrays, "grad/" + p.name);
    Tensor ours = ParameterGradient(decoder, p);
    ASSERT_EQ(ours.sizes(), expected.sizes()) << p.name;
    // transformers leaves the pad token's row of the embedding out of the gradient
    const auto pad = golden_.layout->config().pad_id;
    if (pad && p.offset == golden_.layout->embedding()) {
      ours = ours.clone();
      ours[*pad] = expected[*pad];
    }
    EXPECT_LT(Distance(ours, expected), 1e-5 * Scale()) << p.name;
  }
}

TEST(TorchDecoderGoldens, Bfloat16IsNearerToTheTruthThanTransformers) {
  ExpectNearerThanTransformers([](const LanguageGolden& golden) {
    const auto decoder = MakeDecoder(golden, {.compute = at::kBFloat16});
    const Tensor logits = GoldenLogits(decoder, golden).contiguous();
    const auto* data = logits.data_ptr<float>();
    return std::vector<float>(data, data + logits.numel());
  });
}

// Relative to the gradient's norm; bfloat16 rounds by 2^-9, some 20 times in a row.
TEST_P(TorchDecoderGolden, Bfloat16GradientIsNearFloat32s) {
  const OwnedSequences batch = GoldenSequences(golden_.arrays);
  auto float32 = MakeDecoder(golden_), bfloat16 = MakeDecoder(golden_, {.compute = at::kBFloat16});
  for (auto* decoder : {&float32, &bfloat16}) {
    decoder->CrossEntropyGradient(batch.view(), InverseTargets(batch));
  }
  const Tensor error = bfloat16.gradient() - float32.gradient();
  EXPECT_LT((error.norm() / float32.gradient().norm()).item<double>(), 0.06 * Scale());
}

// Lengths that make runs of equal ones, single ones, one below and one at the window of 8.
TEST_P(TorchDecoderGolden, PackedSequencesEqualTheSequencesAlone) {
  auto packed = MakeDecoder(golden_, {.compute = at::kDouble});
  auto alone = MakeDecoder(golden_, {.compute = at::kDouble});
  const std::vector<int64_t> lengths{5, 1, 19, 19, 8, 9, 9, 3};
  const OwnedSequences batch = RandomBatch(golden_, lengths);
  const double inverse = InverseTargets(batch);
  double loss = packed.CrossEntropyGradient(batch.view(), inverse);
  const Tensor hidden = packed.Hidden(batch.view()).detach();
  for (size_t i = 0; i < lengths.size(); ++i) {
    const auto first = batch.tokens.begin() + batch.starts[i];
    OwnedSequences one;
    one.Add({first, first + lengths[i]});
    const Tensor part = alone.Hidden(one.view()).detach();
    EXPECT_LT(Distance(part, hidden.narrow(0, batch.starts[i], lengths[i])), 1e-12 * Scale()) << i;
    loss -= alone.CrossEntropyGradient(one.view(), inverse);
  }
  EXPECT_NEAR(loss, 0, 1e-12 * Scale());
  EXPECT_LT(Distance(packed.gradient(), alone.gradient()), 1e-12 * Scale());
  EXPECT_GT(packed.gradient().abs().max().item<double>(), 1e-2);
}

TEST_P(TorchDecoderGolden, ChunksOfTheHeadDoNotMatter) {
  const OwnedSequences batch = GoldenSequences(golden_.arrays);
  std::vector<Tensor> gradients;
  std::vector<double> losses;
  for (const int64_t chunk : {1000, 1, 7}) {
    auto decoder = MakeDecoder(golden_, {.head_chunk_rows = chunk});
    losses.push_back(decoder.CrossEntropyGradient(batch.view(), InverseTargets(batch)));
    gradients.push_back(decoder.gradient().clone());
  }
  const double largest = gradients[0].abs().max().item<double>();
  for (size_t i = 1; i < gradients.size(); ++i) {
    EXPECT_NEAR(losses[i], losses[0], 1e-6 * Scale());
    EXPECT_LT(Distance(gradients[i], gradients[0]), 1e-6 * largest * Scale());
  }
}

TEST_P(TorchDecoderGolden, CheckpointingGivesTheSameGradient) {
  const OwnedSequences batch = GoldenSequences(golden_.arrays);
  for (const auto compute : {at::kFloat, at::kBFloat16}) {
    auto plain = MakeDecoder(golden_, {.compute = compute});
    auto checkpointed = MakeDecoder(golden_, {.compute = compute, .checkpoint = true});
    for (auto* decoder : {&plain, &checkpointed}) {
      decoder->CrossEntropyGradient(batch.view(), InverseTargets(batch));
    }
    // the same operations on the same numbers: every bit
    EXPECT_TRUE(at::equal(plain.gradient(), checkpointed.gradient()));
    EXPECT_GT(plain.gradient().abs().max().item<double>(), 1e-2);
  }
}

// A loss with entropy in it and a temperature, along random directions of all parameters at once.
TEST_P(TorchDecoderGolden, GradientsEqualFiniteDifferences) {
  auto decoder = MakeDecoder(golden_, {.compute = at::kDouble, .head_chunk_rows = 4});
  OwnedSequences batch = RandomBatch(golden_, {12, 12, 3});
  batch.is_target[5] = batch.is_target[14] = 0;
  constexpr double kEntropyCoef = 0.125, kInverseTemperature = 0.8;
  const kernels::TokenLoss loss = [](int64_t, std::span<const float>, std::span<const float>,
                                     std::span<float> dlog_prob, std::span<float> dentropy) {
    std::fill(dlog_prob.begin(), dlog_prob.end(), -1.0f);
    std::fill(dentropy.begin(), dentropy.end(), static_cast<float>(-kEntropyCoef));
  };
  decoder.Gradient(batch.view(), loss, kInverseTemperature);
  const auto value = [&] {
    const auto out = decoder.LogProb(batch.view(), kInverseTemperature);
    return -(out.log_prob + kEntropyCoef * out.entropy).sum().item<double>();
  };
  core::Philox rng(3, core::Role::kTest, 0, 0);
  const Tensor base = decoder.weights().clone();
  for (int i = 0; i < 3; ++i) {
    Tensor direction = at::zeros_like(base);
    for (const ModelParameter& p : golden_.layout->parameters()) {
      for (size_t j = 0; j < p.count; ++j) {
        direction.data_ptr<double>()[p.offset + j] = rng.Normal();
      }
    }
    const double step = 1e-5;
    decoder.weights().copy_(base + step * direction);
    const double above = value();
    decoder.weights().copy_(base - step * direction);
    const double below = value();
    const double expected = (decoder.gradient() * direction).sum().item<double>();
    // third derivatives of a loss of order 100 times step^2
    EXPECT_NEAR((above - below) / (2 * step), expected, 1e-5 * std::abs(expected) + 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TorchDecoderGolden, ::testing::ValuesIn(GoldenFamilies()),
                         [](const auto& info) { return info.param; });

class TorchDecoderTest : public ::testing::Test {
 protected:
  const LanguageGolden golden_ = ReadLanguageGolden("qwen2");
};

TEST_F(TorchDecoderTest, WeightsComeBackBitForBit) {
  const auto decoder = MakeDecoder(golden_);
  std::vector<float> back(golden_.weights.size());
  decoder.CopyWeights(back);
  EXPECT_EQ(std::memcmp(back.data(), golden_.weights.data(), back.size() * sizeof(float)), 0);
}

TEST_F(TorchDecoderTest, GradientsAddUpAndPaddingStaysZero) {
  auto decoder = MakeDecoder(golden_);
  const OwnedSequences batch = GoldenSequences(golden_.arrays);
  decoder.CrossEntropyGradient(batch.view(), 0.25);
  const Tensor once = decoder.gradient().clone();
  decoder.CrossEntropyGradient(batch.view(), 0.25);
  // the head's part is added before the embedding's, and they are one matrix
  EXPECT_LT(Distance(decoder.gradient(), 2 * once), 1e-6 * once.abs().max().item<double>());
  Tensor padding = decoder.gradient().clone();
  for (const ModelParameter& p : golden_.layout->parameters()) {
    padding.narrow(0, static_cast<int64_t>(p.offset), static_cast<int64_t>(p.count)).zero_();
  }
  EXPECT_EQ(padding.abs().max().item<float>(), 0);
  std::vector<float> copy(golden_.weights.size());
  decoder.CopyGradient(copy);
  EXPECT_EQ(
      copy[golden_.layout->final_norm().weight],
      decoder.gradient()[static_cast<int64_t>(golden_.layout->final_norm().weight)].item<float>());
  decoder.ZeroGradient();
  EXPECT_EQ(decoder.gradient().abs().max().item<float>(), 0);
}

// Targets only choose rows: the loss of a subset is the subset's log-probabilities.
TEST_F(TorchDecoderTest, TargetsArePredictedFromTheTokenBefore) {
  const auto decoder = MakeDecoder(golden_, {.compute = at::kDouble});
  OwnedSequences batch = RandomBatch(golden_, {6, 4});
  std::fill(batch.is_target.begin(), batch.is_target.end(), 0);
  batch.is_target[3] = batch.is_target[9] = 1;
  const auto out = decoder.LogProb(batch.view());
  const Tensor log_p = at::log_softmax(decoder.Logits(decoder.Hidden(batch.view()).detach()), 1);
  ASSERT_EQ(out.log_prob.numel(), 2);
  EXPECT_NEAR(out.log_prob[0].item<double>(), log_p[2][batch.tokens[3]].item<double>(), 1e-12);
  EXPECT_NEAR(out.log_prob[1].item<double>(), log_p[8][batch.tokens[9]].item<double>(), 1e-12);
  EXPECT_NEAR(out.entropy[1].item<double>(), -(log_p[8].exp() * log_p[8]).sum().item<double>(),
              1e-12);
}

TEST_F(TorchDecoderTest, NoTargetsIsNoGradient) {
  auto decoder = MakeDecoder(golden_);
  OwnedSequences batch = RandomBatch(golden_, {6, 4});
  std::fill(batch.is_target.begin(), batch.is_target.end(), 0);
  EXPECT_EQ(decoder.CrossEntropyGradient(batch.view(), 1), 0);
  EXPECT_EQ(decoder.gradient().abs().max().item<float>(), 0);
}

TEST_F(TorchDecoderTest, ImpossibleBatchesAreRefused) {
  auto decoder = MakeDecoder(golden_);
  const auto refuses = [&](const OwnedSequences& batch) {
    EXPECT_THROW(decoder.CrossEntropyGradient(batch.view(), 1), Error);
  };
  const int64_t vocab = golden_.layout->config().vocab;
  OwnedSequences batch = RandomBatch(golden_, {6, 4});
  batch.is_target[6] = 1;  // the first token of a sequence
  refuses(batch);
  batch = RandomBatch(golden_, {6, 4});
  batch.tokens[2] = static_cast<int32_t>(vocab);
  refuses(batch);
  refuses(RandomBatch(golden_, {6, 0, 4}));  // an empty sequence
  batch = RandomBatch(golden_, {6, 4});
  batch.starts.back() = 9;
  refuses(batch);
  std::vector<float> short_weights(golden_.weights.size() - 1);
  EXPECT_THROW(decoder.SetWeights(short_weights), Error);
  const LanguageGolden gpt2 = ReadLanguageGolden("gpt2");
  const OwnedSequences longer = RandomBatch(gpt2, {gpt2.layout->config().max_positions + 1});
  EXPECT_THROW(MakeDecoder(gpt2).Hidden(longer.view()), Error);
}

}  // namespace
}  // namespace pawl::nn
