#include <cuda_bf16.h>

#include <cfloat>

#include "kernels/cuda_check.cuh"
#include "kernels/cuda_launch.h"

namespace pawl::kernels {
namespace {
constexpr int kGroup = 8;  // neighbouring columns of a thread: 16 or 32 bytes
constexpr int kForwardThreads = 512, kBackwardThreads = 256;
constexpr int kBackwardGroups = 4;  // groups of a thread in the backward pass
constexpr int kWarp = 32;

__device__ float Widen(float x) { return x; }
__device__ float Widen(uint16_t x) { return __uint_as_float(uint32_t(x) << 16); }
__device__ void Narrow(float x, float* to) { *to = x; }
__device__ void Narrow(float x, uint16_t* to) {
  *to = __bfloat16_as_ushort(__float2bfloat16_rn(x));
}

// Up to kGroup columns; `whole`: all of them, at an address for 16-byte accesses.
template <class T>
__device__ void LoadGroup(const T* from, int count, bool whole, float* out) {
  if (whole) {
    alignas(16) T raw[kGroup];
#pragma unroll
    for (int i = 0; i < int(sizeof(raw) / sizeof(uint4)); ++i) {
      reinterpret_cast<uint4*>(raw)[i] = reinterpret_cast<const uint4*>(from)[i];
    }
#pragma unroll
    for (int i = 0; i < kGroup; ++i) out[i] = Widen(raw[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < kGroup; ++i) out[i] = i < count ? Widen(from[i]) : -INFINITY;
}
template <class T>
__device__ void StoreGroup(const float* v, int count, bool whole, T* to) {
  if (whole) {
    alignas(16) T raw[kGroup];
#pragma unroll
    for (int i = 0; i < kGroup; ++i) Narrow(v[i], &raw[i]);
#pragma unroll
    for (int i = 0; i < int(sizeof(raw) / sizeof(uint4)); ++i) {
      reinterpret_cast<uint4*>(to)[i] = reinterpret_cast<const uint4*>(raw)[i];
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    if (i < count) Narrow(v[i], to + i);
  }
}

// From a logit to z (logit_rows.h).
__device__ float Scale(const LogitRowsArgs& args, float x) {
  if (args.soft_cap > 0) x = args.soft_cap * tanhf(x / args.soft_cap);
  return x * args.inverse_temperature;
}

// Sums relative to the largest z so far (Milakov and Gimelshein 2018): of e = exp(z - largest) and
// of (z - largest) e.
struct Sums {
  float largest = -FLT_MAX, e = 0, weighted = 0;
};

// The same sums relative to a larger number.
__device__ Sums Relative(const Sums& sums, float largest) {
  if (sums.e == 0) return {largest, 0, 0};
  const float shift = sums.largest - largest, scale = expf(shift);
  return {largest, sums.e * scale, fmaf(shift, sums.e, sums.weighted) * scale};
}
__device__ Sums Merge(const Sums& a, const Sums& b) {
  const float largest = fmaxf(a.largest, b.largest);
  const Sums x = Relative(a, largest), y = Relative(b, largest);
  return {largest, x.e + y.e, x.weighted + y.weighted};
}
__device__ void AddGroup(const float* z, Sums* sums) {
  float largest = sums->largest;
#pragma unroll
  for (int i = 0; i < kGroup; ++i) largest = fmaxf(largest, z[i]);
  if (largest > sums->largest) *sums = Relative(*sums, largest);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    const float shifted = z[i] - largest, e = expf(shifted);
    sums->e += e;
    if (e != 0) sums->weighted = fmaf(shifted, e, sums->weighted);  // not 0 times infinity
  }
}
__device__ Sums MergeWarp(Sums sums) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Sums other{__shfl_xor_sync(~0u, sums.largest, offset),
                     __shfl_xor_sync(~0u, sums.e, offset),
                     __shfl_xor_sync(~0u, sums.weighted, offset)};
    sums = Merge(sums, other);
  }
  return sums;
}

// One block a row, which it reads once. Threads and merging order are fixed, so a row's bits do not
// depend on the others.
template <class T>
__global__ void ForwardKernel(LogitRowsArgs args, const T* logits, bool aligned) {
  const int64_t row = blockIdx.x;
  const T* const from = logits + row * args.stride;
  Sums sums;
  for (int64_t at = int64_t(threadIdx.x) * kGroup; at < args.vocab;
       at += kForwardThreads * kGroup) {
    const int count = static_cast<int>(min(int64_t(kGroup), args.vocab - at));
    float z[kGroup];
    LoadGroup(from + at, count, aligned && count == kGroup, z);
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      // columns beyond the row stay at -infinity, whatever cap and temperature
      if (i < count) z[i] = Scale(args, z[i]);
    }
    AddGroup(z, &sums);
  }
  __shared__ Sums warps[kForwardThreads / kWarp];
  sums = MergeWarp(sums);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = sums;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < kForwardThreads / kWarp; ++i) sums = Merge(sums, warps[i]);
  const double log_sum = log(double(sums.e));
  const float target = Scale(args, Widen(from[args.targets[row]]));
  args.log_prob[row] = static_cast<float>(double(target) - sums.largest - log_sum);
  if (args.best_log_prob) args.best_log_prob[row] = static_cast<float>(0 - log_sum);
  if (args.entropy) {
    args.entropy[row] = static_cast<float>(log_sum - double(sums.weighted) / double(sums.e));
  }
  if (args.state) {
    double* const state = args.state + row * kLogitState;
    state[0] = sums.largest;
    state[1] = sums.e;
    state[2] = log_sum;
    state[3] = target;
  }
}

// A block: one row, kBackwardThreads * kBackwardGroups groups of columns.
template <class T>
__global__ void BackwardKernel(LogitRowsArgs args, T* logits, bool aligned) {
  const int64_t row = blockIdx.x;
  T* const to = logits + row * args.stride;
  const float dlog_prob = args.dlog_prob[row], dentropy = args.entropy ? args.dentropy[row] : 0;
  const bool zero = dlog_prob == 0 && dentropy == 0;
  const double* const state = args.state + row * kLogitState;
  const float largest = static_cast<float>(state[0]);
  const float gain = args.inverse_temperature;
  const float plain = static_cast<float>(-double(dlog_prob) * gain / state[1]);
  const float along = static_cast<float>(-double(dentropy) * gain / state[1]);
  const float offset = args.entropy ? static_cast<float>(args.entropy[row] - state[2]) : 0;
  const float inverse_bound = args.soft_cap > 0 ? 1 / (gain * args.soft_cap) : 0;
  const int64_t target = args.targets[row];
  for (int group = 0; group < kBackwardGroups; ++group) {
    const int64_t block = int64_t(blockIdx.y) * kBackwardGroups + group;
    const int64_t at = (block * kBackwardThreads + threadIdx.x) * kGroup;
    if (at >= args.vocab) return;
    const int count = static_cast<int>(min(int64_t(kGroup), args.vocab - at));
    const bool whole = aligned && count == kGroup;
    float v[kGroup] = {};
    if (!zero) LoadGroup(to + at, count, whole, v);
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      if (zero) continue;
      const float z = Scale(args, v[i]), log_e = z - largest, e = expf(log_e);
      const float t = z * inverse_bound, slope = fmaf(-t, t, 1.0f);
      // where e is 0 so is the gradient, and log e may be infinite; without an entropy term so may
      // its factor be 0
      const bool weighted = e != 0 && along != 0;
      const float factor = weighted ? fmaf(along, log_e + offset, plain) : plain;
      v[i] = e * factor * slope;
      if (at + i == target) v[i] += dlog_prob * gain * slope;
    }
    StoreGroup(v, count, whole, to + at);
  }
}

// Whether groups may be moved 16 bytes at a time.
bool Aligned(const void* data, int64_t stride_bytes) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride_bytes % 16 == 0;
}

template <class T>
void Forward(const LogitRowsArgs& args, const T* logits, cudaStream_t stream) {
  ForwardKernel<<<static_cast<unsigned>(args.rows), kForwardThreads, 0, stream>>>(
      args, logits, Aligned(logits, args.stride * int64_t(sizeof(T))));
  PAWL_CUDA_CHECK(cudaGetLastError());
}
template <class T>
void Backward(const LogitRowsArgs& args, T* logits, cudaStream_t stream) {
  constexpr int64_t kColumns = kGroup * kBackwardThreads * kBackwardGroups;
  const dim3 grid(static_cast<unsigned>(args.rows),
                  static_cast<unsigned>((args.vocab + kColumns - 1) / kColumns));
  BackwardKernel<<<grid, kBackwardThreads, 0, stream>>>(
      args, logits, Aligned(logits, args.stride * int64_t(sizeof(T))));
  PAWL_CUDA_CHECK(cudaGetLastError());
}
}  // namespace

void LogitRowsForwardCuda(const LogitRowsArgs& args, void* stream) {
  if (args.rows == 0) return;
  const auto on = static_cast<cudaStream_t>(stream);
  if (args.bf16) return Forward(args, args.bf16, on);
  Forward(args, args.f32, on);
}

void LogitRowsBackwardCuda(const LogitRowsArgs& args, void* stream) {
  if (args.rows == 0) return;
  const auto on = static_cast<cudaStream_t>(stream);
  if (args.bf16) return Backward(args, args.bf16, on);
  Backward(args, args.f32, on);
}

}  // namespace pawl::kernels
