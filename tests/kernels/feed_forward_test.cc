#include "kernels/feed_forward.h"

#include <cmath>
#include <limits>

#include "rows.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

using A = FeedForwardActivation;
constexpr A kActivations[] = {A::kSilu, A::kGeluTanh, A::kGelu};

double Exact(A activation, double x) {
  if (activation == A::kSilu) return x / (1 + std::exp(-x));
  if (activation == A::kGelu) return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
  const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  return x / (1 + std::exp(-2 * u));  // 1 + tanh(u) without cancellation
}

struct Problem {
  Problem(A activation, bool gated, int64_t rows, int64_t width)
      : activation(activation),
        gated(gated),
        gate(Rows::Random(rows, width, 1, 2)),
        up(Rows::Random(rows, width, 2, 1, 4)),
        dy(Rows::Random(rows, width, 3, 1, 6)) {}
  FeedForwardArgs Args() const {
    return {.activation = activation,
            .rows = gate.rows(),
            .width = gate.width(),
            .gate = gate.data(),
            .gate_stride = gate.stride(),
            .up = gated ? up.data() : nullptr,
            .up_stride = up.stride()};
  }
  A activation;
  bool gated;
  Rows gate, up, dy;
};

class FeedForwardOf : public OnEveryTarget {};

TEST_P(FeedForwardOf, AgreesWithDoubleAndFiniteDifferences) {
  Team team(2);
  for (A activation : kActivations) {
    for (bool gated : {false, true}) {
      for (int64_t rows : {0, 1, 3, 17}) {
        for (int64_t width : {0, 1, 3, 15, 17, 33}) {
          const Problem p(activation, gated, rows, width);
          Rows y(rows, width, 7), dgate(rows, width), dup(rows, width, 4), again(rows, width);
          FeedForward(p.Args(), y.data(), y.stride(), team);
          FeedForwardBackward(p.Args(), p.dy.data(), p.dy.stride(), dgate.data(),
                              gated ? dup.data() : nullptr, again.data(), again.stride(), team);
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t i = 0; i < width; ++i) {
              const double x = p.gate(r, i), up = gated ? p.up(r, i) : 1, d = p.dy(r, i);
              const double want = Exact(activation, x) * up;
              const double slope = Slope([&](double v) { return Exact(activation, v); }, x);
              ASSERT_NEAR(y(r, i), want, 4e-7 * (1 + std::fabs(want))) << int(activation);
              ASSERT_EQ(again(r, i), y(r, i));
              ASSERT_NEAR(dgate(r, i), d * up * slope, 1e-6 * (1 + std::fabs(d * up)));
              if (!gated) continue;
              ASSERT_NEAR(dup(r, i), d * want / up, 4e-7 * (1 + std::fabs(d * want / up)));
            }
          }
          EXPECT_TRUE(y.GuardsKept() && dgate.GuardsKept() && dup.GuardsKept());
          EXPECT_TRUE(again.GuardsKept());
        }
      }
    }
  }
}

// Value and slope of the activation at every x.
std::pair<std::vector<float>, std::vector<float>> Evaluate(A activation,
                                                           const std::vector<float>& x) {
  Team team(1);
  const int64_t count = std::ssize(x);
  std::vector<float> y(count), slope(count), ones(count, 1.0f);
  const FeedForwardArgs args{.activation = activation, .rows = 1, .width = count, .gate = x.data()};
  FeedForwardBackward(args, ones.data(), 0, slope.data(), nullptr, y.data(), 0, team);
  return {y, slope};
}

TEST_P(FeedForwardOf, KeepsItsPrecisionOverTheWholeRange) {
  std::vector<float> x;
  for (int i = -30000; i <= 30000; ++i) x.push_back(static_cast<float>(i) * 1e-3f);
  for (A activation : kActivations) {
    const auto [y, slope] = Evaluate(activation, x);
    double worst = 0, worst_slope = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = Exact(activation, x[i]);
      worst = std::max(worst, std::fabs(y[i] - want) / std::max(1.0, std::fabs(want)));
      const double exact = Slope([&](double v) { return Exact(activation, v); }, x[i]);
      worst_slope = std::max(worst_slope, std::fabs(slope[i] - exact));
    }
    EXPECT_LT(worst, 2e-7) << int(activation);
    EXPECT_LT(worst_slope, 5e-7) << int(activation);
  }
}

TEST_P(FeedForwardOf, MeetsTheEndsOfTheRangeAndKeepsNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (A activation : kActivations) {
    const auto [y, slope] =
        Evaluate(activation, {-1e30f, -1e4f, -89.0f, 89.0f, 1e4f, 1e30f, nan, 0.0f});
    for (int i : {0, 1}) EXPECT_EQ(y[i], 0) << int(activation);
    EXPECT_NEAR(y[2], 0, 1e-30);
    EXPECT_EQ(y[3], 89.0f);
    EXPECT_EQ(y[4], 1e4f);
    EXPECT_EQ(y[5], 1e30f);
    EXPECT_TRUE(std::isnan(y[6]) && std::isnan(slope[6]));
    for (int i : {0, 1, 2}) EXPECT_NEAR(slope[i], 0, 1e-30);
    for (int i : {3, 4, 5}) EXPECT_EQ(slope[i], 1);
    EXPECT_EQ(y[7], 0);
    EXPECT_EQ(slope[7], 0.5f);
  }
}

TEST_P(FeedForwardOf, ATailIsTheSameBitsAsTheRest) {
  for (A activation : kActivations) {
    const std::vector<float> x = RandomVector(64, 5, 3);
    const auto [y, slope] = Evaluate(activation, x);
    for (size_t i = 0; i < x.size(); ++i) {
      const auto [one, one_slope] = Evaluate(activation, {x[i]});
      ASSERT_EQ(one[0], y[i]);
      ASSERT_EQ(one_slope[0], slope[i]);
    }
  }
}

TEST_P(FeedForwardOf, MayWorkInPlaceOnAnyThreads) {
  for (A activation : kActivations) {
    const Problem p(activation, true, 700, 33);
    Team one(1);
    Rows y(700, 33), dgate(700, 33), dup(700, 33, 4);
    FeedForward(p.Args(), y.data(), y.stride(), one);
    FeedForwardBackward(p.Args(), p.dy.data(), p.dy.stride(), dgate.data(), dup.data(), nullptr, 0,
                        one);
    for (int threads : {1, 2, 3}) {
      Team team(threads);
      Rows gate = p.gate, up = p.up, over_gate = p.gate;
      FeedForwardArgs args = p.Args();
      args.gate = over_gate.data();
      FeedForward(args, over_gate.data(), over_gate.stride(), team);
      EXPECT_EQ(over_gate, y);
      args.gate = gate.data();
      args.up = up.data();
      FeedForwardBackward(args, p.dy.data(), p.dy.stride(), gate.data(), up.data(), nullptr, 0,
                          team);
      EXPECT_EQ(gate, dgate);
      EXPECT_EQ(up, dup);
    }
  }
}

TEST_P(FeedForwardOf, AddRowsAddsEveryElement) {
  for (int threads : {1, 2, 3}) {
    Team team(threads);
    for (int64_t count : {0, 1, 3, 15, 17, 33, 40000}) {
      Rows to = Rows::Random(1, count, 1), want = to;
      const Rows from = Rows::Random(1, count, 2);
      AddRows(to.data(), from.data(), count, team);
      for (int64_t i = 0; i < count; ++i) want(0, i) += from(0, i);
      EXPECT_EQ(to, want);
    }
  }
}

PAWL_ON_EVERY_TARGET(FeedForwardOf);
}  // namespace
}  // namespace pawl::kernels
