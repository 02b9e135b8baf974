// Helpers of the environment tests: seeded random actions, copies of saved states.
#pragma once
#include <algorithm>
#include <vector>

#include "core/bytes.h"
#include "core/rng.h"
#include "envs/env.h"

namespace pawl::envs {

// Uniform in the bounds (in [-1, 1] where there are none), or a random index; [A].
inline std::vector<double> RandomAction(const EnvSpec& spec, core::Philox& rng) {
  std::vector<double> action(spec.action.size);
  for (int i = 0; i < spec.action.size; ++i) {
    if (spec.action.discrete()) {
      action[i] = rng.Below(spec.action.num_choices);
    } else {
      action[i] =
          rng.Uniform(std::max(spec.action.low[i], -1e3), std::min(spec.action.high[i], 1e3));
    }
  }
  return action;
}

inline core::Philox TestStream(uint64_t index) {
  return core::Philox(7, core::Role::kTest, index, 0);
}

inline std::vector<std::byte> Saved(const Env& env) {
  core::ByteWriter out;
  env.SaveState(out);
  return out.Take();
}

}  // namespace pawl::envs
