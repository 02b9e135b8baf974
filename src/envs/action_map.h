// From the policy's action to the environment's: continuous samples are clipped to the bounds
// (SB3's convention: no rescaling); squashed ones are tanh'ed and rescaled to the bounds; a
// categorical one is an index. Immutable.
#pragma once
#include <cmath>

#include "envs/env.h"

namespace pawl::envs {

class ActionMap {
 public:
  ActionMap(const ActionSpec& spec, bool squashed) : spec_(spec), squashed_(squashed) {}
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
