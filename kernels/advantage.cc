#include "kernels/advantage.h"

#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/advantage.cc"
#include <hwy/foreach_target.h>  // compiles the section below once per instruction set

#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pawl::kernels {
namespace HWY_NAMESPACE {

// One time step of `count` columns; all pointers are at its row. Products and sums are rounded
// apart (no FMA), as in GaeReference and on CUDA.
struct GaeRow {
  const float *reward, *value, *final_value, *next_value, *next_advantage;
  const uint8_t *terminated, *truncated;
  float *advantage, *returns;
};

// Columns [i, i + lanes of d).
template <class D>
HWY_INLINE void GaeColumns(D d, const GaeRow& row, int i, float gamma, float gamma_lambda) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint8_t, D> d8;
  auto flags = [&](const uint8_t* from) PAWL_INLINE_LAMBDA {
    const auto bytes = hn::PromoteTo(di, hn::LoadU(d8, from + i));
    return hn::RebindMask(d, hn::Ne(bytes, hn::Zero(di)));
  };
  const auto terminated = flags(row.terminated), truncated = flags(row.truncated);
  const auto value = hn::LoadU(d, row.value + i);
  const auto bootstrap = hn::IfThenElse(truncated, hn::LoadU(d, row.final_value + i),
                                        hn::LoadU(d, row.next_value + i));
  const auto next = hn::Mul(hn::Set(d, gamma), hn::IfThenZeroElse(terminated, bootstrap));
  const auto delta = hn::Sub(hn::Add(hn::LoadU(d, row.reward + i), next), value);
  auto carried = hn::Zero(d);
  if (row.next_advantage) {
    carried = hn::Mul(hn::Set(d, gamma_lambda), hn::LoadU(d, row.next_advantage + i));
  }
  const auto advantage =
      hn::IfThenElse(hn::Or(terminated, truncated), delta, hn::Add(delta, carried));
  hn::StoreU(advantage, d, row.advantage + i);
  hn::StoreU(hn::Add(advantage, value), d, row.returns + i);
}

void Gae(const GaeArgs& args) {
  const size_t columns = args.batch;
  const float gamma_lambda = args.gamma * args.lambda;
  for (int t = args.time - 1; t >= 0; --t) {
    const size_t at = t * columns;
    const bool last = t == args.time - 1;
    const GaeRow row{.reward = args.reward + at,
                     .value = args.value + at,
                     .final_value = args.final_value + at,
                     .next_value = last ? args.last_value : args.value + at + columns,
                     .next_advantage = last ? nullptr : args.advantage + at + columns,
                     .terminated = args.terminated + at,
                     .truncated = args.truncated + at,
                     .advantage = args.advantage + at,
                     .returns = args.returns + at};
    int i = 0;
    for (; i + kLanes <= args.batch; i += kLanes) {
      GaeColumns(kTag, row, i, args.gamma, gamma_lambda);
    }
    for (; i < args.batch; ++i) {
      GaeColumns(hn::CappedTag<float, 1>(), row, i, args.gamma, gamma_lambda);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pawl::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pawl::kernels {
HWY_EXPORT(Gae);

void GaeCpu(const GaeArgs& args) { HWY_DYNAMIC_DISPATCH(Gae)(args); }

void GaeReference(const GaeArgs& args) {
  const float gamma_lambda = args.gamma * args.lambda;
  for (int i = 0; i < args.batch; ++i) {
    float advantage = 0;
    for (int t = args.time - 1; t >= 0; --t) {
      const size_t at = size_t(t) * args.batch + i;
      float next = t == args.time - 1 ? args.last_value[i] : args.value[at + args.batch];
      if (args.truncated[at]) next = args.final_value[at];
      if (args.terminated[at]) next = 0;
      const float delta = args.reward[at] + args.gamma * next - args.value[at];
      const bool done = args.terminated[at] || args.truncated[at];
      advantage = done ? delta : delta + gamma_lambda * advantage;
      args.advantage[at] = advantage;
      args.returns[at] = advantage + args.value[at];
    }
  }
}

}  // namespace pawl::kernels
#endif
