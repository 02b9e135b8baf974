#include <cstdio>
#include <exception>

#include "kernels/cuda_api.h"
#include "kernels/cuda_check.cuh"
#include "kernels/cuda_launch.h"

namespace pawl::kernels {
namespace {
thread_local std::string last_error;

// Calls f; an exception becomes return code 1.
template <class F>
int Guard(F&& f) {
  try {
    f();
    return 0;
  } catch (const std::exception& error) {
    last_error = error.what();
    return 1;
  }
}

const char* LastError() { return last_error.c_str(); }

int DeviceCount(int* count) {
  return Guard([&] {
    *count = 0;
    const cudaError_t status = cudaGetDeviceCount(count);
    if (status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver) {
      *count = 0;
      cudaGetLastError();  // it would stick to the next call
      return;
    }
    PAWL_CUDA_CHECK(status);
  });
}

int DeviceName(int device, char* name, size_t name_size) {
  return Guard([&] {
    cudaDeviceProp properties;
    PAWL_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
    std::snprintf(name, name_size, "%s", properties.name);
  });
}

int Allocate(void** memory, size_t bytes) {
  return Guard([&] { PAWL_CUDA_CHECK(cudaMalloc(memory, bytes)); });
}

int Release(void* memory) {
  return Guard([&] { PAWL_CUDA_CHECK(cudaFree(memory)); });
}

int CopyToDevice(void* device, const void* host, size_t bytes, void* stream) {
  return Guard([&] {
    PAWL_CUDA_CHECK(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice,
                                    static_cast<cudaStream_t>(stream)));
  });
}

int CopyToHost(void* host, const void* device, size_t bytes, void* stream) {
  return Guard([&] {
    PAWL_CUDA_CHECK(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost,
                                    static_cast<cudaStream_t>(stream)));
  });
}

int Synchronize(void* stream) {
  return Guard([&] { PAWL_CUDA_CHECK(cudaStreamSynchronize(static_cast<cudaStream_t>(stream))); });
}

int Gae(const GaeArgs* args, void* stream) {
  return Guard([&] { GaeCuda(*args, stream); });
}

int LogitRowsForwardOf(const LogitRowsArgs* args, void* stream) {
  return Guard([&] { LogitRowsForwardCuda(*args, stream); });
}

int LogitRowsBackwardOf(const LogitRowsArgs* args, void* stream) {
  return Guard([&] { LogitRowsBackwardCuda(*args, stream); });
}

constexpr PawlCudaApi kApi = {.version = PAWL_CUDA_API_VERSION,
                              .last_error = LastError,
                              .device_count = DeviceCount,
                              .device_name = DeviceName,
                              .allocate = Allocate,
                              .release = Release,
                              .copy_to_device = CopyToDevice,
                              .copy_to_host = CopyToHost,
                              .synchronize = Synchronize,
                              .gae = Gae,
                              .logit_rows_forward = LogitRowsForwardOf,
                              .logit_rows_backward = LogitRowsBackwardOf};
}  // namespace
}  // namespace pawl::kernels

extern "C" const PawlCudaApi* GetPawlCudaApi() { return &pawl::kernels::kApi; }
