#include "kernels/logit_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/row_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/logit_rows.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// Natural logarithm of a positive finite number in double, without libm: the series of
// 2 atanh((m - 1) / (m + 1)) for the mantissa m in [sqrt(1/2), sqrt(2)), exact to 1e-16.
HWY_INLINE double LogOf(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  const double f = (m - 1) / (m + 1), q = f * f;
  double series = 0;
  for (int k = 21; k >= 1; k -= 2) series = series * q + 1.0 / k;
  return exponent * 0.69314718055994531 + 2 * f * series;
}

// From logits to z, in place where that changes anything; returns the largest z.
HWY_INLINE float ScaleRow(const LogitRowsArgs& args, float* z) {
  const Vec lowest = Constant(-std::numeric_limits<float>::infinity());
  const bool scale = args.soft_cap > 0 || args.inverse_temperature != 1;
  Vec largest = lowest;
  ForColumns(args.vocab, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
    Vec v = LoadPart(z + i, part);
    if (scale) {
      if (args.soft_cap > 0) {
        const Vec cap = Constant(args.soft_cap);
        v = hn::Mul(cap, Tanh(hn::Div(v, cap)));
      }
      v = hn::Mul(v, Constant(args.inverse_temperature));
      StorePart(v, z + i, part);
    }
    if constexpr (!std::is_same_v<decltype(part), Whole>) {
      v = hn::IfThenElse(hn::FirstN(kTag, part), v, lowest);
    }
    largest = hn::Max(largest, v);
  });
  // NaN may be lost here; it comes back with the exponentials
  return hn::GetLane(hn::MaxOfLanes(kTag, largest));
}

// sums [2] = sum of e and of (z - largest) e over the row, e = exp(z - largest); kKeep: e is left
// where z was.
template <bool kEntropy, bool kKeep>
HWY_INLINE void ExpRow(float* z, int64_t vocab, float largest, double* sums) {
  constexpr int64_t kBlock = 4096;
  constexpr int kSums = kEntropy ? 2 : 1;
  sums[0] = sums[1] = 0;
  for (int64_t at = 0; at < vocab; at += kBlock) {
    float* const from = z + at;
    float block[kSums];
    RowSums<kSums>(std::min(kBlock, vocab - at), block,
                   [&](int64_t i, auto part, Vec* sum) PAWL_INLINE_LAMBDA {
                     const Vec shifted = hn::Sub(LoadPart(from + i, part), Constant(largest));
                     const Vec e = Keep(Exp(shifted), part);
                     if constexpr (kKeep) StorePart(e, from + i, part);
                     sum[0] = hn::Add(sum[0], e);
                     if constexpr (kEntropy) {
                       // a logit of -infinity adds 0, not 0 times infinity
                       const Mask none = hn::Eq(e, hn::Zero(kTag));
                       sum[1] = hn::MulAdd(hn::IfThenZeroElse(none, shifted), e, sum[1]);
                     }
                   });
    for (int n = 0; n < kSums; ++n) sums[n] += block[n];
  }
}

void ScaleRows(const LogitRowsArgs& args, int64_t first, int64_t last) {
  for (int64_t r = first; r < last; ++r) ScaleRow(args, args.f32 + r * args.stride);
}

void ForwardRows(const LogitRowsArgs& args, int64_t first, int64_t last) {
  for (int64_t r = first; r < last; ++r) {
    float* const z = args.f32 + r * args.stride;
    const float largest = ScaleRow(args, z);
    const float target = z[args.targets[r]];
    double sums[2];
    if (args.entropy && args.state) ExpRow<true, true>(z, args.vocab, largest, sums);
    if (args.entropy && !args.state) ExpRow<true, false>(z, args.vocab, largest, sums);
    if (!args.entropy && args.state) ExpRow<false, true>(z, args.vocab, largest, sums);
    if (!args.entropy && !args.state) ExpRow<false, false>(z, args.vocab, largest, sums);
    const double log_sum = LogOf(sums[0]);
    args.log_prob[r] = static_cast<float>(double(target) - largest - log_sum);
    if (args.best_log_prob) args.best_log_prob[r] = static_cast<float>(0 - log_sum);
    if (args.entropy) args.entropy[r] = static_cast<float>(log_sum - sums[1] / sums[0]);
    if (args.state) {
      double* const state = args.state + r * kLogitState;
      state[0] = largest;
      state[1] = sums[0];
      state[2] = log_sum;
      state[3] = target;
    }
  }
}

// The scalars of one row's gradient: dz_j = e_j (plain + entropy (log e_j + offset)), times
// 1 - (z inverse_bound)^2 where there is a cap, z = log e + largest.
struct RowGradient {
  float plain, entropy, offset, largest, inverse_bound;
};

template <bool kEntropy, bool kCap>
HWY_INLINE void GradientRow(const RowGradient& g, float* e_row, int64_t vocab) {
  ForColumns(vocab, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
    const Vec e = LoadPart(e_row + i, part);
    Vec v = Constant(g.plain), log_e = hn::Zero(kTag);
    // where e is 0 so is the gradient: any finite logarithm will do
    const Mask none = hn::Eq(e, hn::Zero(kTag));
    if constexpr (kEntropy || kCap) log_e = Log(hn::IfThenElse(none, Constant(1.0f), e));
    if constexpr (kEntropy) {
      v = hn::MulAdd(Constant(g.entropy), hn::Add(log_e, Constant(g.offset)), v);
    }
    v = hn::Mul(e, v);
    if constexpr (kCap) {
      const Vec t = hn::Mul(hn::Add(log_e, Constant(g.largest)), Constant(g.inverse_bound));
      v = hn::Mul(v, hn::NegMulAdd(t, t, Constant(1.0f)));
    }
    StorePart(v, e_row + i, part);
  });
}

void BackwardRows(const LogitRowsArgs& args, int64_t first, int64_t last) {
  const double gain = args.inverse_temperature;
  for (int64_t r = first; r < last; ++r) {
    float* const row = args.f32 + r * args.stride;
    const double dlog_prob = args.dlog_prob[r], dentropy = args.entropy ? args.dentropy[r] : 0;
    if (dlog_prob == 0 && dentropy == 0) {
      std::fill_n(row, args.vocab, 0.0f);
      continue;
    }
    const double* const state = args.state + r * kLogitState;
    const double largest = state[0], sum = state[1], log_sum = state[2], target = state[3];
    const bool cap = args.soft_cap > 0;
    const double inverse_bound = cap ? 1 / (gain * args.soft_cap) : 0;
    const double entropy = args.entropy ? args.entropy[r] : 0;
    const RowGradient g{.plain = static_cast<float>(-dlog_prob * gain / sum),
                        .entropy = static_cast<float>(-dentropy * gain / sum),
                        .offset = static_cast<float>(entropy - log_sum),
                        .largest = static_cast<float>(largest),
                        .inverse_bound = static_cast<float>(inverse_bound)};
    if (dentropy != 0 && cap) GradientRow<true, true>(g, row, args.vocab);
    if (dentropy != 0 && !cap) GradientRow<true, false>(g, row, args.vocab);
    if (dentropy == 0 && cap) GradientRow<false, true>(g, row, args.vocab);
    if (dentropy == 0 && !cap) GradientRow<false, false>(g, row, args.vocab);
    const double t = target * inverse_bound;
    row[args.targets[r]] += static_cast<float>(dlog_prob * gain * (1 - t * t));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(ScaleRows);
HWY_EXPORT(ForwardRows);
HWY_EXPORT(BackwardRows);

void ScaleLogits(const LogitRowsArgs& args, Team& team) {
  ForRowBlocks(team, args.rows, args.vocab, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(ScaleRows)(args, first, last);
  });
}
void LogitRowsForward(const LogitRowsArgs& args, Team& team) {
  ForRowBlocks(team, args.rows, args.vocab, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(ForwardRows)(args, first, last);
  });
}
void LogitRowsBackward(const LogitRowsArgs& args, Team& team) {
  ForRowBlocks(team, args.rows, args.vocab, [&](int64_t first, int64_t last) {
    HWY_DYNAMIC_DISPATCH(BackwardRows)(args, first, last);
  });
}

}  // namespace pawl::kernels
#endif
