// How PPO takes its minibatch steps: the fused CPU kernel, or LibTorch autograd (its reference; any
// network, CUDA). Flat weights and Adam moments belong to the learner; a backend may keep its own
// copy between Begin and End. The learner's thread only.
#pragma once
#include <memory>
#include <span>
#include <string>

#include "kernels/ppo_update.h"

namespace pawl::algos {

// Flat buffers of kernels::MlpLayout.
struct PpoParameters {
  std::span<float> weights, adam_m, adam_v;
};

class PpoBackend {
 public:
  virtual ~PpoBackend() = default;
  // batch: N rows, unchanged until End.
  virtual void Begin(const kernels::PpoBatchView& batch, int64_t rows,
                     PpoParameters parameters) = 0;
  // One minibatch; see kernels::PpoUpdate::Step for the meaning of the result.
  virtual kernels::PpoStats Step(std::span<const int32_t> index,
                                 const kernels::PpoLossSettings& loss,
                                 const kernels::AdamSettings& adam, int64_t adam_step) = 0;
  // After a Step that was not finite: the first parameter whose gradient is not, or "".
  virtual std::string NonFiniteGradient(std::span<const int32_t> index,
                                        const kernels::PpoLossSettings& loss) = 0;
  // Leaves the result in the buffers given to Begin.
  virtual void End() = 0;
  // "fused CPU kernel (AVX2, 2 threads)".
  virtual std::string Description() const = 0;
  // Whether log-probabilities are the actors' bits, so that the first minibatch's log-ratio is
  // exactly 0.
  virtual bool exact_log_prob() const = 0;
};

// max_rows: the largest minibatch. threads: 1 or 2.
std::unique_ptr<PpoBackend> MakeFusedBackend(const kernels::MlpShape& shape, int max_rows,
                                             int threads);
// device: "cpu" or "cuda". Throws UserError where there is no such device.
std::unique_ptr<PpoBackend> MakeTorchBackend(const kernels::MlpShape& shape,
                                             const std::string& device);

}  // namespace pawl::algos
