// Errors inside libpawl_cuda.so: every CUDA runtime call goes through PAWL_CUDA_CHECK, every launch
// is followed by PAWL_CUDA_CHECK(cudaGetLastError()). Thrown errors end at the C functions of
// cuda_api.cu, which turn them into a return code.
#pragma once
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#define PAWL_CUDA_CHECK(call)                                                                     \
  do {                                                                                            \
    const cudaError_t pawl_status_ = (call);                                                      \
    if (pawl_status_ != cudaSuccess)                                                              \
      throw std::runtime_error(std::string(#call) + ": " + cudaGetErrorString(pawl_status_) +     \
                               " (" + cudaGetErrorName(pawl_status_) + ") at " + __FILE__ + ":" + \
                               std::to_string(__LINE__));                                         \
  } while (false)
