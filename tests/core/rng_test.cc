#include "core/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "core/error.h"

namespace pawl::core {
namespace {
using Words = std::array<uint32_t, 4>;

// The known answers that the authors of Philox publish with Random123 (kat_vectors, philox4x32-10).
TEST(Philox, MatchesThePublishedKnownAnswers) {
  EXPECT_EQ(Philox::Block({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox::Block({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      Philox::Block({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Saved runs depend on how a key becomes a counter: seed -> key; index, step and role -> counter
// words 1 to 3.
TEST(Philox, KeyLayoutIsFixed) {
  const uint64_t seed = 0x0123456789abcdef;
  Philox stream(seed, Role::kAction, 5, 0x11223344556677);
  const Words expected =
      Philox::Block({0, 5, 0x44556677, 4u << 24 | 0x112233}, {0x89abcdef, 0x01234567});
  for (const uint32_t word : expected) EXPECT_EQ(stream.NextU32(), word);
}

TEST(Philox, ACopyGoesOnIdentically) {
  Philox a(1, Role::kTest, 2, 3);
  a.Normal();
  a.NextU32();
  Philox b = a;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.Normal(), b.Normal());
}

TEST(Philox, StreamsOfDifferentKeysShareNoWords) {
  std::set<uint64_t> seen;
  int drawn = 0;
  for (const uint64_t seed : {0u, 1u}) {
    for (const Role role : {Role::kEnvReset, Role::kAction}) {
      for (const uint64_t index : {0u, 1u, 7u}) {
        for (const uint64_t step : {0u, 1u, 2u}) {
          Philox stream(seed, role, index, step);
          for (int i = 0; i < 50; ++i, ++drawn) seen.insert(stream.NextU64());
        }
      }
    }
  }
  // two equal 64-bit words among 1,800 have probability 1e-13
  EXPECT_EQ(static_cast<int>(seen.size()), drawn);
}

TEST(Philox, NeighbouringStreamsAreUncorrelated) {
  constexpr int kCount = 20000;
  for (const auto& [index, step] : {std::pair(1, 0), std::pair(0, 1)}) {
    Philox a(9, Role::kTest, 0, 0);
    Philox b(9, Role::kTest, index, step);
    double product = 0;
    for (int i = 0; i < kCount; ++i) product += (a.Uniform() - 0.5) * (b.Uniform() - 0.5);
    // the mean of the product has standard error (1/12) / sqrt(n)
    EXPECT_LT(std::abs(product / kCount), 5 * (1.0 / 12) / std::sqrt(kCount));
  }
}

TEST(Philox, UniformHasTheMomentsOfItsInterval) {
  constexpr int kCount = 100000;
  Philox stream(3, Role::kTest, 0, 0);
  double sum = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = stream.Uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  // variances of u and u^2: 1/12 and 4/45
  EXPECT_NEAR(sum / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kCount));
}

TEST(Philox, NormalHasTheMomentsOfTheStandardNormal) {
  constexpr int kCount = 200000;
  Philox stream(4, Role::kTest, 0, 0);
  double moments[5] = {};
  for (int i = 0; i < kCount; ++i) {
    const double x = stream.Normal();
    ASSERT_TRUE(std::isfinite(x));
    for (int k = 1; k <= 4; ++k) moments[k] += std::pow(x, k) / kCount;
  }
  // variances of x, x^2, x^3, x^4: 1, 2, 15, 96
  EXPECT_NEAR(moments[1], 0, 5 * std::sqrt(1.0 / kCount));
  EXPECT_NEAR(moments[2], 1, 5 * std::sqrt(2.0 / kCount));
  EXPECT_NEAR(moments[3], 0, 5 * std::sqrt(15.0 / kCount));
  EXPECT_NEAR(moments[4], 3, 5 * std::sqrt(96.0 / kCount));
}

TEST(Philox, BelowIsUniformAndInRange) {
  constexpr int kCount = 60000;
  Philox stream(5, Role::kTest, 0, 0);
  for (const uint32_t n : {1u, 3u, 6u}) {
    std::vector<int> counts(n);
    for (int i = 0; i < kCount; ++i) {
      const uint32_t value = stream.Below(n);
      ASSERT_LT(value, n);
      ++counts[value];
    }
    const double p = 1.0 / n;
    for (const int count : counts) {
      EXPECT_NEAR(count, kCount * p, 5 * std::sqrt(kCount * p * (1 - p)) + 1e-9);
    }
  }
}

// With n = 3 * 2^30 a quarter of all words are rejected; without rejection the lowest third would
// come twice as often.
TEST(Philox, BelowIsUnbiasedForLargeRanges) {
  constexpr int kCount = 30000;
  constexpr uint32_t kRange = 3u << 30;
  Philox stream(6, Role::kTest, 0, 0);
  int thirds[3] = {};
  for (int i = 0; i < kCount; ++i) ++thirds[stream.Below(kRange) / (1u << 30)];
  for (const int count : thirds) {
    EXPECT_NEAR(count, kCount / 3.0, 5 * std::sqrt(kCount * 2.0 / 9));
  }
  // the same for residues, which is where multiply-shift without rejection shows its bias
  int residues[3] = {};
  for (int i = 0; i < kCount; ++i) ++residues[stream.Below(kRange) % 3];
  for (const int count : residues) {
    EXPECT_NEAR(count, kCount / 3.0, 5 * std::sqrt(kCount * 2.0 / 9));
  }
}

TEST(Philox, KeysBeyondTheirFieldsAreRefused) {
  EXPECT_THROW(Philox(0, Role::kTest, uint64_t{1} << 32, 0), Error);
  EXPECT_THROW(Philox(0, Role::kTest, 0, uint64_t{1} << 56), Error);
}

}  // namespace
}  // namespace pawl::core
