#include "kernels/norm.h"

#include <cmath>

#include "rows.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

struct Case {
  bool centered = false, bias = false;
  float offset = 0;
};
constexpr Case kCases[] = {{}, {.offset = 1}, {.centered = true}, {.centered = true, .bias = true}};
constexpr int64_t kWidths[] = {1, 3, 15, 16, 17, 33, 70, 896};

// Inputs of one case, the call, and the definition in double.
struct Problem {
  Problem(Case c, int64_t rows, int64_t width, double scale = 1)
      : c(c),
        x(Rows::Random(rows, width, 1, scale)),
        dy(Rows::Random(rows, width, 2, 1, 5)),
        weight(RandomVector(width, 3)),
        bias(RandomVector(width, 4)) {}

  NormArgs Args() const {
    return {.rows = x.rows(),
            .width = x.width(),
            .epsilon = 1e-5f,
            .x = x.data(),
            .x_stride = x.stride(),
            .weight = weight.data(),
            .bias = c.bias ? bias.data() : nullptr,
            .weight_offset = c.offset};
  }
  void Forward(Rows& y, Team& team) const {
    if (c.centered) return LayerNorm(Args(), y.data(), y.stride(), team);
    RmsNorm(Args(), y.data(), y.stride(), team);
  }
  void Backward(NormGradArgs args, Team& team) const {
    if (c.centered) return LayerNormBackward(args, team);
    RmsNormBackward(args, team);
  }
  NormGradArgs GradArgs(Rows& dx, float* dweight, float* dbias) const {
    return {.forward = Args(),
            .dy = dy.data(),
            .dy_stride = dy.stride(),
            .dx = dx.data(),
            .dx_stride = dx.stride(),
            .dweight = dweight,
            .dbias = dbias};
  }

  // y of a row, with element `at` of x, weight or bias replaced where it is given.
  struct Change {
    int which = 0;  // 1 x, 2 weight, 3 bias
    int64_t at = 0;
    double value = 0;
  };
  std::vector<double> Definition(int64_t row, Change change) const {
    const int64_t width = x.width();
    auto pick = [&](int which, int64_t i, double value) {
      return which == change.which && i == change.at ? change.value : value;
    };
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < width && c.centered; ++i) mean += pick(1, i, x(row, i)) / width;
    for (int64_t i = 0; i < width; ++i) {
      squares += std::pow(pick(1, i, x(row, i)) - mean, 2) / width;
    }
    std::vector<double> y(width);
    for (int64_t i = 0; i < width; ++i) {
      const double n = (pick(1, i, x(row, i)) - mean) / std::sqrt(squares + 1e-5f);
      y[i] = n * (c.offset + pick(2, i, weight[i])) + (c.bias ? pick(3, i, bias[i]) : 0);
    }
    return y;
  }
  // Derivative of sum(dy * y) over rows [first, last) by an element.
  double Derivative(int which, int64_t at, double value, int64_t first, int64_t last) const {
    return Slope(
        [&](double v) {
          double sum = 0;
          for (int64_t r = first; r < last; ++r) {
            const auto y = Definition(r, {which, at, v});
            for (int64_t i = 0; i < x.width(); ++i) sum += dy(r, i) * y[i];
          }
          return sum;
        },
        value);
  }

  Case c;
  Rows x, dy;
  std::vector<float> weight, bias;
};

class Norm : public OnEveryTarget {};

TEST_P(Norm, AgreesWithTheDefinitionInDouble) {
  Team team(2);
  for (const Case& c : kCases) {
    for (int64_t rows : {0, 1, 3, 17}) {
      for (int64_t width : kWidths) {
        const Problem p(c, rows, width);
        Rows y(rows, width, 7);
        p.Forward(y, team);
        for (int64_t r = 0; r < rows; ++r) {
          const auto want = p.Definition(r, {});
          // a handful of roundings; where a centred row has few columns x - mean cancels
          for (int64_t i = 0; i < width; ++i) ASSERT_NEAR(y(r, i), want[i], 4e-6) << width;
        }
        EXPECT_TRUE(y.GuardsKept());
      }
    }
  }
}

TEST_P(Norm, ASumIsSixteenLanesFoldedInTheOrderOfSumPanel) {
  if (!HasFma(GetParam())) GTEST_SKIP() << "bits are promised where there is an FMA";
  Team team(1);
  for (int64_t width : kWidths) {
    const Problem p({}, 5, width);
    Rows y(5, width, 7);
    p.Forward(y, team);
    for (int64_t r = 0; r < 5; ++r) {
      float lanes[16] = {};
      for (int64_t i = 0; i < width; ++i) {
        lanes[i % 16] = std::fma(p.x(r, i), p.x(r, i), lanes[i % 16]);
      }
      for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
      }
      const float inverse = 1.0f / std::sqrt(lanes[0] / static_cast<float>(width) + 1e-5f);
      for (int64_t i = 0; i < width; ++i) {
        ASSERT_EQ(y(r, i), p.x(r, i) * inverse * p.weight[i]) << width;
      }
    }
  }
}

TEST_P(Norm, ARowIsTheSameBitsAloneInABatchInPlaceAndOnAnyThreads) {
  for (const Case& c : kCases) {
    const Problem p(c, 700, 33);
    Team one(1);
    Rows want(700, 33);
    p.Forward(want, one);
    for (int threads : {2, 3}) {
      Team team(threads);
      Rows y(700, 33);
      p.Forward(y, team);
      EXPECT_EQ(y, want);
    }
    Rows in_place = p.x, alone(1, 33);
    NormArgs args = p.Args();
    args.x = in_place.data();
    if (c.centered) LayerNorm(args, in_place.data(), in_place.stride(), one);
    if (!c.centered) RmsNorm(args, in_place.data(), in_place.stride(), one);
    EXPECT_EQ(in_place, want);
    args = p.Args();
    args.rows = 1;
    args.x = p.x.row(699);
    if (c.centered) LayerNorm(args, alone.data(), alone.stride(), one);
    if (!c.centered) RmsNorm(args, alone.data(), alone.stride(), one);
    EXPECT_TRUE(SameBits(alone.data(), want.row(699), 33));
  }
}

TEST_P(Norm, GradientsAgreeWithFiniteDifferences) {
  Team team(2);
  for (const Case& c : kCases) {
    for (int64_t rows : {0, 1, 3, 17}) {
      for (int64_t width : {1, 3, 15, 16, 17, 33}) {
        const Problem p(c, rows, width);
        Rows dx(rows, width, 7), dweight(1, width, 0), dbias(1, width, 0);
        p.Backward(p.GradArgs(dx, dweight.data(), dbias.data()), team);
        // one column: dx is a difference of nearly equal numbers, over rows of small |x|
        const double tolerance = width <= 3 ? 1e-2 : 3e-5;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = 0; i < width; ++i) {
            const double want = p.Derivative(1, i, p.x(r, i), r, r + 1);
            ASSERT_NEAR(dx(r, i), want, tolerance * (1 + std::fabs(want))) << width << " " << r;
          }
        }
        for (int64_t i = 0; i < width; ++i) {
          ASSERT_NEAR(dweight(0, i), p.Derivative(2, i, p.weight[i], 0, rows), 2e-5);
          double column = 0;
          for (int64_t r = 0; r < rows; ++r) column += p.dy(r, i);
          ASSERT_NEAR(dbias(0, i), column, 2e-5);
        }
        EXPECT_TRUE(dx.GuardsKept() && dweight.GuardsKept() && dbias.GuardsKept());
      }
    }
  }
}

TEST_P(Norm, WeightGradientsOfPartsAddUpToTheBitsOfTheWhole) {
  constexpr int64_t kRows = 9000, kWidth = 33;  // more than one chunk of rows
  for (const Case& c : kCases) {
    const Problem p(c, kRows, kWidth);
    Team one(1);
    std::vector<float> weight = RandomVector(kWidth, 8), bias = weight;
    const std::vector<float> start = weight;
    Rows dx(kRows, kWidth);
    p.Backward(p.GradArgs(dx, weight.data(), bias.data()), one);
    for (int threads : {1, 2, 3}) {
      Team team(threads);
      std::vector<float> part_weight = start, part_bias = start;
      Rows part_dx(kRows, kWidth);
      for (int64_t first = 0, count = 1; first < kRows; first += count, count = count * 3 + 1) {
        NormGradArgs args = p.GradArgs(part_dx, part_weight.data(), part_bias.data());
        args.forward.rows = std::min(count, kRows - first);
        args.forward.x = p.x.row(first);
        args.dy = p.dy.row(first);
        args.dx = part_dx.row(first);
        p.Backward(args, team);
      }
      EXPECT_EQ(part_weight, weight);
      EXPECT_EQ(part_bias, bias);
      EXPECT_EQ(part_dx, dx);
    }
  }
}

TEST_P(Norm, DxMayLieInDyOrBeAddedTo) {
  Team team(2);
  for (const Case& c : kCases) {
    const Problem p(c, 50, 33);
    Rows dx(50, 33, 5);
    std::vector<float> weight(33), other_weight(33), bias(33);
    p.Backward(p.GradArgs(dx, weight.data(), bias.data()), team);
    Rows in_place = p.dy;
    NormGradArgs args = p.GradArgs(in_place, other_weight.data(), nullptr);
    args.dy = in_place.data();
    p.Backward(args, team);
    EXPECT_EQ(in_place, dx);
    EXPECT_EQ(other_weight, weight);
    Rows sum = Rows::Random(50, 33, 9);
    const Rows before = sum;
    args = p.GradArgs(sum, nullptr, nullptr);
    args.accumulate_dx = true;
    p.Backward(args, team);
    for (int64_t r = 0; r < 50; ++r) {
      for (int64_t i = 0; i < 33; ++i) ASSERT_EQ(sum(r, i), before(r, i) + dx(r, i));
    }
    EXPECT_TRUE(sum.GuardsKept());
  }
}

TEST_P(Norm, RowsOfZerosAndOfLargeNumbersStayFinite) {
  Team team(1);
  for (const Case& c : kCases) {
    for (double scale : {0.0, 1e4, 1e15}) {
      const Problem p(c, 3, 70, scale);
      Rows y(3, 70), dx(3, 70);
      std::vector<float> dweight(70), dbias(70);
      p.Forward(y, team);
      p.Backward(p.GradArgs(dx, dweight.data(), dbias.data()), team);
      const auto want = p.Definition(1, {});
      for (int64_t i = 0; i < 70; ++i) {
        ASSERT_NEAR(y(1, i), want[i], 4e-6);
        ASSERT_TRUE(std::isfinite(dx(1, i)) && std::isfinite(dweight[i]));
      }
    }
  }
}

TEST_P(Norm, ColumnSumsAddRowsInOrder) {
  for (int threads : {1, 2, 3}) {
    Team team(threads);
    for (int64_t rows : {0, 1, 3, 17, 500}) {
      for (int64_t width : kWidths) {
        const Rows dy = Rows::Random(rows, width, 5);
        Rows sum = Rows::Random(1, width, 6), want = sum;
        AddColumnSums(dy.data(), rows, width, dy.stride(), sum.data(), team);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = 0; i < width; ++i) want(0, i) += dy(r, i);
        }
        EXPECT_EQ(sum, want) << rows << " x " << width;
      }
    }
  }
}

PAWL_ON_EVERY_TARGET(Norm);
}  // namespace
}  // namespace pawl::kernels
