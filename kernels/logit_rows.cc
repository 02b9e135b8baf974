#include "kernels/logit_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

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
HWY_INLINE float Scale(const LogitRowsArgs& args, float* z, int64_t columns) {
  const Vec lowest = Constant(-std::numeric_limits<float>::infinity());
  const bool scale = args.soft_cap > 0 || args.inverse_temperature != 1;
  Vec largest = lowest;
  ForColumns(columns, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
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

// exp(x) for x <= 0, 0 below -86.6: one rounding more than Exp, in half its time.
HWY_INLINE Vec ExpOf(Vec x) { return Exp2(hn::Mul(x, Constant(1.44269504f))); }

// kKeep: e is left where the logits were.
template <bool kEntropy, bool kKeep>
HWY_INLINE LogitBlockSums SumBlock(const LogitRowsArgs& args, float* z, int64_t columns) {
  constexpr int kSums = kEntropy ? 2 : 1;
  // a block of nothing but -infinity adds 0, not NaN
  const float top = std::max(Scale(args, z, columns), std::numeric_limits<float>::lowest());
  float sums[2] = {};
  RowSums<kSums>(columns, sums, [&](int64_t i, auto part, Vec* sum) PAWL_INLINE_LAMBDA {
    const Vec shifted = hn::Sub(LoadPart(z + i, part), Constant(top));
    const Vec e = Keep(ExpOf(shifted), part);
    if constexpr (kKeep) StorePart(e, z + i, part);
    sum[0] = hn::Add(sum[0], e);
    if constexpr (kEntropy) {
      // a logit of -infinity adds 0, not 0 times infinity
      const Mask none = hn::Eq(e, hn::Zero(kTag));
      sum[1] = hn::MulAdd(hn::IfThenZeroElse(none, shifted), e, sum[1]);
    }
  });
  return {.top = top, .sum = sums[0], .weighted = sums[1]};
}

LogitBlockSums OneBlock(const LogitRowsArgs& args, float* z, int64_t columns, bool with_entropy) {
  return with_entropy ? SumBlock<true, false>(args, z, columns)
                      : SumBlock<false, false>(args, z, columns);
}

HWY_INLINE float ExpOne(float x) { return hn::GetLane(ExpOf(Constant(x))); }

void FinishRow(const LogitRowsArgs& args, int64_t r, const LogitBlockSums* blocks, float target) {
  const int64_t count = NumLogitBlocks(args.vocab);
  float largest = blocks[0].top;
  for (int64_t b = 1; b < count; ++b) largest = std::max(largest, blocks[b].top);
  double sum = 0, weighted = 0;
  for (int64_t b = 0; b < count; ++b) {
    const float shift = blocks[b].top - largest;
    const double factor = ExpOne(shift);
    sum += factor * blocks[b].sum;
    // what is 0 adds 0, however far below
    if (args.entropy && factor > 0) {
      weighted += factor * (blocks[b].weighted + double(shift) * blocks[b].sum);
    }
  }
  // nothing but -infinity, or a NaN: no distribution
  const double log_sum = sum > 0 ? LogOf(sum) : std::numeric_limits<double>::quiet_NaN();
  args.log_prob[r] = static_cast<float>(double(target) - largest - log_sum);
  if (args.best_log_prob) args.best_log_prob[r] = static_cast<float>(0 - log_sum);
  if (args.entropy) args.entropy[r] = static_cast<float>(log_sum - weighted / sum);
  if (args.state) {
    double* const state = args.state + r * kLogitState;
    state[0] = largest;
    state[1] = sum;
    state[2] = log_sum;
    state[3] = target;
  }
}

void ScaleRows(const LogitRowsArgs& args, int64_t first, int64_t last) {
  for (int64_t r = first; r < last; ++r) Scale(args, args.f32 + r * args.stride, args.vocab);
}

// One row, which is left as e of its blocks where a backward pass follows.
template <bool kEntropy, bool kKeep>
HWY_INLINE void ForwardRow(const LogitRowsArgs& args, int64_t r, LogitBlockSums* blocks) {
  const int64_t count = NumLogitBlocks(args.vocab);
  float* const row = args.f32 + r * args.stride;
  float target = row[args.targets[r]];  // read before an exponential stands there
  Scale(args, &target, 1);
  for (int64_t b = 0; b < count; ++b) {
    const int64_t column = b * kLogitBlock;
    blocks[b] =
        SumBlock<kEntropy, kKeep>(args, row + column, std::min(kLogitBlock, args.vocab - column));
    if constexpr (kKeep) args.tops[r * count + b] = blocks[b].top;
  }
  FinishRow(args, r, blocks, target);
}

void ForwardRows(const LogitRowsArgs& args, int64_t first, int64_t last) {
  std::vector<LogitBlockSums> blocks(static_cast<size_t>(NumLogitBlocks(args.vocab)));
  for (int64_t r = first; r < last; ++r) {
    if (args.entropy && args.state) ForwardRow<true, true>(args, r, blocks.data());
    if (args.entropy && !args.state) ForwardRow<true, false>(args, r, blocks.data());
    if (!args.entropy && args.state) ForwardRow<false, true>(args, r, blocks.data());
    if (!args.entropy && !args.state) ForwardRow<false, false>(args, r, blocks.data());
  }
}

// The scalars of a block's gradient: dz_j = e_j (plain + entropy (log e_j + offset)), times
// 1 - (z inverse_bound)^2 where there is a cap, z = log e + top.
struct BlockGradient {
  float plain, entropy, offset, top, inverse_bound;
};

template <bool kEntropy, bool kCap>
HWY_INLINE void GradientBlock(const BlockGradient& g, float* e_row, int64_t columns) {
  ForColumns(columns, [&](int64_t i, auto part) PAWL_INLINE_LAMBDA {
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
      const Vec t = hn::Mul(hn::Add(log_e, Constant(g.top)), Constant(g.inverse_bound));
      v = hn::Mul(v, hn::NegMulAdd(t, t, Constant(1.0f)));
    }
    StorePart(v, e_row + i, part);
  });
}

void BackwardRows(const LogitRowsArgs& args, int64_t first, int64_t last) {
  const double gain = args.inverse_temperature;
  const int64_t count = NumLogitBlocks(args.vocab);
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
    for (int64_t b = 0; b < count; ++b) {
      const float top = args.tops[r * count + b], shift = static_cast<float>(top - largest);
      const double factor = ExpOne(shift) * gain / sum;
      const BlockGradient g{.plain = static_cast<float>(-dlog_prob * factor),
                            .entropy = static_cast<float>(-dentropy * factor),
                            .offset = static_cast<float>(entropy - log_sum + shift),
                            .top = top,
                            .inverse_bound = static_cast<float>(inverse_bound)};
      float* const e = row + b * kLogitBlock;
      const int64_t columns = std::min(kLogitBlock, args.vocab - b * kLogitBlock);
      if (dentropy != 0 && cap) GradientBlock<true, true>(g, e, columns);
      if (dentropy != 0 && !cap) GradientBlock<true, false>(g, e, columns);
      if (dentropy == 0 && cap) GradientBlock<false, true>(g, e, columns);
      if (dentropy == 0 && !cap) GradientBlock<false, false>(g, e, columns);
    }
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
HWY_EXPORT(OneBlock);
HWY_EXPORT(FinishRow);

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

LogitBlockSums SumLogitBlock(const LogitRowsArgs& args, float* logits, int64_t columns,
                             bool with_entropy) {
  return HWY_DYNAMIC_DISPATCH(OneBlock)(args, logits, columns, with_entropy);
}
void FinishLogitRow(const LogitRowsArgs& args, int64_t row, std::span<const LogitBlockSums> blocks,
                    float target) {
  HWY_DYNAMIC_DISPATCH(FinishRow)(args, row, blocks.data(), target);
}

}  // namespace pawl::kernels
#endif
