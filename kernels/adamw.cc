#include "kernels/adamw.h"

#include <algorithm>
#include <cmath>

#include "kernels/row_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/adamw.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/adam-inl.h"
#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

void StepRange(const AdamStepArgs& step, const AdamWArgs& args, int64_t first, int64_t last) {
  const AdamVector adam(step);
  ForColumns(last - first, [&](int64_t column, auto part) PAWL_INLINE_LAMBDA {
    const int64_t i = first + column;
    Vec m = LoadPart(args.m + i, part), v = LoadPart(args.v + i, part);
    Vec p = LoadPart(args.p + i, part);
    adam.Step(LoadPart(args.g + i, part), m, v, p);
    StorePart(m, args.m + i, part);
    StorePart(v, args.v + i, part);
    StorePart(p, args.p + i, part);
    if (args.bf16) StorePart(p, args.bf16 + i, part);
  });
}

double SquaresOf(const float* g, int64_t count) {
  constexpr int64_t kRun = 1024;
  double sum = 0;
  for (int64_t at = 0; at < count; at += kRun) {
    const float* const from = g + at;
    sum +=
        RowSum(std::min(kRun, count - at), [&](int64_t i, auto part, Vec lanes) PAWL_INLINE_LAMBDA {
          const Vec v = LoadPart(from + i, part);
          return hn::MulAdd(v, v, lanes);
        });
  }
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(StepRange);
HWY_EXPORT(SquaresOf);
namespace {
constexpr int64_t kBlock = 1 << 16;  // elements a thread takes at once
}  // namespace

void AdamW(const AdamWArgs& args, Team& team) {
  const double t = static_cast<double>(args.step);
  const double bias1 = 1 - std::pow(double(args.beta1), t);
  const double bias2 = 1 - std::pow(double(args.beta2), t);
  const AdamStepArgs step{
      .beta1 = args.beta1,
      .beta2 = args.beta2,
      .epsilon = args.epsilon,
      .scale = args.grad_scale,
      .step_size = static_cast<float>(args.learning_rate / bias1),
      .correction = static_cast<float>(1 / std::sqrt(bias2)),
      .decay = static_cast<float>(1 - double(args.learning_rate) * args.weight_decay)};
  team.Run(CeilDiv(args.count, kBlock), [&](int64_t i) {
    HWY_DYNAMIC_DISPATCH(StepRange)
    (step, args, i * kBlock, std::min(args.count, (i + 1) * kBlock));
  });
}

double SquaredNorm(const float* g, int64_t count, Team& team) {
  const int64_t blocks = CeilDiv(count, kBlock);
  double* const sums = reinterpret_cast<double*>(team.Shared(2 * blocks));
  team.Run(blocks, [&](int64_t i) {
    const int64_t at = i * kBlock;
    sums[i] = HWY_DYNAMIC_DISPATCH(SquaresOf)(g + at, std::min(kBlock, count - at));
  });
  double sum = 0;
  for (int64_t i = 0; i < blocks; ++i) sum += sums[i];
  return sum;
}

}  // namespace pawl::kernels
#endif
