#include "rollout/advantage.h"

#include "kernels/advantage.h"
#include "kernels/cuda_library.h"
#include "nn/shape.h"

namespace pawl::rollout {

Advantages Gae(const GaeInput& in) {
  PAWL_CHECK_EQ(in.reward.dim(), 2, "reward must be [T, B]");
  const int64_t T = in.reward.size(0), B = in.reward.size(1);
  PAWL_CHECK_SHAPE(in.value, {T, B});
  PAWL_CHECK_SHAPE(in.final_value, {T, B});
  PAWL_CHECK_SHAPE(in.last_value, {B});
  PAWL_CHECK_SHAPE(in.terminated, {T, B});
  PAWL_CHECK_SHAPE(in.truncated, {T, B});
  // what the kernel reads: dense, on one device
  const auto device = in.reward.device();
  auto dense = [&](const torch::Tensor& tensor, torch::Dtype dtype) {
    return tensor.detach().to(device, dtype).contiguous();
  };
  const auto reward = dense(in.reward, torch::kFloat), value = dense(in.value, torch::kFloat);
  const auto final_value = dense(in.final_value, torch::kFloat);
  const auto last_value = dense(in.last_value, torch::kFloat);
  const auto terminated = dense(in.terminated, torch::kByte);
  const auto truncated = dense(in.truncated, torch::kByte);
  Advantages out{torch::empty_like(reward), torch::empty_like(reward)};
  const kernels::GaeArgs args{.time = static_cast<int>(T),
                              .batch = static_cast<int>(B),
                              .reward = reward.data_ptr<float>(),
                              .value = value.data_ptr<float>(),
                              .final_value = final_value.data_ptr<float>(),
                              .last_value = last_value.data_ptr<float>(),
                              .terminated = terminated.data_ptr<uint8_t>(),
                              .truncated = truncated.data_ptr<uint8_t>(),
                              .gamma = static_cast<float>(in.gamma),
                              .lambda = static_cast<float>(in.lambda),
                              .advantage = out.advantage.data_ptr<float>(),
                              .returns = out.returns.data_ptr<float>()};
  if (device.is_cuda()) {
    kernels::CudaLibrary::Load().Gae(args);  // in the default stream, as LibTorch's own work
  } else {
    kernels::GaeCpu(args);
  }
  return out;
}

}  // namespace pawl::rollout
