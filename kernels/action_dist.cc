#include "kernels/action_dist.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/action_dist.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/elementwise.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// `lane` is the first of the kLanes rows a function works on.
HWY_INLINE Vec Column(const float* columns, int a, int lane) {
  return hn::Load(kTag, columns + a * kBlockRows + lane);
}

// Largest logit, and the logarithm of the sum of exp(logit - largest).
struct LogNormalizer {
  Vec top, log_sum;
};
HWY_INLINE LogNormalizer NormalizeLogits(const ActionDist& dist, const float* head, int lane) {
  Vec top = Column(head, 0, lane), sum = hn::Zero(kTag);
  for (int a = 1; a < dist.act; ++a) top = hn::Max(top, Column(head, a, lane));
  for (int a = 0; a < dist.act; ++a) sum = hn::Add(sum, Exp(hn::Sub(Column(head, a, lane), top)));
  return {top, Log(sum)};
}
HWY_INLINE Vec LogProbability(const LogNormalizer& normalizer, Vec logit) {
  return hn::Sub(hn::Sub(logit, normalizer.top), normalizer.log_sum);
}

HWY_INLINE Vec LogProb(const ActionDist& dist, const float* head, const float* action, int lane) {
  if (dist.head == PolicyHead::kCategorical) {
    // an index that names no choice stays NaN
    Vec logit = Constant(std::numeric_limits<float>::quiet_NaN());
    const Vec choice = Column(action, 0, lane);
    for (int a = 0; a < dist.act; ++a) {
      logit = hn::IfThenElse(hn::Eq(choice, Constant(static_cast<float>(a))), Column(head, a, lane),
                             logit);
    }
    return LogProbability(NormalizeLogits(dist, head, lane), logit);
  }
  Vec log_prob = Constant(dist.constant);
  for (int a = 0; a < dist.act; ++a) {
    const Vec error = hn::Sub(Column(action, a, lane), Column(head, a, lane));
    const Vec z = hn::Mul(error, Constant(dist.inverse_deviation.data()[a]));
    log_prob = hn::NegMulAdd(hn::Mul(Constant(0.5f), z), z, log_prob);
  }
  if (dist.head == PolicyHead::kSquashedGaussian) {
    // log |d tanh(u) / du| = 2 (log 2 - u - softplus(-2 u))
    for (int a = 0; a < dist.act; ++a) {
      const Vec u = Column(action, a, lane);
      const Vec tail = Softplus(hn::Mul(Constant(-2.0f), u));
      const Vec log_slope = hn::Sub(hn::Sub(Constant(std::numbers::ln2_v<float>), u), tail);
      log_prob = hn::NegMulAdd(Constant(2.0f), log_slope, log_prob);
    }
  }
  return log_prob;
}

void LogProbs(const ActionDist& dist, const float* head, const float* action, float* log_prob) {
  for (int lane = 0; lane < kBlockRows; lane += kLanes) {
    hn::StoreU(LogProb(dist, head, action, lane), kTag, log_prob + lane);
  }
}

void Sample(const ActionDist& dist, const float* head, const float* noise, float* action) {
  for (int lane = 0; lane < kBlockRows; lane += kLanes) {
    if (dist.head == PolicyHead::kCategorical) {
      Vec best = hn::Zero(kTag), best_score = best;
      for (int a = 0; a < dist.act; ++a) {
        Vec score = Column(head, a, lane);
        // Gumbel-argmax: -log(-log(uniform)) added to the logit
        if (noise) score = hn::Sub(score, Log(hn::Neg(Log(Column(noise, a, lane)))));
        if (a == 0) {
          best_score = score;
          continue;
        }
        const Mask better = hn::Gt(score, best_score);
        best = hn::IfThenElse(better, Constant(static_cast<float>(a)), best);
        best_score = hn::IfThenElse(better, score, best_score);
      }
      hn::Store(best, kTag, action + lane);
      continue;
    }
    for (int a = 0; a < dist.act; ++a) {
      const Vec mean = Column(head, a, lane);
      const Vec drawn =
          noise ? hn::MulAdd(Constant(dist.deviation.data()[a]), Column(noise, a, lane), mean)
                : mean;
      hn::Store(drawn, kTag, action + a * kBlockRows + lane);
    }
  }
}

// d_head = d_log_prob * d log pi / d head + d_entropy * d entropy / d head; returns the entropy.
HWY_INLINE Vec CategoricalGrad(const ActionDist& dist, const PolicyLossArgs& args, int lane,
                               Vec d_log_prob, Vec d_entropy) {
  const LogNormalizer normalizer = NormalizeLogits(dist, args.head, lane);
  Vec entropy = hn::Zero(kTag);
  for (int a = 0; a < dist.act; ++a) {
    const Vec log_p = LogProbability(normalizer, Column(args.head, a, lane));
    entropy = hn::NegMulAdd(Exp(log_p), log_p, entropy);
  }
  const Vec choice = Column(args.action, 0, lane);
  for (int a = 0; a < dist.act; ++a) {
    const Vec log_p = LogProbability(normalizer, Column(args.head, a, lane)), p = Exp(log_p);
    const Mask chosen = hn::Eq(choice, Constant(static_cast<float>(a)));
    const Vec one_hot = hn::IfThenElseZero(chosen, Constant(1.0f));
    const Vec through_entropy = hn::Mul(hn::Mul(d_entropy, p), hn::Add(log_p, entropy));
    const Vec through_log_prob = hn::Mul(d_log_prob, hn::Sub(one_hot, p));
    hn::Store(hn::Sub(through_log_prob, through_entropy), kTag,
              args.d_head + a * kBlockRows + lane);
  }
  return entropy;
}

// The same for a Gaussian: d_head, and d_log_std with the entropy's part where it has a closed
// form.
HWY_INLINE void GaussianGrad(const ActionDist& dist, const PolicyLossArgs& args, int lane,
                             Mask valid, Vec d_log_prob, Vec d_entropy) {
  for (int a = 0; a < dist.act; ++a) {
    const Vec inverse = Constant(dist.inverse_deviation.data()[a]);
    const Vec error = hn::Sub(Column(args.action, a, lane), Column(args.head, a, lane));
    const Vec z = hn::Mul(error, inverse);
    hn::Store(hn::Mul(hn::Mul(d_log_prob, z), inverse), kTag, args.d_head + a * kBlockRows + lane);
    const Vec d = hn::MulAdd(d_log_prob, hn::MulSub(z, z, Constant(1.0f)), d_entropy);
    float* const sum = args.d_log_std + a * kBlockRows + lane;
    hn::Store(hn::Add(hn::Load(kTag, sum), hn::IfThenElseZero(valid, d)), kTag, sum);
  }
}

HWY_INLINE void AddRows(float* sum, Mask valid, Vec x) {
  hn::Store(hn::Add(hn::Load(kTag, sum), hn::IfThenElseZero(valid, x)), kTag, sum);
}

void PolicyLoss(const ActionDist& dist, const PolicyLossArgs& args, PolicyLossSums& sums) {
  const Vec one = Constant(1.0f), clip = Constant(args.clip_range);
  const bool squashed = dist.head == PolicyHead::kSquashedGaussian;
  for (int lane = 0; lane < kBlockRows; lane += kLanes) {
    const Mask valid =
        hn::Lt(hn::Iota(kTag, static_cast<float>(lane)), Constant(static_cast<float>(args.rows)));
    const Vec log_prob = LogProb(dist, args.head, args.action, lane);
    const Vec log_ratio = hn::Sub(log_prob, hn::Load(kTag, args.old_log_prob + lane));
    const Vec ratio = Exp(log_ratio), advantage = hn::Load(kTag, args.advantage + lane);
    const Vec plain = hn::Mul(ratio, advantage);
    const Vec clipped = hn::Mul(Clamp(ratio, hn::Sub(one, clip), hn::Add(one, clip)), advantage);
    const Mask is_clipped = hn::Gt(plain, clipped);  // false for NaN, which thereby stays
    const Vec objective = hn::IfThenElse(is_clipped, clipped, plain);

    AddRows(sums.policy + lane, valid, hn::Neg(objective));
    AddRows(sums.kl + lane, valid, hn::Sub(hn::Sub(ratio, one), log_ratio));
    const Mask outside = hn::Gt(hn::Abs(hn::Sub(ratio, one)), clip);
    AddRows(sums.clipped + lane, valid, hn::IfThenElseZero(outside, one));
    const Vec size = hn::IfThenElseZero(valid, hn::Abs(log_ratio));
    float* const largest = sums.max_abs_log_ratio + lane;
    hn::Store(hn::Max(hn::Load(kTag, largest), size), kTag, largest);

    Vec d_log_prob = hn::IfThenZeroElse(is_clipped, hn::Mul(Constant(-args.mean), plain));
    // the loss holds -entropy_coef * entropy
    const float d_entropy = -args.entropy_coef * args.mean;
    if (dist.head == PolicyHead::kCategorical) {
      const Vec entropy = CategoricalGrad(dist, args, lane, d_log_prob, Constant(d_entropy));
      AddRows(sums.entropy + lane, valid, entropy);
      continue;
    }
    // squashed: no closed form; the entropy is estimated by -log_prob (as SB3 does)
    if (squashed) d_log_prob = hn::Sub(d_log_prob, Constant(d_entropy));
    AddRows(sums.entropy + lane, valid, squashed ? hn::Neg(log_prob) : Constant(dist.entropy));
    GaussianGrad(dist, args, lane, valid, d_log_prob, Constant(squashed ? 0.0f : d_entropy));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(LogProbs);
HWY_EXPORT(Sample);
HWY_EXPORT(PolicyLoss);

ActionDist::ActionDist(PolicyHead head, int act, const float* log_std) : head(head), act(act) {
  if (head == PolicyHead::kCategorical) return;
  deviation = inverse_deviation = AlignedBuffer(act);
  const float half_log_2pi = 0.9189385332046727f;
  for (int a = 0; a < act; ++a) {
    inverse_deviation.data()[a] = -log_std[a];
    constant -= log_std[a];
    entropy += log_std[a] + (0.5f + half_log_2pi);
  }
  constant -= static_cast<float>(act) * half_log_2pi;
  ExpArray(log_std, act, deviation.data());
  ExpArray(inverse_deviation.data(), act, inverse_deviation.data());
}

void BlockLogProb(const ActionDist& dist, const float* head, const float* action, float* log_prob) {
  HWY_DYNAMIC_DISPATCH(LogProbs)(dist, head, action, log_prob);
}
void BlockSample(const ActionDist& dist, const float* head, const float* noise, float* action) {
  HWY_DYNAMIC_DISPATCH(Sample)(dist, head, noise, action);
}
void BlockPolicyLoss(const ActionDist& dist, const PolicyLossArgs& args, PolicyLossSums& sums) {
  HWY_DYNAMIC_DISPATCH(PolicyLoss)(dist, args, sums);
}

void RowsToColumns(const float* from, const int32_t* index, int rows, int columns, float* to) {
  for (int row = 0; row < rows; ++row) {
    const float* source = from + size_t(index ? index[row] : row) * columns;
    for (int a = 0; a < columns; ++a) to[a * kBlockRows + row] = source[a];
  }
  for (int row = rows; row < kBlockRows; ++row) {
    for (int a = 0; a < columns; ++a) to[a * kBlockRows + row] = 0;
  }
}

// Blocks of rows through columns: head, then noise or action.
void SampleActions(PolicyHead head_kind, int act, const float* head, const float* log_std,
                   const float* noise, int rows, float* action, float* log_prob) {
  const ActionDist dist(head_kind, act, log_std);
  const int stored = dist.stored_size();
  const size_t size = size_t(act) * kBlockRows;
  AlignedBuffer scratch(3 * size + kBlockRows);
  float* const heads = scratch.data();
  float *const noises = heads + size, *const actions = noises + size, *const logs = actions + size;
  for (int row = 0; row < rows; row += kBlockRows) {
    const int count = std::min(kBlockRows, rows - row);
    RowsToColumns(head + size_t(row) * act, nullptr, count, act, heads);
    if (noise) RowsToColumns(noise + size_t(row) * act, nullptr, count, act, noises);
    BlockSample(dist, heads, noise ? noises : nullptr, actions);
    BlockLogProb(dist, heads, actions, logs);
    for (int i = 0; i < count; ++i) {
      for (int a = 0; a < stored; ++a) {
        action[size_t(row + i) * stored + a] = actions[a * kBlockRows + i];
      }
    }
    std::copy_n(logs, count, log_prob + row);
  }
}

void ActionLogProb(PolicyHead head_kind, int act, const float* head, const float* log_std,
                   const float* action, int rows, float* log_prob) {
  const ActionDist dist(head_kind, act, log_std);
  const int stored = dist.stored_size();
  const size_t size = size_t(act) * kBlockRows;
  AlignedBuffer scratch(2 * size + kBlockRows);
  float *const heads = scratch.data(), *const actions = heads + size, *const logs = actions + size;
  for (int row = 0; row < rows; row += kBlockRows) {
    const int count = std::min(kBlockRows, rows - row);
    RowsToColumns(head + size_t(row) * act, nullptr, count, act, heads);
    RowsToColumns(action + size_t(row) * stored, nullptr, count, stored, actions);
    BlockLogProb(dist, heads, actions, logs);
    std::copy_n(logs, count, log_prob + row);
  }
}

}  // namespace pawl::kernels
#endif
