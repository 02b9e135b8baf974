#include "kernels/elementwise.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/adam-inl.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// y[i] = f(y[i]).
template <class F>
HWY_INLINE void Map(float* y, size_t count, F&& f) {
  for (size_t i = 0; i < count; i += kPanel) {
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
      float* at = y + i + j * kLanes;
      hn::Store(f(hn::Load(kTag, at)), kTag, at);
    });
  }
}
// y[i] = f(y[i], x[i]).
template <class F>
HWY_INLINE void Map(float* y, const float* x, size_t count, F&& f) {
  for (size_t i = 0; i < count; i += kPanel) {
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
      float* at = y + i + j * kLanes;
      hn::Store(f(hn::Load(kTag, at), hn::Load(kTag, x + i + j * kLanes)), kTag, at);
    });
  }
}

void Activate(Activation activation, float* y, size_t count) {
  switch (activation) {
    case Activation::kTanh:
      return Map(y, count, [](Vec v) PAWL_INLINE_LAMBDA { return Tanh(v); });
    case Activation::kRelu:
      // not Max, which may turn NaN into 0
      return Map(y, count, [](Vec v) PAWL_INLINE_LAMBDA {
        return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(kTag)), v);
      });
    case Activation::kElu:
      return Map(y, count, [](Vec v) PAWL_INLINE_LAMBDA {
        const Mask negative = hn::Lt(v, hn::Zero(kTag));
        return hn::IfThenElse(negative, Expm1(hn::IfThenElseZero(negative, v)), v);
      });
  }
}

void ActivateGrad(Activation activation, float* dy, const float* y, size_t count) {
  const Vec one = Constant(1.0f), zero = hn::Zero(kTag);
  switch (activation) {
    case Activation::kTanh:
      return Map(dy, y, count, [&](Vec d, Vec v) PAWL_INLINE_LAMBDA {
        return hn::Mul(d, hn::NegMulAdd(v, v, one));
      });
    case Activation::kRelu:
      return Map(dy, y, count, [&](Vec d, Vec v) PAWL_INLINE_LAMBDA {
        return hn::IfThenElseZero(hn::Gt(v, zero), d);
      });
    case Activation::kElu:
      // f'(x) = exp(x) = f(x) + 1 below zero
      return Map(dy, y, count, [&](Vec d, Vec v) PAWL_INLINE_LAMBDA {
        return hn::Mul(d, hn::Min(hn::Add(v, one), one));
      });
  }
}

void Add(float* to, const float* from, size_t count) {
  Map(to, from, count, [](Vec x, Vec y) PAWL_INLINE_LAMBDA { return hn::Add(x, y); });
}

float Squares(const float* g, size_t count) {
  // four panel rows of sums in flight hide the latency; their layout is the same for every width
  constexpr int kRows = 4;
  Vec sum[kRows * kVectors];
  Each<kRows * kVectors>([&](auto j) PAWL_INLINE_LAMBDA { sum[j] = hn::Zero(kTag); });
  size_t i = 0;
  for (; i + kRows * kPanel <= count; i += kRows * kPanel) {
    Each<kRows * kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
      const Vec v = hn::Load(kTag, g + i + j * kLanes);
      sum[j] = hn::MulAdd(v, v, sum[j]);
    });
  }
  for (; i < count; i += kPanel) {
    Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
      const Vec v = hn::Load(kTag, g + i + j * kLanes);
      sum[j] = hn::MulAdd(v, v, sum[j]);
    });
  }
  alignas(64) float lanes[kPanel];
  Each<kVectors>([&](auto j) PAWL_INLINE_LAMBDA {
    const Vec low = hn::Add(sum[j], sum[kVectors + j]);
    const Vec high = hn::Add(sum[2 * kVectors + j], sum[3 * kVectors + j]);
    hn::Store(hn::Add(low, high), kTag, lanes + j * kLanes);
  });
  return SumPanel(lanes);
}

void ExpOf(const float* x, size_t count, float* out) {
  for (size_t i = 0; i < count; i += kLanes) {
    const size_t part = std::min<size_t>(kLanes, count - i);
    alignas(64) float lanes[kLanes] = {};
    std::copy_n(x + i, part, lanes);
    hn::Store(Exp(hn::Load(kTag, lanes)), kTag, lanes);
    std::copy_n(lanes, part, out + i);
  }
}

void Adam(const AdamStepArgs& args, const float* g, float* m, float* v, float* p, size_t count) {
  const AdamVector adam(args);
  for (size_t i = 0; i < count; i += kLanes) {
    Vec first = hn::Load(kTag, m + i), second = hn::Load(kTag, v + i),
        weight = hn::Load(kTag, p + i);
    adam.Step(hn::Load(kTag, g + i), first, second, weight);
    hn::Store(first, kTag, m + i);
    hn::Store(second, kTag, v + i);
    hn::Store(weight, kTag, p + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(Activate);
HWY_EXPORT(ActivateGrad);
HWY_EXPORT(Add);
HWY_EXPORT(Squares);
HWY_EXPORT(ExpOf);
HWY_EXPORT(Adam);

void ApplyActivation(Activation activation, float* y, size_t count) {
  HWY_DYNAMIC_DISPATCH(Activate)(activation, y, count);
}
void ApplyActivationGrad(Activation activation, float* dy, const float* y, size_t count) {
  HWY_DYNAMIC_DISPATCH(ActivateGrad)(activation, dy, y, count);
}
void AddInto(float* to, const float* from, size_t count) {
  HWY_DYNAMIC_DISPATCH(Add)(to, from, count);
}
float SumOfSquares(const float* g, size_t count) { return HWY_DYNAMIC_DISPATCH(Squares)(g, count); }
void ExpArray(const float* x, size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(ExpOf)(x, count, out);
}
void AdamStep(const AdamStepArgs& args, const float* g, float* m, float* v, float* p,
              size_t count) {
  HWY_DYNAMIC_DISPATCH(Adam)(args, g, m, v, p, count);
}

}  // namespace pawl::kernels
#endif
