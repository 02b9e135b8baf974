#include "kernels/rope.h"

#include <cmath>

#include "rows.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

// Frequencies of Su et al. 2021 for a head, base 10000.
std::vector<float> Frequencies(int64_t head_dim) {
  std::vector<float> inv_freq;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    inv_freq.push_back(static_cast<float>(std::pow(10000.0, -2.0 * i / head_dim)));
  }
  return inv_freq;
}

struct Problem {
  Problem(int64_t rows, int64_t heads, int64_t head_dim, int64_t table)
      : heads(heads),
        head_dim(head_dim),
        x(Rows::Random(rows, heads * head_dim, 1)),
        cos(table * head_dim / 2),
        sin(cos.size()) {
    RopeTables(Frequencies(head_dim), table, 1, cos.data(), sin.data());
    for (int64_t r = 0; r < rows; ++r) {
      positions.push_back(static_cast<int32_t>((r * 37 + 5) % table));
    }
  }
  RopeArgs Args(Rows& rows, bool inverse = false) const {
    return {.rows = rows.rows(),
            .heads = heads,
            .head_dim = head_dim,
            .x = rows.data(),
            .x_stride = rows.stride(),
            .positions = positions.data(),
            .cos = cos.data(),
            .sin = sin.data(),
            .inverse = inverse};
  }
  int64_t heads, head_dim;
  Rows x;
  std::vector<int32_t> positions;
  std::vector<float> cos, sin;
};

TEST(RopeTables, AreTheRoundedCosinesOfTheFloatAngleTimesTheFactor) {
  const std::vector<float> inv_freq = Frequencies(64);
  constexpr int64_t kPositions = 132000;  // long contexts: the angle's own rounding counts
  std::vector<float> cos(kPositions * 32), sin(cos.size());
  RopeTables(inv_freq, kPositions, 1.25f, cos.data(), sin.data());
  for (int64_t position : {0, 1, 2, 100, 4097, 131071}) {
    for (int64_t i = 0; i < 32; ++i) {
      const float angle = static_cast<float>(position) * inv_freq[i];
      EXPECT_EQ(cos[position * 32 + i], float(std::cos(double(angle))) * 1.25f);
      EXPECT_EQ(sin[position * 32 + i], float(std::sin(double(angle))) * 1.25f);
      // and near the exact angle as far as a float angle allows
      EXPECT_NEAR(cos[position * 32 + i], 1.25 * std::cos(double(position) * inv_freq[i]),
                  1e-7 + 1e-7 * double(position));
    }
  }
}

class RopeOf : public OnEveryTarget {};

TEST_P(RopeOf, TurnsHalvesByTheirAngleWithEveryProductRounded) {
  Team team(2);
  for (int64_t rows : {0, 1, 3, 17}) {
    for (int64_t heads : {1, 3}) {
      for (int64_t head_dim : {2, 6, 30, 34, 64, 128}) {
        const Problem p(rows, heads, head_dim, 300);
        Rows y = p.x;
        Rope(p.Args(y), team);
        const int64_t half = head_dim / 2;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = 0; i < heads * half; ++i) {
            const int64_t at = i / half * head_dim + i % half;
            const float c = p.cos[p.positions[r] * half + i % half];
            const float s = p.sin[p.positions[r] * half + i % half];
            const float x1 = p.x(r, at), x2 = p.x(r, at + half);
            const float x1c = x1 * c, x2s = x2 * s, x2c = x2 * c, x1s = x1 * s;
            ASSERT_EQ(y(r, at), x1c - x2s) << head_dim;
            ASSERT_EQ(y(r, at + half), x2c + x1s) << head_dim;
          }
        }
        EXPECT_TRUE(y.GuardsKept());
      }
    }
  }
}

TEST_P(RopeOf, TheInverseTurnsBackAndIsTheGradient) {
  Team team(1);
  const Problem p(17, 3, 34, 300);
  Rows there = p.x;
  Rope(p.Args(there), team);
  Rows back = there;
  Rope(p.Args(back, true), team);
  for (int64_t r = 0; r < 17; ++r) {
    for (int64_t i = 0; i < 3 * 34; ++i) ASSERT_NEAR(back(r, i), p.x(r, i), 1e-6);
  }
  // <dy, rope x> = <inverse dy, x> for any dy
  const Rows dy = Rows::Random(17, 3 * 34, 2);
  Rows dx = dy;
  Rope(p.Args(dx, true), team);
  for (int64_t r = 0; r < 17; ++r) {
    double out = 0, in = 0;
    for (int64_t i = 0; i < 3 * 34; ++i) {
      out += double(dy(r, i)) * there(r, i);
      in += double(dx(r, i)) * p.x(r, i);
    }
    ASSERT_NEAR(out, in, 1e-5);
  }
}

TEST_P(RopeOf, BitsDoNotDependOnThreadsOrOtherRows) {
  const Problem p(2000, 3, 30, 300);
  Team one(1);
  Rows want = p.x;
  Rope(p.Args(want), one);
  for (int threads : {2, 3}) {
    Team team(threads);
    Rows y = p.x;
    Rope(p.Args(y), team);
    EXPECT_EQ(y, want);
  }
  Rows last = p.x;
  RopeArgs args = p.Args(last);
  args.rows = 1;
  args.x = last.row(1999);
  args.positions += 1999;
  Rope(args, one);
  EXPECT_TRUE(SameBits(last.row(1999), want.row(1999), 90));
}

PAWL_ON_EVERY_TARGET(RopeOf);
}  // namespace
}  // namespace pawl::kernels
