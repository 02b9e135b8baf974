#include "kernels/panel.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/panel.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per target

#include <hwy/highway.h>

#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::CappedTag<float, kPanel> kTag;
using Tag = hn::CappedTag<float, kPanel>;
using Vec = hn::Vec<Tag>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(Tag()));
constexpr int kVectors = kPanel / kLanes;  // of one panel row
// rows of a register tile: 12 accumulators leave room for operands in 16 registers
constexpr int kTileRows = kVectors <= 2 ? 6 : kVectors == 4 ? 3 : 1;

// Calls f(0) ... f(N - 1) with compile-time indices: accumulator indices must be constants, or they live in memory.
template <class F, size_t... I>
HWY_INLINE void EachImpl(F&& f, std::index_sequence<I...>) {
  (f(std::integral_constant<int, static_cast<int>(I)>{}), ...);
}
template <int N, class F>
HWY_INLINE void Each(F&& f) {
  EachImpl(f, std::make_index_sequence<N>{});
}
#define PAWL_LAMBDA HWY_ATTR __attribute__((always_inline))

// How a tile reads its left operand A(m, k).
enum class Left {
  kRows,     // A(m, k) = x panel k / 16, row m: activations of a forward pass
  kColumns,  // A(m, k) = x[k * 16 + m]: a panel read down its rows, for weight gradients
};

// c[m][0 .. NV) (+)= sum over k of A(m, k) b[k][0 .. NV); rows of b and c are 16 wide. panel: floats between panels of A.
template <int MR, int NV, Left kLeft>
HWY_NOINLINE void Tile(const float* HWY_RESTRICT a, size_t panel, int depth, const float* HWY_RESTRICT b,
                       float* HWY_RESTRICT c, const float* bias, bool accumulate) {
  Vec sum[MR * NV];
  if (accumulate) {
    Each<MR * NV>([&](auto i) PAWL_LAMBDA { sum[i] = hn::Load(kTag, c + i / NV * kPanel + i % NV * kLanes); });
  } else {
    Each<MR * NV>([&](auto i) PAWL_LAMBDA { sum[i] = bias ? hn::Load(kTag, bias + i % NV * kLanes) : hn::Zero(kTag); });
  }
  auto step = [&](const float* x, const float* w) PAWL_LAMBDA {
    Vec right[NV];
    Each<NV>([&](auto j) PAWL_LAMBDA { right[j] = hn::Load(kTag, w + j * kLanes); });
    Each<MR>([&](auto m) PAWL_LAMBDA {
      const Vec left = hn::Set(kTag, x[kLeft == Left::kColumns ? static_cast<int>(m) : m * kPanel]);
      Each<NV>([&](auto j) PAWL_LAMBDA { sum[m * NV + j] = hn::MulAdd(left, right[j], sum[m * NV + j]); });
    });
  };
  if constexpr (kLeft == Left::kColumns) {
    for (int k = 0; k < depth; ++k) step(a + k * kPanel, b + k * kPanel);
  } else {
    for (int k = 0; k < depth; k += kPanel, a += panel, b += kPanel * kPanel) {
      if (depth - k >= kPanel) {
        for (int q = 0; q < kPanel; q += 4) {
          Each<4>([&](auto u) PAWL_LAMBDA { step(a + q + u, b + (q + u) * kPanel); });
        }
      } else {
        for (int q = 0; q < depth - k; ++q) step(a + q, b + q * kPanel);
      }
    }
  }
  Each<MR * NV>([&](auto i) PAWL_LAMBDA { hn::Store(sum[i], kTag, c + i / NV * kPanel + i % NV * kLanes); });
}

template <int NV, Left kLeft, int MR = kTileRows>
HWY_INLINE void TileOfHeight(int height, const float* a, size_t panel, int depth, const float* b, float* c,
                             const float* bias, bool accumulate) {
  if constexpr (MR > 1) {
    if (height < MR) return TileOfHeight<NV, kLeft, MR - 1>(height, a, panel, depth, b, c, bias, accumulate);
  }
  Tile<MR, NV, kLeft>(a, panel, depth, b, c, bias, accumulate);
}

// Only as many vectors of the panel as hold wanted columns (a head of 6 needs one of AVX2's two).
template <Left kLeft, int NV = kVectors>
HWY_INLINE void TileOfSize(int columns, int height, const float* a, size_t panel, int depth, const float* b, float* c,
                           const float* bias, bool accumulate) {
  if constexpr (NV > 1) {
    if (columns <= (NV - 1) * kLanes) {
      return TileOfSize<kLeft, NV - 1>(columns, height, a, panel, depth, b, c, bias, accumulate);
    }
  }
  TileOfHeight<NV, kLeft>(height, a, panel, depth, b, c, bias, accumulate);
}

// Cuts `total` rows into tiles of nearly equal height.
template <class F>
HWY_INLINE void ForEachTile(int total, F&& f) {
  int tiles = (total + kTileRows - 1) / kTileRows;
  for (int row = 0; row < total; --tiles) {
    const int height = (total - row + tiles - 1) / tiles;
    f(row, height);
    row += height;
  }
}

void Dense(const float* x, int rows, int in, const float* w, const float* bias, int out, float* y) {
  for (int n = 0; n < out; n += kPanel) {
    ForEachTile(rows, [&](int row, int height) HWY_ATTR {
      TileOfSize<Left::kRows>(out - n, height, x + row * kPanel, size_t(rows) * kPanel, in, w + size_t(n) * in,
                              y + size_t(n) * rows + row * kPanel, bias ? bias + n : nullptr, false);
    });
  }
}

void WeightGrad(const float* x, int rows, int in, const float* dy, int out, float* dw, float* db, bool accumulate) {
  for (int n = 0; n < out; n += kPanel) {
    const float* right = dy + size_t(n) * rows;
    for (int k0 = 0; k0 < in; k0 += kPanel) {
      ForEachTile(std::min(kPanel, in - k0), [&](int k, int height) HWY_ATTR {
        TileOfSize<Left::kColumns>(out - n, height, x + size_t(k0) * rows + k, 0, rows, right,
                                   dw + size_t(n) * in + (k0 + k) * kPanel, nullptr, accumulate);
      });
    }
    for (int lane = 0; lane < kPanel; lane += kLanes) {
      Vec sum = accumulate ? hn::Load(kTag, db + n + lane) : hn::Zero(kTag);
      for (int row = 0; row < rows; ++row) sum = hn::Add(sum, hn::Load(kTag, right + row * kPanel + lane));
      hn::Store(sum, kTag, db + n + lane);
    }
  }
}

// Rational tanh: odd degree 13 over even degree 6 (the minimax coefficients in common use), clamped where float32 tanh is 1.
HWY_INLINE Vec Tanh(Vec x) {
  const Vec bound = hn::Set(kTag, 7.90531110763549805f);
  x = hn::Min(hn::Max(x, hn::Neg(bound)), bound);
  const Vec q = hn::Mul(x, x);
  Vec p = hn::Set(kTag, -2.76076847742355e-16f);
  for (float c : {2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f, 1.48572235717979e-05f,
                  6.37261928875436e-04f, 4.89352455891786e-03f}) {
    p = hn::MulAdd(p, q, hn::Set(kTag, c));
  }
  Vec d = hn::Set(kTag, 1.19825839466702e-06f);
  for (float c : {1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f}) {
    d = hn::MulAdd(d, q, hn::Set(kTag, c));
  }
  return hn::Div(hn::Mul(x, p), d);
}

template <class F>
HWY_INLINE void Map(float* y, size_t count, F&& f) {
  for (size_t i = 0; i < count; i += kPanel) {
    Each<kVectors>([&](auto j) PAWL_LAMBDA {
      float* at = y + i + j * kLanes;
      hn::Store(f(hn::Load(kTag, at)), kTag, at);
    });
  }
}

void Activate(Activation activation, float* y, size_t count) {
  switch (activation) {
    case Activation::kTanh:
      return Map(y, count, [](Vec v) HWY_ATTR { return Tanh(v); });
    case Activation::kRelu:
      // Max(NaN, 0) may be 0: keep NaN by selecting
      return Map(y, count, [](Vec v) HWY_ATTR { return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(kTag)), v); });
    case Activation::kElu:
      return Map(y, count, [](Vec v) HWY_ATTR {
        const Vec negative = hn::Min(v, hn::Zero(kTag));
        return hn::IfThenElse(hn::Lt(v, hn::Zero(kTag)), hn::Expm1(kTag, negative), v);
      });
  }
}

template <class F>
HWY_INLINE void MapPair(float* dy, const float* y, size_t count, F&& f) {
  for (size_t i = 0; i < count; i += kPanel) {
    Each<kVectors>([&](auto j) PAWL_LAMBDA {
      float* at = dy + i + j * kLanes;
      hn::Store(f(hn::Load(kTag, at), hn::Load(kTag, y + i + j * kLanes)), kTag, at);
    });
  }
}

void ActivateGrad(Activation activation, float* dy, const float* y, size_t count) {
  const Vec one = hn::Set(kTag, 1.0f), zero = hn::Zero(kTag);
  switch (activation) {
    case Activation::kTanh:
      return MapPair(dy, y, count, [&](Vec d, Vec v) HWY_ATTR { return hn::Mul(d, hn::NegMulAdd(v, v, one)); });
    case Activation::kRelu:
      return MapPair(dy, y, count, [&](Vec d, Vec v) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(v, zero), d); });
    case Activation::kElu:
      // f'(x) = exp(x) = f(x) + 1 below zero
      return MapPair(dy, y, count, [&](Vec d, Vec v) HWY_ATTR { return hn::Mul(d, hn::Min(hn::Add(v, one), one)); });
  }
}

float SumOfSquares(const float* g, size_t count) {
  Vec sum[kVectors];
  Each<kVectors>([&](auto j) PAWL_LAMBDA { sum[j] = hn::Zero(kTag); });
  for (size_t i = 0; i < count; i += kPanel) {
    Each<kVectors>([&](auto j) PAWL_LAMBDA {
      const Vec v = hn::Load(kTag, g + i + j * kLanes);
      sum[j] = hn::MulAdd(v, v, sum[j]);
    });
  }
  Vec total = sum[0];
  for (int j = 1; j < kVectors; ++j) total = hn::Add(total, sum[j]);
  return hn::GetLane(hn::SumOfLanes(kTag, total));
}

void Adam(const AdamStepArgs& args, const float* g, float* m, float* v, float* p, size_t count) {
  const Vec beta1 = hn::Set(kTag, args.beta1), gain1 = hn::Set(kTag, (1 - args.beta1) * args.scale);
  const Vec beta2 = hn::Set(kTag, args.beta2), gain2 = hn::Set(kTag, (1 - args.beta2) * args.scale * args.scale);
  const Vec step = hn::Set(kTag, args.learning_rate / args.bias1);
  const Vec correct = hn::Set(kTag, 1 / std::sqrt(args.bias2)), epsilon = hn::Set(kTag, args.epsilon);
  for (size_t i = 0; i < count; i += kLanes) {
    const Vec grad = hn::Load(kTag, g + i);
    const Vec first = hn::MulAdd(hn::Load(kTag, m + i), beta1, hn::Mul(grad, gain1));
    const Vec second = hn::MulAdd(hn::Load(kTag, v + i), beta2, hn::Mul(hn::Mul(grad, grad), gain2));
    hn::Store(first, kTag, m + i);
    hn::Store(second, kTag, v + i);
    const Vec divisor = hn::MulAdd(hn::Sqrt(second), correct, epsilon);
    hn::Store(hn::NegMulAdd(step, hn::Div(first, divisor), hn::Load(kTag, p + i)), kTag, p + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(Dense);
HWY_EXPORT(WeightGrad);
HWY_EXPORT(Activate);
HWY_EXPORT(ActivateGrad);
HWY_EXPORT(SumOfSquares);
HWY_EXPORT(Adam);

void PanelDense(const float* x, int rows, int in, const float* w, const float* bias, int out, float* y) {
  HWY_DYNAMIC_DISPATCH(Dense)(x, rows, in, w, bias, out, y);
}
void PanelWeightGrad(const float* x, int rows, int in, const float* dy, int out, float* dw, float* db, bool accumulate) {
  HWY_DYNAMIC_DISPATCH(WeightGrad)(x, rows, in, dy, out, dw, db, accumulate);
}
void PanelTranspose(const float* w, int in, int out, float* wt) {
  for (int n0 = 0; n0 < out; n0 += kPanel) {
    const int columns = std::min(kPanel, out - n0);
    for (int k0 = 0; k0 < in; k0 += kPanel) {
      const int depth = std::min(kPanel, in - k0);
      const float* from = w + size_t(n0) * in + k0 * kPanel;
      float* to = wt + size_t(k0) * out + n0 * kPanel;
      for (int n = 0; n < columns; ++n) {
        for (int k = 0; k < depth; ++k) to[n * kPanel + k] = from[k * kPanel + n];
      }
    }
  }
}
void PanelActivate(Activation activation, float* y, size_t count) { HWY_DYNAMIC_DISPATCH(Activate)(activation, y, count); }
void PanelActivateGrad(Activation activation, float* dy, const float* y, size_t count) {
  HWY_DYNAMIC_DISPATCH(ActivateGrad)(activation, dy, y, count);
}
float SumSquares(const float* g, size_t count) { return HWY_DYNAMIC_DISPATCH(SumOfSquares)(g, count); }
void AdamStep(const AdamStepArgs& args, const float* g, float* m, float* v, float* p, size_t count) {
  HWY_DYNAMIC_DISPATCH(Adam)(args, g, m, v, p, count);
}

std::vector<const char*> PanelTargets() {
  std::vector<const char*> names;
  for (int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
    names.push_back(hwy::TargetName(left & -left));  // lower bits are better targets
  }
  return names;
}
const char* PanelTarget() { return PanelTargets().front(); }

void ForcePanelTarget(const char* name) {
  hwy::SetSupportedTargetsForTest(0);
  if (*name) {
    for (int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
      if (std::strcmp(hwy::TargetName(left & -left), name) == 0) hwy::SetSupportedTargetsForTest(left & -left);
    }
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace pawl::kernels
#endif
