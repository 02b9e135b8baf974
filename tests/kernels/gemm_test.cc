#include "kernels/gemm.h"

#include <array>

#include "core/error.h"
#include "matrix_case.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

constexpr int kForms = 6;
constexpr Source kSources[] = {Source::kF32, Source::kRounded, Source::kBF16};

// c between guard values, with its rows apart.
struct Output {
  Output(int64_t rows, int64_t columns, uint64_t seed, int64_t gap = 5, int64_t before = 7)
      : rows(rows), columns(columns), stride(columns + gap), before(before) {
    data = RandomFloats(before + rows * stride + 40, seed);
    start = data;
  }
  float* c() { return data.data() + before; }
  float At(int64_t i, int64_t j) const { return data[before + i * stride + j]; }
  float StartAt(int64_t i, int64_t j) const { return start[before + i * stride + j]; }
  bool GuardsUntouched() const {
    for (size_t i = 0; i < data.size(); ++i) {
      const int64_t from_first = static_cast<int64_t>(i) - before;
      const bool inside =
          from_first >= 0 && from_first < rows * stride && from_first % stride < columns;
      if (!inside && !SameBits(&data[i], &start[i], 1)) return false;
    }
    return true;
  }
  int64_t rows, columns, stride, before;
  std::vector<float> data, start;
};

enum class Start { kZero, kBias, kAccumulate };

struct Case {
  int64_t m, n, k;
  int a_form = 0, b_form = 0;  // source * 2 + transposed
  Start start = Start::kZero;
  float alpha = 1;
  int64_t offset = 0, gap = 3;
  std::string Name() const {
    return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + " forms " +
           std::to_string(a_form) + " " + std::to_string(b_form) + " start " +
           std::to_string(static_cast<int>(start));
  }
  Operand A() const { return Operand(m, k, kSources[a_form / 2], a_form % 2 == 1, 1, gap, offset); }
  Operand B() const { return Operand(k, n, kSources[b_form / 2], b_form % 2 == 1, 2, gap, offset); }
};

GemmArgs Args(const Case& test, const Operand& a, const Operand& b, const std::vector<float>& bias,
              Output& out) {
  return {.m = test.m,
          .n = test.n,
          .k = test.k,
          .a = a.Ref(),
          .b = b.Ref(),
          .c = out.c(),
          .c_stride = out.stride,
          .bias = test.start == Start::kBias ? bias.data() : nullptr,
          .accumulate = test.start == Start::kAccumulate,
          .alpha = test.alpha};
}

// The product, as a plain matrix.
std::vector<float> Compute(const Case& test, Team& team) {
  const Operand a = test.A(), b = test.B();
  Output out(test.m, test.n, 3);
  const std::vector<float> bias = RandomFloats(test.n, 4);
  Gemm(Args(test, a, b, bias, out), team);
  std::vector<float> plain;
  for (int64_t i = 0; i < test.m; ++i) {
    for (int64_t j = 0; j < test.n; ++j) plain.push_back(out.At(i, j));
  }
  return plain;
}

class GemmTest : public OnEveryTarget {
 protected:
  void ExpectTheLaw(const Case& test, Team& team) {
    const Operand a = test.A(), b = test.B();
    Output out(test.m, test.n, 3);
    const std::vector<float> bias = RandomFloats(test.n, 4);
    Gemm(Args(test, a, b, bias, out), team);
    ASSERT_TRUE(out.GuardsUntouched()) << test.Name();
    for (int64_t i = 0; i < test.m; ++i) {
      for (int64_t j = 0; j < test.n; ++j) {
        const float start = test.start == Start::kBias         ? bias[j]
                            : test.start == Start::kAccumulate ? out.StartAt(i, j)
                                                               : 0.0f;
        const float want = ReferenceOutput(GetParam(), a, b, i, j, test.k, test.alpha, start),
                    got = out.At(i, j);
        ASSERT_TRUE(SameBits(&got, &want, 1))
            << test.Name() << " at " << i << ", " << j << ": " << got << " for " << want;
      }
    }
  }
};

TEST_P(GemmTest, EveryOddSizeIsTheLawInEveryBit) {
  Team team(2);
  constexpr int64_t kSizes[] = {0, 1, 2, 3, 5, 6, 7, 15, 16, 17, 31, 33, 97};
  int count = 0;
  for (int64_t m : kSizes) {
    for (int64_t n : kSizes) {
      for (int64_t k : kSizes) {
        // every form meets every size in some combination
        ++count;
        ASSERT_NO_FATAL_FAILURE(ExpectTheLaw({.m = m,
                                              .n = n,
                                              .k = k,
                                              .a_form = count % kForms,
                                              .b_form = count / 7 % kForms,
                                              .start = static_cast<Start>(count % 5 % 3),
                                              .alpha = count % 4 == 0 ? 0.37f : 1.0f},
                                             team));
      }
    }
  }
}

TEST_P(GemmTest, EveryFormOfTheOperandsIsTheLawInEveryBit) {
  Team team(2);
  for (int a = 0; a < kForms; ++a) {
    for (int b = 0; b < kForms; ++b) {
      for (Start start : {Start::kZero, Start::kBias, Start::kAccumulate}) {
        for (float alpha : {1.0f, -1.7f}) {
          ASSERT_NO_FATAL_FAILURE(ExpectTheLaw(
              {.m = 13, .n = 37, .k = 71, .a_form = a, .b_form = b, .start = start, .alpha = alpha},
              team));
        }
      }
    }
  }
}

// Beyond one block of rows, of K, of columns; on more threads than there are cores.
constexpr Case kLarge[] = {
    {.m = 101, .n = 33, .k = 1103, .a_form = 0, .b_form = 1},
    {.m = 2, .n = 1051, .k = 2101, .a_form = 1, .b_form = 0, .start = Start::kAccumulate},
    {.m = 3, .n = 3021, .k = 701, .a_form = 2, .b_form = 5, .start = Start::kBias},
    {.m = 205, .n = 24, .k = 529, .a_form = 1, .b_form = 0, .start = Start::kAccumulate},
    {.m = 500, .n = 9, .k = 601, .a_form = 4, .b_form = 3}};

TEST_P(GemmTest, BlocksDoNotShowInTheBits) {
  Team team(3);
  for (const Case& test : kLarge) ASSERT_NO_FATAL_FAILURE(ExpectTheLaw(test, team));
}

TEST_P(GemmTest, ThreadsDoNotShowInTheBits) {
  Team one(1), two(2), three(3);
  for (const Case& test : kLarge) {
    const std::vector<float> want = Compute(test, one);
    for (Team* team : {&two, &three}) {
      const std::vector<float> got = Compute(test, *team);
      EXPECT_TRUE(SameBits(got.data(), want.data(), want.size())) << test.Name();
    }
  }
}

TEST_P(GemmTest, AlignmentAndStridesDoNotShowInTheBits) {
  Team team(2);
  for (int form = 0; form < kForms; ++form) {
    const Case plain{.m = 41, .n = 50, .k = 67, .a_form = form, .b_form = (form + 3) % kForms};
    const std::vector<float> want = Compute(plain, team);
    for (int64_t offset : {1, 4}) {
      for (int64_t gap : {0, 13}) {
        Case moved = plain;
        moved.offset = offset;
        moved.gap = gap;
        const std::vector<float> got = Compute(moved, team);
        EXPECT_TRUE(SameBits(got.data(), want.data(), want.size())) << offset << " " << gap;
      }
    }
  }
}

TEST_P(GemmTest, AddingOverPartsOfKIsTheWholeInEveryBit) {
  Team team(2);
  for (int form = 0; form < kForms; ++form) {
    const Case test{.m = 23, .n = 35, .k = 600, .a_form = form, .b_form = kForms - 1 - form};
    const Operand a = test.A(), b = test.B();
    const std::vector<float> whole = Compute(test, team);
    std::vector<float> parts(whole.size());
    int64_t k = 0;
    for (int64_t depth : {1, 100, 0, 7, 448, 44}) {
      auto from = [&](const MatrixRef& x, int64_t at) {
        MatrixRef part = x;
        if (part.f32) part.f32 += at;
        if (part.bf16) part.bf16 += at;
        return part;
      };
      const MatrixRef left = a.Ref(), right = b.Ref();
      Gemm({.m = test.m,
            .n = test.n,
            .k = depth,
            .a = from(left, left.transposed ? k * left.stride : k),
            .b = from(right, right.transposed ? k : k * right.stride),
            .c = parts.data(),
            .c_stride = test.n,
            .accumulate = k > 0},
           team);
      k += depth;
    }
    ASSERT_EQ(k, test.k);
    EXPECT_TRUE(SameBits(parts.data(), whole.data(), whole.size())) << form;
  }
}

TEST_P(GemmTest, NaNAndInfinityStayInTheirRowAndColumn) {
  Team team(2);
  const Case test{.m = 20, .n = 37, .k = 29};
  const std::vector<float> clean = Compute(test, team);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), HUGE_VALF}) {
    Operand a = test.A(), b = test.B();
    a.SetAt(7, 28, bad);
    b.SetAt(3, 36, bad);
    Output out(test.m, test.n, 3);
    Gemm(Args(test, a, b, {}, out), team);
    for (int64_t i = 0; i < test.m; ++i) {
      for (int64_t j = 0; j < test.n; ++j) {
        const float got = out.At(i, j);
        if (i == 7 || j == 36) {
          EXPECT_FALSE(std::isfinite(got)) << i << " " << j;
        } else {
          EXPECT_TRUE(SameBits(&got, &clean[i * test.n + j], 1)) << i << " " << j;
        }
      }
    }
  }
}

TEST_P(GemmTest, RoundsToTheNearestBF16TiesToEven) {
  Team team(1);
  std::vector<float> x;
  auto add = [&](uint32_t bits) {
    for (uint32_t sign : {0u, 0x80000000u}) x.push_back(std::bit_cast<float>(bits | sign));
  };
  // around ties of even and odd numbers: normal, denormal, at a power of two, past the largest
  for (uint32_t high : {0x3f80u, 0x3f81u, 0x3fffu, 0x0001u, 0x0002u, 0x007fu, 0x7f7fu, 0x4b10u}) {
    for (uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      add(high << 16 | low);
    }
  }
  for (uint32_t bits : {0x00000001u, 0x00008000u, 0x00008001u, 0x7f800000u, 0x7fc00000u,
                        0x7f800001u, 0x7fffffffu, 0x7fc12345u}) {
    add(bits);
  }
  const auto count = static_cast<int64_t>(x.size());
  const float one = 1;
  for (bool transposed : {false, true}) {  // both ways through the packing
    std::vector<float> left(count), right(count);
    const MatrixRef ones{.f32 = &one, .stride = 1};
    const MatrixRef row{.f32 = x.data(),
                        .stride = transposed ? 1 : count,
                        .transposed = transposed,
                        .round_to_bf16 = true};
    const MatrixRef column{.f32 = x.data(),
                           .stride = transposed ? count : 1,
                           .transposed = transposed,
                           .round_to_bf16 = true};
    Gemm({.m = count, .n = 1, .k = 1, .a = column, .b = ones, .c = left.data(), .c_stride = 1},
         team);
    Gemm({.m = 1, .n = count, .k = 1, .a = ones, .b = row, .c = right.data(), .c_stride = count},
         team);
    for (int64_t i = 0; i < count; ++i) {
      const float want = FromBF16(ReferenceToBF16(x[i])) + 0.0f;  // the accumulator began at 0
      for (float got : {left[i], right[i]}) {
        if (std::isnan(want)) {
          EXPECT_TRUE(std::isnan(got)) << x[i];
        } else {
          EXPECT_TRUE(SameBits(&got, &want, 1)) << x[i] << ": " << got << " for " << want;
        }
      }
    }
  }
}

TEST_P(GemmTest, RefusesABiasWhereItAdds) {
  Team team(1);
  float x = 1;
  GemmArgs args{
      .m = 1, .n = 1, .k = 1, .a = {.f32 = &x, .stride = 1}, .b = {.f32 = &x, .stride = 1}};
  args.c = &x;
  args.c_stride = 1;
  args.bias = &x;
  args.accumulate = true;
  EXPECT_THROW(Gemm(args, team), Error);
}
PAWL_ON_EVERY_TARGET(GemmTest);

}  // namespace
}  // namespace pawl::kernels
