// libpawl_cuda.so at run time: all CUDA code, loaded only when a CUDA device is asked for, so that
// one binary serves machines with and without a GPU. Load it right after reading the config and
// before anything of ATen runs: ATen asks once whether CUDA exists and remembers the answer. Once
// loaded it stays (LibTorch's CUDA backend registers itself for good). Thread-safe after loading.
#pragma once
#include <cstddef>
#include <string>

#include "kernels/cuda_api.h"

namespace pawl::kernels {

class CudaLibrary {
 public:
  // libpawl_cuda.so beside the executable.
  static std::string DefaultPath();
  // Opens the library and checks its version; throws one line that says what to do: library not
  // there, not loadable (a missing CUDA library), or of another build.
  static CudaLibrary Load(const std::string& path = DefaultPath());

  int DeviceCount() const;
  std::string DeviceName(int device) const;
  // Throws "device 'cuda' asked for but no CUDA device is visible ..." when there is none.
  void RequireDevice() const;

  // Device memory, for tests and small transfers. Copies are asynchronous in their stream where
  // the host memory is page-locked.
  void* Allocate(size_t bytes) const;
  void Release(void* memory) const;
  void CopyToDevice(void* device, const void* host, size_t bytes, void* stream = nullptr) const;
  void CopyToHost(void* host, const void* device, size_t bytes, void* stream = nullptr) const;
  void Synchronize(void* stream = nullptr) const;

  // GaeCpu on device memory: the same bits.
  void Gae(const GaeArgs& args, void* stream = nullptr) const;
  // LogitRowsForward and LogitRowsBackward on device memory.
  void LogitRowsForward(const LogitRowsArgs& args, void* stream = nullptr) const;
  void LogitRowsBackward(const LogitRowsArgs& args, void* stream = nullptr) const;

 private:
  explicit CudaLibrary(const PawlCudaApi* api) : api_(api) {}
  void Check(int status, const char* what) const;
  const PawlCudaApi* api_;
};

}  // namespace pawl::kernels
