#include <gtest/gtest.h>

#include "cuda_testing.h"
#include "gae_case.h"

namespace pawl::kernels {
namespace {

class GaeGpu : public OnCuda {};

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
