// The C table of functions that libpawl_cuda.so offers. It is all that crosses between the binary
// and that library: no C++ objects, no exceptions. CudaLibrary (cuda_library.h) loads and wraps it.
// Pointers inside the arguments are device memory; `stream` is a cudaStream_t, nullptr the default
// stream. Functions that may fail return 0, or 1 and leave a line for LastError of that thread.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/advantage.h"
#include "kernels/logit_rows.h"

// Changes with any change below or in a struct passed through it.
#define PAWL_CUDA_API_VERSION 3

extern "C" {
struct PawlCudaApi {
  uint32_t version;  // PAWL_CUDA_API_VERSION of the library; stays first
  const char* (*last_error)();

  int (*device_count)(int* count);  // 0 devices (no driver, none visible) is no failure
  int (*device_name)(int device, char* name, size_t name_size);

  int (*allocate)(void** memory, size_t bytes);
  int (*release)(void* memory);
  int (*copy_to_device)(void* device, const void* host, size_t bytes, void* stream);
  int (*copy_to_host)(void* host, const void* device, size_t bytes, void* stream);
  int (*synchronize)(void* stream);

  int (*gae)(const pawl::kernels::GaeArgs* args, void* stream);  // the twin of GaeCpu
  // twins of LogitRowsForward and LogitRowsBackward
  int (*logit_rows_forward)(const pawl::kernels::LogitRowsArgs* args, void* stream);
  int (*logit_rows_backward)(const pawl::kernels::LogitRowsArgs* args, void* stream);
};
// The one exported symbol: `const PawlCudaApi* GetPawlCudaApi()`.
typedef const PawlCudaApi* (*PawlCudaApiFunction)();
}
