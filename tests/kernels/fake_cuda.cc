// A stand-in for libpawl_cuda.so on a machine without a GPU: no devices, every other call fails.
#include "kernels/cuda_api.h"

static const char* LastError() { return "no device here"; }
static int DeviceCount(int* count) {
  *count = 0;
  return 0;
}
static int Allocate(void**, size_t) { return 1; }
static const PawlCudaApi kApi = {.version = FAKE_CUDA_VERSION * PAWL_CUDA_API_VERSION,
                                 .last_error = LastError,
                                 .device_count = DeviceCount,
                                 .allocate = Allocate};

extern "C" const PawlCudaApi* GetPawlCudaApi() { return &kApi; }
