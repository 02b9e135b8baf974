// The device that a config names.
#pragma once
#include <torch/types.h>

#include <string>

namespace pawl::nn {

// "cpu" or "cuda"; throws UserError where no CUDA device is usable. CUDA needs
// kernels::CudaLibrary::Load before anything of ATen runs.
torch::Device CheckedDevice(const std::string& device);

}  // namespace pawl::nn
