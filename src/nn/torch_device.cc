#include "nn/torch_device.h"

#include <torch/torch.h>

#include "core/error.h"

namespace pawl::nn {

torch::Device CheckedDevice(const std::string& device) {
  if (device == "cuda" && !torch::cuda::is_available()) {
    throw UserError({.what = "device is \"cuda\", but no CUDA device is usable here",
                     .where = "device",
                     .expected = "a CUDA device, or device = \"cpu\""});
  }
  return torch::Device(device);
}

}  // namespace pawl::nn
