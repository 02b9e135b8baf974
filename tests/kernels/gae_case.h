// A random rollout for the tests of the advantage scan.
#pragma once
#include <vector>

#include "core/rng.h"
#include "kernels/advantage.h"

namespace pawl::kernels {

struct GaeCase {
  GaeCase(int time, int batch, uint64_t seed) : time(time), batch(batch) {
    core::Philox rng(seed, core::Role::kTest, 0, 0);
    const size_t count = size_t(time) * batch;
    for (auto* x : {&reward, &value, &final_value}) {
      for (size_t i = 0; i < count; ++i) x->push_back(static_cast<float>(rng.Normal()));
    }
    for (int i = 0; i < batch; ++i) last_value.push_back(static_cast<float>(rng.Normal()));
    for (size_t i = 0; i < count; ++i) {
      terminated.push_back(rng.Below(5) == 0);
      truncated.push_back(rng.Below(5) == 0);
    }
    advantage.resize(count);
    returns.resize(count);
  }
  GaeArgs Args() {
    return {.time = time,
            .batch = batch,
            .reward = reward.data(),
            .value = value.data(),
            .final_value = final_value.data(),
            .last_value = last_value.data(),
            .terminated = terminated.data(),
            .truncated = truncated.data(),
            .advantage = advantage.data(),
            .returns = returns.data()};
  }
  int time, batch;
  std::vector<float> reward, value, final_value, last_value;
  std::vector<uint8_t> terminated, truncated;
  std::vector<float> advantage, returns;
};

}  // namespace pawl::kernels
