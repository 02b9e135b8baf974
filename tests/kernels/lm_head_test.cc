#include "kernels/lm_head.h"

#include <cmath>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "lm_head_case.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

constexpr HeadOptions kOptions[] = {
    {},
    {.bias = true, .inverse_temperature = 0.7f},
    {.half = true, .soft_cap = 2},
    {.bias = true, .soft_cap = 1.5f, .inverse_temperature = 1.6f},
};

class LmHead : public OnEveryTarget {};

TEST_P(LmHead, LogProbAndEntropyAgreeWithDouble) {
  Team team(2);
  for (const HeadOptions& o : kOptions) {
    for (int64_t rows : {0, 1, 3, 17}) {
      for (auto [vocab, width] : {std::pair<int64_t, int64_t>{1, 3},
                                  {2, 1},
                                  {15, 17},
                                  {16, 16},
                                  {33, 33},
                                  {4097, 3},
                                  {8200, 1}}) {
        HeadCase c(o, rows, vocab, width);
        LmHeadLoss(c.Args(), team);
        for (int64_t r = 0; r < rows; ++r) {
          const auto [log_prob, entropy] = c.Definition(r, c.Logits(r));
          // roundings of the logits (size up to 5) and of the sum's exponentials
          ASSERT_NEAR(c.log_prob[r], log_prob, 2e-6) << vocab;
          ASSERT_NEAR(c.entropy[r], entropy, 2e-6) << vocab;
        }
      }
    }
  }
}

TEST_P(LmHead, GradientsAgreeWithFiniteDifferences) {
  Team team(2);
  for (const HeadOptions& o : kOptions) {
    for (int64_t rows : {0, 1, 3, 17}) {
      for (auto [vocab, width] :
           {std::pair<int64_t, int64_t>{1, 3}, {2, 1}, {15, 17}, {33, 15}, {200, 2}}) {
        HeadCase c(o, rows, vocab, width);
        std::vector<std::vector<double>> dlogit(rows, std::vector<double>(vocab));
        for (int64_t r = 0; r < rows; ++r) {
          const std::vector<double> z = c.Logits(r);
          for (int64_t v = 0; v < vocab; ++v) dlogit[r][v] = c.DLogit(r, z, v);
        }
        const Rows weight_before = c.dweight;
        const std::vector<float> bias_before = c.dbias;
        LmHeadLoss(c.Args(), team);
        for (int64_t i = 0; i < width; ++i) {
          for (int64_t r = 0; r < rows; ++r) {
            double want = 0;
            for (int64_t v = 0; v < vocab; ++v) want += dlogit[r][v] * c.weight(v, i);
            ASSERT_NEAR(c.dx(r, i), want, 4e-6) << vocab << " " << r;
          }
          for (int64_t v = 0; v < vocab; ++v) {
            double want = weight_before(v, i);
            for (int64_t r = 0; r < rows; ++r) want += dlogit[r][v] * c.x(r, i);
            ASSERT_NEAR(c.dweight(v, i), want, 6e-6) << vocab;
          }
        }
        for (int64_t v = 0; v < vocab; ++v) {
          double want = bias_before[v];
          for (int64_t r = 0; r < rows; ++r) want += dlogit[r][v];
          ASSERT_NEAR(c.dbias[v], want, 6e-6) << vocab;
        }
        EXPECT_TRUE(c.dx.GuardsKept() && c.dweight.GuardsKept());
      }
    }
  }
}

TEST_P(LmHead, BitsDoNotDependOnChunksThreadsOrParts) {
  constexpr int64_t kRows = 37, kVocab = 5000, kWidth = 9;
  for (const HeadOptions& o : kOptions) {
    Team one(1);
    HeadCase want(o, kRows, kVocab, kWidth);
    LmHeadLoss(want.Args(), one);
    for (int64_t chunk : {0, 1, 2, 5, 36, 1000}) {
      Team team(static_cast<int>(chunk % 3) + 1);
      HeadCase c(o, kRows, kVocab, kWidth);
      LmHeadArgs args = c.Args();
      args.chunk_rows = chunk;
      LmHeadLoss(args, team);
      EXPECT_EQ(c.log_prob, want.log_prob) << chunk;
      EXPECT_EQ(c.entropy, want.entropy) << chunk;
      EXPECT_EQ(c.dx, want.dx) << chunk;
      EXPECT_EQ(c.dweight, want.dweight) << chunk;
      EXPECT_EQ(c.dbias, want.dbias) << chunk;
    }
    // two calls, the second of them one row
    HeadCase parts(o, kRows, kVocab, kWidth);
    for (auto [first, count] : {std::pair<int64_t, int64_t>{0, kRows - 1}, {kRows - 1, 1}}) {
      LmHeadArgs args = parts.Args();
      args.rows = count;
      args.x = parts.x.row(first);
      args.targets = args.targets.subspan(first, count);
      args.log_prob += first;
      args.entropy += first;
      args.dx = parts.dx.row(first);
      const TokenLoss shifted = [&, first = first](int64_t at, auto log_prob, auto entropy,
                                                   auto dlog, auto dent) {
        parts.loss(first + at, log_prob, entropy, dlog, dent);
      };
      args.loss = &shifted;
      LmHeadLoss(args, one);
    }
    EXPECT_EQ(parts.log_prob, want.log_prob);
    EXPECT_EQ(parts.dx, want.dx);
    EXPECT_EQ(parts.dweight, want.dweight);
    EXPECT_EQ(parts.dbias, want.dbias);
  }
}

TEST_P(LmHead, ForwardOnlyAndAFrozenHeadGiveTheSameNumbersAndTouchNothingElse) {
  Team team(2);
  for (const HeadOptions& o : kOptions) {
    HeadCase want(o, 17, 300, 9), forward(o, 17, 300, 9), frozen(o, 17, 300, 9);
    LmHeadLoss(want.Args(), team);
    const Rows dx = forward.dx, dweight = forward.dweight;
    LmHeadArgs args = forward.Args();
    args.loss = nullptr;
    args.entropy = nullptr;
    LmHeadLoss(args, team);
    EXPECT_EQ(forward.log_prob, want.log_prob);
    EXPECT_TRUE(forward.dx == dx && forward.dweight == dweight);
    args = frozen.Args();
    args.dweight = nullptr;
    args.dbias = nullptr;
    LmHeadLoss(args, team);
    EXPECT_EQ(frozen.entropy, want.entropy);
    EXPECT_EQ(frozen.dx, want.dx);
    EXPECT_EQ(frozen.dweight, dweight);
  }
}

TEST_P(LmHead, WithoutAnEntropyTheLossSeesZerosAndItsDerivativeIsNotRead) {
  Team team(1);
  HeadCase with({}, 17, 300, 9), without({}, 17, 300, 9);
  with.dentropy.assign(17, 0.0f);
  without.dentropy.assign(17, 5.0f);
  LmHeadLoss(with.Args(), team);
  LmHeadArgs args = without.Args();
  args.entropy = nullptr;
  size_t seen = 0;
  const TokenLoss checked = [&](int64_t first, auto log_prob, auto entropy, auto dlog, auto dent) {
    ASSERT_FALSE(log_prob.empty());
    ASSERT_EQ(entropy.size(), log_prob.size());
    ASSERT_EQ(dent.size(), log_prob.size());
    seen += log_prob.size();
    for (float h : entropy) EXPECT_EQ(h, 0);
    for (float d : dent) EXPECT_EQ(d, 0);
    without.loss(first, log_prob, entropy, dlog, dent);
  };
  args.loss = &checked;
  LmHeadLoss(args, team);
  EXPECT_EQ(seen, 17u);
  EXPECT_EQ(without.log_prob, with.log_prob);
  EXPECT_EQ(without.dx, with.dx);
}

TEST_P(LmHead, RowsOfNoWeightGiveExactZerosWhateverTheirLogits) {
  Team team(2);
  for (const HeadOptions& o : kOptions) {
    HeadCase c(o, 17, 300, 9);
    c.dlog_prob.assign(17, 0.0f);
    c.dentropy.assign(17, 0.0f);
    c.x(3, 0) = std::numeric_limits<float>::infinity();
    c.x(4, 0) = 0;
    const Rows dweight = c.dweight;
    LmHeadArgs args = c.Args();
    args.dweight = nullptr;  // 0 times the infinity in x is NaN there
    LmHeadLoss(args, team);
    for (int64_t r = 0; r < 17; ++r) {
      for (int64_t i = 0; i < 9; ++i) ASSERT_EQ(c.dx(r, i), 0);
    }
    c.x(3, 0) = 1;
    LmHeadLoss(c.Args(), team);
    EXPECT_EQ(c.dweight, dweight);
  }
}

TEST_P(LmHead, TheLossIsCalledOnTheCallersThreadChunkByChunk) {
  Team team(3);
  HeadCase c({}, 17, 50, 3);
  std::vector<std::pair<int64_t, size_t>> calls;
  const std::thread::id caller = std::this_thread::get_id();
  const TokenLoss loss = [&](int64_t first, auto log_prob, auto entropy, auto dlog, auto dent) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_TRUE(entropy.size() == dlog.size() && log_prob.size() == dent.size());
    for (float d : dent) EXPECT_EQ(d, 0);  // not the last chunk's
    std::fill(dent.begin(), dent.end(), 1.0f);
    calls.emplace_back(first, log_prob.size());
  };
  LmHeadArgs args = c.Args();
  args.loss = &loss;
  args.chunk_rows = 7;
  LmHeadLoss(args, team);
  EXPECT_EQ(calls, (std::vector<std::pair<int64_t, size_t>>{{0, 7}, {7, 7}, {14, 3}}));
}

TEST_P(LmHead, HugeLogitsStayExact) {
  Team team(1);
  for (double scale : {1e2, 1e4}) {
    HeadCase c({.scale = scale}, 17, 33, 3);
    LmHeadLoss(c.Args(), team);
    for (int64_t r = 0; r < 17; ++r) {
      const auto [log_prob, entropy] = c.Definition(r, c.Logits(r));
      ASSERT_NEAR(c.log_prob[r], log_prob, 1e-6 * scale);
      ASSERT_NEAR(c.entropy[r], entropy, 1e-6 * scale);
      for (int64_t i = 0; i < 3; ++i) ASSERT_TRUE(std::isfinite(c.dx(r, i)));
    }
  }
  // all logits equal: the distribution is uniform, wherever they lie
  for (float constant : {1e4f, -1e4f}) {
    HeadCase c({.bias = true}, 3, 33, 3);
    for (float& b : c.bias) b = constant;
    for (int64_t r = 0; r < 3; ++r) std::fill_n(c.x.row(r), 3, 0.0f);
    LmHeadLoss(c.Args(), team);
    EXPECT_NEAR(c.log_prob[0], -std::log(33.0), 1e-6);
    EXPECT_NEAR(c.entropy[1], std::log(33.0), 1e-6);
  }
}

TEST_P(LmHead, TokensAtMinusInfinityAreNeverChosenAndNaNIsSeen) {
  Team team(1);
  for (float cap : {0.0f, 20.0f}) {
    HeadCase c({.bias = true, .soft_cap = cap}, 3, 70, 3);
    c.bias[5] = cap > 0 ? -1e30f : -std::numeric_limits<float>::infinity();
    LmHeadLoss(c.Args(), team);
    for (int64_t r = 0; r < 3; ++r) {
      EXPECT_TRUE(std::isfinite(c.log_prob[r]) && std::isfinite(c.entropy[r]));
      for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(std::isfinite(c.dx(r, i)));
    }
    c.x(1, 2) = std::numeric_limits<float>::quiet_NaN();
    LmHeadLoss(c.Args(), team);
    EXPECT_TRUE(std::isnan(c.log_prob[1]) && std::isnan(c.entropy[1]) && std::isnan(c.dx(1, 0)));
    EXPECT_TRUE(std::isfinite(c.log_prob[0]) && std::isfinite(c.dx(2, 0)));
  }
}

// Without a loss the logits are never all there: the same bits.
TEST_P(LmHead, ScoresAreTheSameBitsWithALossAndWithout) {
  for (const HeadOptions& o : kOptions) {
    for (auto [rows, vocab, width] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1},
                                      {2, 700, 33},
                                      {97, 256, 16},
                                      {37, 5000, 9},
                                      {200, 257, 600}}) {
      Team one(1);
      HeadCase want(o, rows, vocab, width);
      std::vector<float> best(static_cast<size_t>(rows));
      LmHeadArgs args = want.Args();
      args.best_log_prob = best.data();
      LmHeadLoss(args, one);
      for (int threads : {1, 2, 3}) {
        Team team(threads);
        HeadCase c(o, rows, vocab, width);
        std::vector<float> c_best(static_cast<size_t>(rows));
        args = c.Args();
        args.loss = nullptr;
        args.best_log_prob = c_best.data();
        LmHeadLoss(args, team);
        EXPECT_EQ(c.log_prob, want.log_prob) << rows << " x " << vocab;
        EXPECT_EQ(c.entropy, want.entropy) << rows << " x " << vocab;
        EXPECT_EQ(c_best, best) << rows << " x " << vocab;
        std::fill(c.log_prob.begin(), c.log_prob.end(), 0.0f);
        args.entropy = nullptr;
        LmHeadLoss(args, team);
        EXPECT_EQ(c.log_prob, want.log_prob) << rows << " x " << vocab << " without entropy";
      }
    }
  }
}

TEST_P(LmHead, BlocksAndTailsLoseAndRepeatNothing) {
  // all logits are 0, all exponentials 1: the sums are exact in any order
  Team team(1);
  for (int64_t vocab : {1, 15, 17, 255, 256, 257, 513, 12300}) {
    HeadCase c({}, 2, vocab, 1);
    c.x(0, 0) = c.x(1, 0) = 0;
    LmHeadArgs args = c.Args();
    args.loss = nullptr;
    LmHeadLoss(args, team);
    EXPECT_EQ(c.log_prob[0], static_cast<float>(-std::log(double(vocab)))) << vocab;
    EXPECT_EQ(c.entropy[1], static_cast<float>(std::log(double(vocab)))) << vocab;
  }
}

// exp(x) for x <= 0 as the head takes it: 2^(x log2 e), 2^n times a polynomial (vector-inl.h).
float ExpOf(float x) {
  const float y = x * 1.44269504f;
  if (y < -125) return 0;
  const float n = std::nearbyint(y), r = y - n;
  float p = 0.000154531634f;
  for (const float c :
       {0.00133908633f, 0.00961808302f, 0.0555035695f, 0.240226507f, 0.693147182f, 1.0f}) {
    p = std::fma(p, r, c);
  }
  return std::ldexp(p, static_cast<int>(n));
}

// log_prob and entropy from logits in the order the head promises.
std::pair<float, float> InOrder(const std::vector<float>& z, int32_t target) {
  const int64_t vocab = std::ssize(z);
  const float largest = *std::max_element(z.begin(), z.end());
  double sum = 0, weighted = 0;
  for (int64_t block = 0; block < vocab; block += 256) {
    const int64_t end = std::min(block + 256, vocab);
    const float top = *std::max_element(z.begin() + block, z.begin() + end);
    float lanes[2][16] = {};
    for (int64_t v = block; v < end; ++v) {
      const float shifted = z[v] - top;
      const float e = ExpOf(shifted);
      lanes[0][v % 16] += e;
      lanes[1][v % 16] = std::fma(shifted, e, lanes[1][v % 16]);
    }
    for (auto& row : lanes) {
      for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) row[i] += row[i + half];
      }
    }
    const float shift = top - largest;
    const float factor = ExpOf(shift);
    sum += double(factor) * lanes[0][0];
    weighted += double(factor) * (lanes[1][0] + double(shift) * lanes[0][0]);
  }
  return {static_cast<float>(double(z[target]) - largest - std::log(sum)),
          static_cast<float>(std::log(sum) - weighted / sum)};
}

TEST_P(LmHead, ASumIsSixteenLanesABlockAndBlocksInDouble) {
  if (!HasFma(GetParam())) GTEST_SKIP() << "bits are promised where there is an FMA";
  Team team(1);
  constexpr int64_t kRows = 8;
  for (int64_t vocab : {1, 15, 17, 70, 255, 256, 257, 4113, 10001}) {
    // targets are the likeliest of a peaked distribution: log_prob is small, so that its bits show
    // those of the sum
    HeadCase c({.scale = 4}, kRows, vocab, 1);
    std::vector<std::vector<float>> z(kRows, std::vector<float>(vocab));
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t v = 0; v < vocab; ++v) z[r][v] = c.x(r, 0) * c.weight(v, 0);
      c.targets[r] =
          static_cast<int32_t>(std::max_element(z[r].begin(), z[r].end()) - z[r].begin());
    }
    LmHeadLoss(c.Args(), team);
    for (int64_t r = 0; r < kRows; ++r) {
      const auto [log_prob, entropy] = InOrder(z[r], c.targets[r]);
      EXPECT_EQ(c.log_prob[r], log_prob) << vocab;
      EXPECT_EQ(c.entropy[r], entropy) << vocab;
    }
  }
}
PAWL_ON_EVERY_TARGET(LmHead);

TEST(LmHead, ATargetThatIsNoTokenIsAnError) {
  Team team(1);
  HeadCase c({}, 3, 10, 3);
  for (int32_t bad : {-1, 10}) {
    c.targets[1] = bad;
    EXPECT_THROW(LmHeadLoss(c.Args(), team), Error);
  }
}

TEST(LmHead, TheWorkspaceIsSmallBesideTheLogits) {
  auto bytes = [](int64_t rows, int64_t vocab) {
    return double(LmHeadWorkspaceBytes({.rows = rows, .width = 64, .vocab = vocab}));
  };
  for (auto [rows, vocab] :
       {std::pair<int64_t, int64_t>{4096, 151936}, {4096, 32000}, {8192, 151936}, {3000, 32768}}) {
    const double eager = 3.0 * 4 * double(rows) * double(vocab);
    EXPECT_LT(bytes(rows, vocab), eager / 9.9) << rows << " x " << vocab;
    EXPECT_LT(bytes(rows, vocab), 270e6);  // 256 MiB
    EXPECT_GT(bytes(rows, vocab), 256.0 * 4 * double(vocab));
  }
  EXPECT_LT(bytes(100, 151936), 100 * 4 * 152600.0);  // never more than all rows
  EXPECT_LT(bytes(1 << 20, 100), 140e6);
  EXPECT_LT(bytes(4096, 1 << 21), 270e6);
}

// A field of /proc/self/status in bytes.
double StatusBytes(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    double kib = 0;
    if (word == name && file >> kib) return kib * 1024;
  }
  return 0;
}

TEST(LmHead, NoBufferOfAllLogitsIsMade) {
  std::ofstream("/proc/self/clear_refs") << "5";  // restarts the peak, where that is allowed
  Team team(2);
  constexpr int64_t kRows = 4096, kVocab = 40000, kWidth = 2;  // logits: 655 MB
  HeadCase c({}, kRows, kVocab, kWidth);
  const double before = StatusBytes("VmHWM:");
  ASSERT_GT(before, 0);
  LmHeadLoss(c.Args(), team);
  const double growth = StatusBytes("VmHWM:") - before;
  const double allowed = double(LmHeadWorkspaceBytes(c.Args())) + 32e6;
  EXPECT_LT(growth, allowed);
  EXPECT_LT(allowed, 4.0 * kRows * kVocab / 3);
}

}  // namespace
}  // namespace pawl::kernels
