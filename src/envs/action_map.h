// From the policy's action to the environment's: continuous samples are clipped to the bounds
// (SB3's convention: no rescaling); squashed ones are tanh'ed and rescaled to the bounds; a
// categorical one is an index. Immutable.
#pragma once
#include <cmath>

#include "core/error.h"
#include "envs/env.h"

namespace pawl::envs {

// Throws UserError unless a continuous action has its bounds.
inline void CheckBounds(const ActionSpec& spec) {
  const auto size = static_cast<size_t>(spec.size);
  if (spec.discrete() || (spec.low.size() == size && spec.high.size() == size)) return;
  throw UserError(
      {.what = fmt::format("the environment's actions have {} numbers, {} low and {} high bounds",
                           size, spec.low.size(), spec.high.size()),
       .where = "EnvSpec::action",
       .expected = "bounds for every number, infinite where there are none"});
}

class ActionMap {
 public:
  // Throws UserError for missing bounds, and for squashing to infinite ones.
  ActionMap(const ActionSpec& spec, bool squashed) : spec_(spec), squashed_(squashed) {
    CheckBounds(spec);
    if (!squashed || spec.discrete()) return;
    for (int i = 0; i < spec.size; ++i) {
      if (std::isfinite(spec.low[i]) && std::isfinite(spec.high[i])) continue;
      throw UserError({.what = fmt::format("action {} has no finite bounds to squash to", i),
                       .where = "policy.squash",
                       .expected = "false for this environment"});
    }
  }
  // action: spec.size numbers as the policy sampled them (u before tanh when squashed); out:
  // [spec.size].
  void ToEnv(const float* action, double* out) const {
    for (int i = 0; i < spec_.size; ++i) {
      double a = action[i];
      if (!spec_.discrete()) {
        const double low = spec_.low[i], high = spec_.high[i];
        a = squashed_  ? low + 0.5 * (std::tanh(a) + 1.0) * (high - low)
            : a < low  ? low
            : a > high ? high
                       : a;
      }
      out[i] = a;
    }
  }

 private:
  ActionSpec spec_;
  bool squashed_;
};

}  // namespace pawl::envs
