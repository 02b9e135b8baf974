// Advantages as pure functions on tensors, by the scan of kernels/advantage.h.
#pragma once
#include <torch/types.h>

namespace pawl::rollout {

struct GaeInput {
  torch::Tensor reward;       // [T, B]
  torch::Tensor value;        // [T, B]
  torch::Tensor final_value;  // [T, B] V(final observation); read where truncated
  torch::Tensor last_value;   // [B]
  torch::Tensor terminated;   // [T, B] bool or uint8
  torch::Tensor truncated;    // [T, B] bool or uint8
  double gamma = 0.99, lambda = 0.95;
};
struct Advantages {
  torch::Tensor advantage;  // [T, B]
  torch::Tensor returns;    // [T, B] advantage + value
};

// Generalised advantage estimation (Schulman et al. 2016) by the scan of kernels/advantage.h:
// truncation bootstraps from the final observation's value, termination does not, both cut the
// recursion. On the device of `reward`: the CPU, or CUDA once libpawl_cuda.so is loaded (the same
// bits). Results are float32 and carry no gradient. Throws for shapes that do not fit.
Advantages Gae(const GaeInput& input);

}  // namespace pawl::rollout
