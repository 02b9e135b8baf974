#include "kernels/linear.h"

#include "matrix_case.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

constexpr int64_t kRows = 70;
struct Shape {
  int64_t out, in;
};
constexpr Shape kShapes[] = {{1, 1}, {16, 1}, {97, 33}, {200, 5}, {64, 128}, {161, 530}};
constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kBF16};

// Weights [out, in] and x [kRows, in] whose rows are `gap` floats apart.
struct Case {
  Case(WeightType type, Shape shape, Source source, bool transposed)
      : type(type),
        shape(shape),
        w(shape.out, shape.in, source, transposed, 1),
        x(kRows, shape.in, Source::kF32, false, 2),
        bias(RandomFloats(shape.out, 3)) {}
  explicit Case(WeightType type, Shape shape) : Case(type, shape, Source::kF32, false) {}
  PackedWeight Pack(Team& team) const { return {type, shape.out, shape.in, w.Ref(), team}; }
  LinearArgs Args(int64_t first, int64_t rows, float* y) const {
    return {.rows = rows,
            .x = x.Ref().f32 + first * x.Ref().stride,
            .x_stride = x.Ref().stride,
            .y = y,
            .y_stride = shape.out,
            .bias = bias.data()};
  }
  std::vector<float> Run(Team& team) const {
    std::vector<float> y(kRows * shape.out);
    Linear(Pack(team), Args(0, kRows, y.data()), team);
    return y;
  }
  WeightType type;
  Shape shape;
  Operand w, x;
  std::vector<float> bias;
};

class LinearTest : public OnEveryTarget {};

TEST_P(LinearTest, AllRowsAreTheLawInEveryBit) {
  Team team(2);
  for (WeightType type : kTypes) {
    for (Shape shape : kShapes) {
      const Case test(type, shape);
      const std::vector<float> y = test.Run(team);
      auto rounded = [&](float v) {
        return type == WeightType::kBF16 ? FromBF16(ReferenceToBF16(v)) : v;
      };
      for (int64_t row = 0; row < kRows; ++row) {
        for (int64_t o = 0; o < shape.out; ++o) {
          float want = test.bias[o];
          for (int64_t k = 0; k < shape.in; ++k) {
            want =
                MultiplyAdd(GetParam(), rounded(test.x.At(row, k)), rounded(test.w.At(o, k)), want);
          }
          ASSERT_TRUE(SameBits(&y[row * shape.out + o], &want, 1))
              << shape.out << "x" << shape.in << " row " << row << " output " << o;
        }
      }
    }
  }
}

TEST_P(LinearTest, ARowIsTheSameBitsInAnyNumberOfRows) {
  Team team(2);
  for (WeightType type : kTypes) {
    for (Shape shape : kShapes) {
      const Case test(type, shape);
      const std::vector<float> all = test.Run(team);
      const PackedWeight weight = test.Pack(team);
      for (int64_t rows = 1; rows <= kRows; ++rows) {
        const int64_t first = (kRows - rows) / 2;
        std::vector<float> some(rows * shape.out + 1, 42.0f);
        Linear(weight, test.Args(first, rows, some.data()), team);
        ASSERT_TRUE(SameBits(some.data(), all.data() + first * shape.out, rows * shape.out))
            << shape.out << "x" << shape.in << ", " << rows << " rows";
        ASSERT_EQ(some.back(), 42.0f) << "written past the end";
      }
    }
  }
}

TEST_P(LinearTest, EveryFormOfTheWeightsGivesTheBitsOfGemm) {
  Team team(2);
  for (WeightType type : kTypes) {
    for (Source source : {Source::kF32, Source::kRounded, Source::kBF16}) {
      for (bool transposed : {false, true}) {
        for (Shape shape : kShapes) {
          const Case test(type, shape, source, transposed);
          const std::vector<float> y = test.Run(team);
          std::vector<float> want(y.size());
          MatrixRef a = test.x.Ref(), b = test.w.Ref();
          a.round_to_bf16 = type == WeightType::kBF16;
          b.round_to_bf16 |= type == WeightType::kBF16;
          b.transposed = !b.transposed;
          Gemm({.m = kRows,
                .n = shape.out,
                .k = shape.in,
                .a = a,
                .b = b,
                .c = want.data(),
                .c_stride = shape.out,
                .bias = test.bias.data()},
               team);
          EXPECT_TRUE(SameBits(y.data(), want.data(), y.size()))
              << shape.out << "x" << shape.in << " source " << static_cast<int>(source);
        }
      }
    }
  }
}

TEST_P(LinearTest, ThreadsAndAlignmentDoNotShowInTheBits) {
  Team one(1);
  for (WeightType type : kTypes) {
    for (Shape shape : {Shape{161, 530}, Shape{1100, 130}}) {
      const Case test(type, shape);
      const std::vector<float> want = test.Run(one);
      for (int threads : {2, 3}) {
        Team team(threads);
        const PackedWeight weight = test.Pack(team);
        for (int64_t rows : {int64_t{1}, int64_t{2}, int64_t{7}, int64_t{19}, kRows}) {
          for (int offset : {0, 1, 4}) {
            std::vector<float> x(rows * shape.in + offset), y(rows * shape.out + offset);
            for (int64_t i = 0; i < rows * shape.in; ++i) {
              x[offset + i] = test.x.At(i / shape.in, i % shape.in);
            }
            LinearArgs args = test.Args(0, rows, y.data() + offset);
            args.x = x.data() + offset;
            args.x_stride = shape.in;
            Linear(weight, args, team);
            EXPECT_TRUE(SameBits(y.data() + offset, want.data(), rows * shape.out))
                << threads << " threads, " << rows << " rows, offset " << offset;
          }
        }
      }
    }
  }
}

TEST_P(LinearTest, StridesLeaveWhatLiesBetweenAlone) {
  Team team(2);
  for (WeightType type : kTypes) {
    const Case test(type, {97, 33});
    const std::vector<float> all = test.Run(team);
    const PackedWeight weight = test.Pack(team);
    for (int64_t rows : {1, 3, 5, 9, 33}) {
      std::vector<float> y(rows * 101, 42.0f);
      LinearArgs args = test.Args(0, rows, y.data());
      args.y_stride = 101;
      Linear(weight, args, team);
      for (int64_t i = 0; i < rows * 101; ++i) {
        const float want = i % 101 < 97 ? all[i / 101 * 97 + i % 101] : 42.0f;
        ASSERT_TRUE(SameBits(&y[i], &want, 1)) << rows << " rows, " << i;
      }
    }
  }
}

TEST_P(LinearTest, AccumulatesOntoWhatIsThere) {
  Team team(2);
  for (WeightType type : kTypes) {
    const Case test(type, {97, 33});
    const PackedWeight weight = test.Pack(team);
    const std::vector<float> all = test.Run(team);
    for (int64_t rows : {1, 2, 5, 20}) {
      std::vector<float> y;  // the bias by hand
      for (int64_t row = 0; row < rows; ++row) {
        y.insert(y.end(), test.bias.begin(), test.bias.end());
      }
      LinearArgs args = test.Args(0, rows, y.data());
      args.bias = nullptr;
      args.accumulate = true;
      Linear(weight, args, team);
      EXPECT_TRUE(SameBits(y.data(), all.data(), y.size())) << rows;
    }
  }
}

// Rows at the start of every tile, at the first and the last k: what is packed beside an odd last k
// of one tile is the start of the next.
TEST_P(LinearTest, NaNAndInfinityStayInTheirRow) {
  Team team(2);
  for (WeightType type : kTypes) {
    const Case clean_case(type, {97, 33});
    const std::vector<float> clean = clean_case.Run(team);
    const PackedWeight weight = clean_case.Pack(team);
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), HUGE_VALF}) {
      for (int64_t bad_row = 0; bad_row < 13; ++bad_row) {
        Case test(type, {97, 33});
        for (int64_t k : {0, 32}) test.x.SetAt(bad_row, k, bad);
        for (int64_t rows : {2, 5, 8, 13, 70}) {
          std::vector<float> y(rows * 97);
          Linear(weight, test.Args(0, rows, y.data()), team);
          for (int64_t i = 0; i < rows * 97; ++i) {
            if (i / 97 == bad_row) {
              ASSERT_FALSE(std::isfinite(y[i])) << rows << " rows, " << i;
            } else {
              ASSERT_TRUE(SameBits(&y[i], &clean[i], 1)) << rows << " rows, " << i;
            }
          }
        }
      }
    }
  }
}
PAWL_ON_EVERY_TARGET(LinearTest);

}  // namespace
}  // namespace pawl::kernels
