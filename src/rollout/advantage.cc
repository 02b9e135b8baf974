#include "rollout/advantage.h"

#include <torch/torch.h>

#include "core/error.h"
#include "kernels/advantage.h"

namespace pawl::rollout {
namespace {

torch::Tensor Checked(const torch::Tensor& tensor, torch::IntArrayRef shape, const char* name, torch::Dtype dtype) {
  PAWL_CHECK(tensor.sizes() == shape, "{} has {} dimensions or another size", name, tensor.dim());
  return tensor.detach().to(torch::kCPU, dtype).contiguous();
}

}  // namespace

Advantages Gae(const GaeInput& in) {
  PAWL_CHECK_EQ(in.reward.dim(), 2, "reward must be [T, B]");
  const auto shape = in.reward.sizes();
  const auto reward = Checked(in.reward, shape, "reward", torch::kFloat);
  const auto value = Checked(in.value, shape, "value", torch::kFloat);
  const auto final_value = Checked(in.final_value, shape, "final_value", torch::kFloat);
  const auto last_value = Checked(in.last_value, {shape[1]}, "last_value", torch::kFloat);
  const auto terminated = Checked(in.terminated, shape, "terminated", torch::kByte);
  const auto truncated = Checked(in.truncated, shape, "truncated", torch::kByte);
  Advantages out{torch::empty_like(reward), torch::empty_like(reward)};
  kernels::GaeCpu({.time = static_cast<int>(shape[0]),
                   .batch = static_cast<int>(shape[1]),
                   .reward = reward.data_ptr<float>(),
                   .value = value.data_ptr<float>(),
                   .final_value = final_value.data_ptr<float>(),
                   .last_value = last_value.data_ptr<float>(),
                   .terminated = terminated.data_ptr<uint8_t>(),
                   .truncated = truncated.data_ptr<uint8_t>(),
                   .gamma = static_cast<float>(in.gamma),
                   .lambda = static_cast<float>(in.lambda),
                   .advantage = out.advantage.data_ptr<float>(),
                   .returns = out.returns.data_ptr<float>()});
  return {out.advantage.to(in.reward.device()), out.returns.to(in.reward.device())};
}

}  // namespace pawl::rollout
