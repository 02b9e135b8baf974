// Tests on a CUDA device: the library, and copies there and back that end with the test.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "core/error.h"
#include "kernels/cuda_library.h"

namespace pawl::kernels {

class OnCuda : public testing::Test {
 protected:
  void SetUp() override {
#ifdef PAWL_CUDA_LIBRARY
    // a machine without a GPU may lack the CUDA libraries; with one, loading must work
    try {
      library_ = CudaLibrary::Load(PAWL_CUDA_LIBRARY);
    } catch (const Error& error) {
      if (std::filesystem::exists("/dev/nvidiactl")) throw;
      GTEST_SKIP() << error.what();
    }
    if (library_->DeviceCount() == 0) GTEST_SKIP() << "no CUDA device is visible";
#else
    GTEST_SKIP() << "libpawl_cuda.so is not built";
#endif
  }
  void TearDown() override {
    for (void* memory : memory_) library_->Release(memory);
  }
  // A copy on the device, released with the test.
  template <class T>
  T* ToDevice(const std::vector<T>& host) {
    memory_.push_back(library_->Allocate(std::max<size_t>(host.size() * sizeof(T), 1)));
    library_->CopyToDevice(memory_.back(), host.data(), host.size() * sizeof(T));
    return static_cast<T*>(memory_.back());
  }

  std::optional<CudaLibrary> library_;
  std::vector<void*> memory_;
};

}  // namespace pawl::kernels
