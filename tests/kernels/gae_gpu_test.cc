#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "core/error.h"
#include "gae_case.h"
#include "kernels/cuda_library.h"

namespace pawl::kernels {
namespace {

class GaeGpu : public testing::Test {
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
  // A copy on the device, released with the test.
  template <class T>
  T* ToDevice(const std::vector<T>& host) {
    memory_.push_back(library_->Allocate(std::max<size_t>(host.size() * sizeof(T), 1)));
    library_->CopyToDevice(memory_.back(), host.data(), host.size() * sizeof(T));
    return static_cast<T*>(memory_.back());
  }
  void TearDown() override {
    for (void* memory : memory_) library_->Release(memory);
  }
  std::optional<CudaLibrary> library_;
  std::vector<void*> memory_;
};

TEST_F(GaeGpu, SameBitsAsTheCpuForEverySize) {
  for (int time : {0, 1, 7, 64}) {
    for (int batch : {0, 1, 3, 64, 65, 1000}) {
      GaeCase cpu(time, batch, 3), gpu(time, batch, 3);
      GaeCpu(cpu.Args());
      GaeArgs args = gpu.Args();
      args.reward = ToDevice(gpu.reward);
      args.value = ToDevice(gpu.value);
      args.final_value = ToDevice(gpu.final_value);
      args.last_value = ToDevice(gpu.last_value);
      args.terminated = ToDevice(gpu.terminated);
      args.truncated = ToDevice(gpu.truncated);
      args.advantage = ToDevice(gpu.advantage);
      args.returns = ToDevice(gpu.returns);
      library_->Gae(args);
      const size_t bytes = gpu.advantage.size() * sizeof(float);
      library_->CopyToHost(gpu.advantage.data(), args.advantage, bytes);
      library_->CopyToHost(gpu.returns.data(), args.returns, bytes);
      library_->Synchronize();
      ASSERT_EQ(cpu.advantage, gpu.advantage) << time << " x " << batch;
      ASSERT_EQ(cpu.returns, gpu.returns) << time << " x " << batch;
    }
  }
}

TEST_F(GaeGpu, ABadCallIsAnErrorWithCudasOwnWords) {
  EXPECT_THROW(library_->Allocate(size_t(1) << 60), Error);
}

}  // namespace
}  // namespace pawl::kernels
