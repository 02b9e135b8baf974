#include "kernels/adamw.h"

#include <bit>
#include <cmath>
#include <limits>

#include "rows.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

// The bfloat16 nearest to x, ties to even: by comparing the two neighbours.
uint16_t NearestHalf(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint16_t down = static_cast<uint16_t>(bits >> 16);
  const double low = std::bit_cast<float>(bits & 0xffff0000u);
  const double high = std::bit_cast<float>((bits & 0xffff0000u) + 0x10000u);
  if (x - low == high - x) return down % 2 == 0 ? down : down + 1;
  return std::fabs(x - low) < std::fabs(high - x) ? down : down + 1;
}

struct State {
  explicit State(int64_t count)
      : m(1, count), v(1, count), p(Rows::Random(1, count, 1, 0.1)), bf16(count + 2, 7) {}
  AdamWArgs Args(const float* g, int64_t step) {
    return {.learning_rate = 1e-2f,
            .beta1 = 0.9f,
            .beta2 = 0.99f,
            .epsilon = 1e-8f,
            .weight_decay = 0.1f,
            .grad_scale = 0.3f,
            .step = step,
            .g = g,
            .m = m.data(),
            .v = v.data(),
            .p = p.data(),
            .bf16 = bf16.data() + 1,
            .count = m.width()};
  }
  Rows m, v, p;
  std::vector<uint16_t> bf16;
};

class AdamWOf : public OnEveryTarget {};

TEST_P(AdamWOf, TenStepsAgreeWithDouble) {
  Team team(2);
  for (int64_t count : {0, 1, 3, 15, 17, 33, 70001}) {
    State state(count);
    std::vector<double> m(count), v(count), p(state.p.data(), state.p.data() + count);
    for (int64_t t = 1; t <= 10; ++t) {
      const Rows g = Rows::Random(1, count, 10 + t);
      const AdamWArgs args = state.Args(g.data(), t);
      AdamW(args, team);
      const double beta1 = args.beta1, beta2 = args.beta2, rate = args.learning_rate;
      for (int64_t i = 0; i < count; ++i) {
        const double grad = double(args.grad_scale) * g(0, i);
        m[i] = beta1 * m[i] + (1 - beta1) * grad;
        v[i] = beta2 * v[i] + (1 - beta2) * grad * grad;
        const double corrected = std::sqrt(v[i] / (1 - std::pow(beta2, t)));
        p[i] *= 1 - rate * args.weight_decay;
        p[i] -= rate * m[i] / (1 - std::pow(beta1, t)) / (corrected + args.epsilon);
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      // weights are of size 0.1, so are their steps together
      ASSERT_NEAR(state.p(0, i), p[i], 1e-6 * (0.1 + std::fabs(p[i])));
      ASSERT_NEAR(state.m(0, i), m[i], 1e-6 * (0.1 + std::fabs(m[i])));
      ASSERT_NEAR(state.v(0, i), v[i], 1e-6 * v[i]);
      ASSERT_EQ(state.bf16[i + 1], NearestHalf(state.p(0, i)));
    }
    EXPECT_TRUE(state.m.GuardsKept() && state.v.GuardsKept() && state.p.GuardsKept());
    EXPECT_TRUE(state.bf16.front() == 7 && state.bf16.back() == 7);
  }
}

TEST_P(AdamWOf, BitsDoNotDependOnThreadsOrParts) {
  constexpr int64_t kCount = 200003;
  const Rows g = Rows::Random(1, kCount, 2);
  Team one(1);
  State want(kCount);
  AdamW(want.Args(g.data(), 3), one);
  for (int threads : {1, 2, 3}) {
    Team team(threads);
    State state(kCount);
    for (int64_t first = 0, count = 1; first < kCount; first += count, count = count * 5 + 2) {
      AdamWArgs args = state.Args(g.data() + first, 3);
      args.m += first;
      args.v += first;
      args.p += first;
      args.bf16 += first;
      args.count = std::min(count, kCount - first);
      AdamW(args, team);
    }
    EXPECT_TRUE(state.p == want.p && state.m == want.m && state.v == want.v);
    EXPECT_EQ(state.bf16, want.bf16);
  }
}

TEST_P(AdamWOf, TheRoundedCopyKeepsInfinityNaNAndTies) {
  Team team(1);
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::bit_cast<float>(0x7fffffffu);  // one more would be -0
  std::vector<float> p = {
      inf,     -inf, nan, std::bit_cast<float>(0x3f808000u), std::bit_cast<float>(0x3f818000u),
      3.4e38f, -0.0f};
  std::vector<float> g(p.size()), m(p.size()), v(p.size());
  std::vector<uint16_t> bf16(p.size());
  AdamW({.g = g.data(),
         .m = m.data(),
         .v = v.data(),
         .p = p.data(),
         .bf16 = bf16.data(),
         .count = std::ssize(p)},
        team);
  EXPECT_EQ(bf16[0], 0x7f80);
  EXPECT_EQ(bf16[1], 0xff80);
  EXPECT_TRUE((bf16[2] & 0x7f80) == 0x7f80 && (bf16[2] & 0x7f) != 0);
  EXPECT_EQ(bf16[3], 0x3f80);  // ties go to the even neighbour
  EXPECT_EQ(bf16[4], 0x3f82);
  EXPECT_EQ(bf16[5], 0x7f80);
  EXPECT_EQ(bf16[6], 0x8000);
}

TEST_P(AdamWOf, SquaredNormIsTheSameBitsOnAnyThreadsAndNearDouble) {
  for (int64_t count : {0, 1, 3, 15, 17, 33, 1024, 1025, 65536, 65537, 300001}) {
    const Rows g = Rows::Random(1, count, 3);
    double want = 0;
    for (int64_t i = 0; i < count; ++i) want += double(g(0, i)) * g(0, i);
    Team one(1);
    const double norm = SquaredNorm(g.data(), count, one);
    EXPECT_NEAR(norm, want, 3e-7 * want) << count;
    for (int threads : {2, 3}) {
      Team team(threads);
      EXPECT_EQ(SquaredNorm(g.data(), count, team), norm);
    }
  }
}

TEST_P(AdamWOf, SquaredNormAddsRunsOf1024InDouble) {
  if (!HasFma(GetParam())) GTEST_SKIP() << "bits are promised where there is an FMA";
  constexpr int64_t kCount = 70001;
  const Rows g = Rows::Random(1, kCount, 4);
  double want = 0, block = 0;
  for (int64_t run = 0; run < kCount; run += 1024) {
    float lanes[16] = {};
    for (int64_t i = run; i < std::min(run + 1024, kCount); ++i) {
      lanes[i % 16] = std::fma(g(0, i), g(0, i), lanes[i % 16]);
    }
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    }
    block += lanes[0];
    if ((run + 1024) % 65536 != 0) continue;
    want += block;
    block = 0;
  }
  Team team(2);
  EXPECT_EQ(SquaredNorm(g.data(), kCount, team), want + block);
}

PAWL_ON_EVERY_TARGET(AdamWOf);
}  // namespace
}  // namespace pawl::kernels
