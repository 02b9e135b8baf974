#include "kernels/advantage.h"

#include <cstddef>

namespace pawl::kernels {
namespace {
// One column step; the same expression, in the same order and without FMA, on the CPU and on CUDA.
inline float GaeStep(float reward, float value, float next_value, bool done, float gamma, float gamma_lambda,
                     float next_advantage) {
  const float delta = reward + gamma * next_value - value;
  return done ? delta : delta + gamma_lambda * next_advantage;
}
}  // namespace

void GaeCpu(const GaeArgs& args) {
  const int b = args.batch;
  const float gamma_lambda = args.gamma * args.lambda;
  for (int t = args.time - 1; t >= 0; --t) {
    const std::size_t row = std::size_t(t) * b;
    const bool last = t == args.time - 1;
    const float* next_value = last ? args.last_value : args.value + row + b;
    const float* next_advantage = args.advantage + row + b;
    for (int i = 0; i < b; ++i) {
      const bool terminated = args.terminated[row + i], truncated = args.truncated[row + i];
      const float next = terminated ? 0.0f : truncated ? args.final_value[row + i] : next_value[i];
      const float advantage = GaeStep(args.reward[row + i], args.value[row + i], next, terminated || truncated,
                                      args.gamma, gamma_lambda, last ? 0.0f : next_advantage[i]);
      args.advantage[row + i] = advantage;
      args.returns[row + i] = advantage + args.value[row + i];
    }
  }
}

void GaeReference(const GaeArgs& args) {
  const float gamma_lambda = args.gamma * args.lambda;
  for (int i = 0; i < args.batch; ++i) {
    float advantage = 0;
    for (int t = args.time - 1; t >= 0; --t) {
      const std::size_t at = std::size_t(t) * args.batch + i;
      float next = t == args.time - 1 ? args.last_value[i] : args.value[at + args.batch];
      if (args.truncated[at]) next = args.final_value[at];
      if (args.terminated[at]) next = 0;
      const float delta = args.reward[at] + args.gamma * next - args.value[at];
      advantage = args.terminated[at] || args.truncated[at] ? delta : delta + gamma_lambda * advantage;
      args.advantage[at] = advantage;
      args.returns[at] = advantage + args.value[at];
    }
  }
}

}  // namespace pawl::kernels
