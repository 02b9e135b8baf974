#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/kernels/vector_math_test.cc"
#include <hwy/foreach_target.h>

#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// y [16] = function(x [16]).
void Evaluate(int function, const float* x, float* y) {
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    const Vec v = hn::LoadU(kTag, x + lane);
    Vec r = v;
    if (function == 0) r = Exp(v);
    if (function == 1) r = Expm1(v);
    if (function == 2) r = Log(v);
    if (function == 3) r = Softplus(v);
    if (function == 4) r = Tanh(v);
    if (function == 5) r = Exp2(v);
    hn::StoreU(r, kTag, y + lane);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cmath>
#include <limits>

#include "targets.h"

namespace pawl::kernels {
HWY_EXPORT(Evaluate);
namespace {
constexpr int kExp = 0, kExpm1 = 1, kLog = 2, kSoftplus = 3, kTanh = 4, kExp2 = 5;

// Largest error in units of the last place over a fine grid of [low, high].
double WorstUlp(int function, double low, double high, double (*exact)(double)) {
  double worst = 0;
  constexpr int kPoints = 1 << 18;
  for (int i = 0; i < kPoints; i += kPanel) {
    float x[kPanel], y[kPanel];
    for (int j = 0; j < kPanel; ++j) {
      x[j] = static_cast<float>(low + (high - low) * (i + j) / (kPoints - 1));
    }
    HWY_DYNAMIC_DISPATCH(Evaluate)(function, x, y);
    for (int j = 0; j < kPanel; ++j) {
      const double want = exact(x[j]);
      const float nearest = std::fabs(static_cast<float>(want));
      const double ulp = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest;
      worst = std::max(worst, std::fabs(y[j] - want) / ulp);
    }
  }
  return worst;
}

class VectorMath : public OnEveryTarget {};

TEST_P(VectorMath, AgreesWithDoubleToAFewUlp) {
  auto exp = [](double x) { return std::exp(x); };
  auto exp2 = [](double x) { return std::exp2(x); };
  auto expm1 = [](double x) { return std::expm1(x); };
  auto log = [](double x) { return std::log(x); };
  auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  auto tanh = [](double x) { return std::tanh(x); };
  // what polynomial and range reduction leave; tanh without FMA has one rounding more a step
  EXPECT_LT(WorstUlp(kExp, -80, 88, exp), 2.5);
  EXPECT_LT(WorstUlp(kExp, -1, 1, exp), 2.5);
  EXPECT_LT(WorstUlp(kExp2, -125, 8, exp2), 1.5);
  EXPECT_LT(WorstUlp(kExp2, -1, 1, exp2), 1.5);
  EXPECT_LT(WorstUlp(kExpm1, -20, 0, expm1), 4.5);
  EXPECT_LT(WorstUlp(kExpm1, -1e-3, 0, expm1), 4.5);
  EXPECT_LT(WorstUlp(kLog, 1e-6, 1, log), 4.5);
  EXPECT_LT(WorstUlp(kLog, 1, 100, log), 4.5);
  EXPECT_LT(WorstUlp(kSoftplus, -80, 80, softplus), 4.5);
  EXPECT_LT(WorstUlp(kTanh, -10, 10, tanh), GetParam() == "SCALAR" ? 6.5 : 4.5);
  EXPECT_LT(WorstUlp(kTanh, -1e-2, 1e-2, tanh), 4.5);
}

TEST_P(VectorMath, KeepsNaNAndMeetsTheEndsOfTheRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  float x[kPanel] = {nan, inf, -inf, 200, -200, 0}, y[kPanel];
  for (int function : {kExp, kExpm1, kLog, kSoftplus, kTanh}) {
    HWY_DYNAMIC_DISPATCH(Evaluate)(function, x, y);
    EXPECT_TRUE(std::isnan(y[0])) << function;
  }
  HWY_DYNAMIC_DISPATCH(Evaluate)(kExp, x, y);
  EXPECT_EQ(y[1], inf);
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[3], inf);
  EXPECT_EQ(y[4], 0);
  EXPECT_EQ(y[5], 1);
  HWY_DYNAMIC_DISPATCH(Evaluate)(kTanh, x, y);
  EXPECT_NEAR(y[1], 1, 1e-6);
  EXPECT_NEAR(y[2], -1, 1e-6);
  EXPECT_LE(std::fabs(y[3]), 1);
  EXPECT_EQ(y[5], 0);
}

TEST_P(VectorMath, Exp2KeepsAnyNaNIsOneAtZeroAndExactlyZeroFarBelow) {
  const float inf = std::numeric_limits<float>::infinity();
  // a NaN whose payload would end up in an exponent
  const float odd_nan = std::bit_cast<float>(0x7fc001ffu);
  float x[kPanel] = {std::numeric_limits<float>::quiet_NaN(),
                     odd_nan,
                     -odd_nan,
                     0,
                     -0.0f,
                     -inf,
                     -std::numeric_limits<float>::max(),
                     -1e9f,
                     -126,
                     -125,
                     1,
                     126,
                     -3,
                     2,
                     -5,
                     7};
  float y[kPanel];
  HWY_DYNAMIC_DISPATCH(Evaluate)(kExp2, x, y);
  for (int i : {0, 1, 2}) EXPECT_TRUE(std::isnan(y[i])) << i;
  for (int i : {3, 4}) EXPECT_EQ(y[i], 1) << i;
  for (int i : {5, 6, 7, 8}) EXPECT_EQ(std::bit_cast<uint32_t>(y[i]), 0u) << i;
  for (int i = 9; i < kPanel; ++i) EXPECT_EQ(y[i], std::exp2(x[i])) << i;
}

PAWL_ON_EVERY_TARGET(VectorMath);
}  // namespace
}  // namespace pawl::kernels
#endif
