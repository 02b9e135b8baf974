#include "kernels/cuda_check.cuh"
#include "kernels/cuda_launch.h"

namespace pawl::kernels {
namespace {

// One thread per column, walking back in time; neighbouring threads read neighbouring columns. The
// intrinsics round every product and sum apart, as GaeCpu does.
__global__ void GaeKernel(GaeArgs args, float gamma_lambda) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= args.batch) return;
  float next_value = args.last_value[column], next_advantage = 0.0f;
#pragma unroll 4
  for (int t = args.time - 1; t >= 0; --t) {
    const size_t at = size_t(t) * args.batch + column;
    const bool terminated = __ldg(args.terminated + at), truncated = __ldg(args.truncated + at);
    const float value = __ldg(args.value + at);
    const float final_value = truncated ? __ldg(args.final_value + at) : next_value;
    const float next = __fmul_rn(args.gamma, terminated ? 0.0f : final_value);
    const float delta = __fsub_rn(__fadd_rn(__ldg(args.reward + at), next), value);
    const float carried = __fadd_rn(delta, __fmul_rn(gamma_lambda, next_advantage));
    next_advantage = terminated || truncated ? delta : carried;
    next_value = value;
    args.advantage[at] = next_advantage;
    args.returns[at] = __fadd_rn(next_advantage, value);
  }
}
}  // namespace

void GaeCuda(const GaeArgs& args, void* stream) {
  if (args.time == 0 || args.batch == 0) return;
  // small blocks: a rollout has few columns, which should spread over many multiprocessors
  constexpr int kThreads = 64;
  const int blocks = (args.batch + kThreads - 1) / kThreads;
  GaeKernel<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args,
                                                                        args.gamma * args.lambda);
  PAWL_CUDA_CHECK(cudaGetLastError());
}

}  // namespace pawl::kernels
