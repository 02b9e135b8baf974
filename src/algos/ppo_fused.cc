#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "algos/ppo_backend.h"
#include "kernels/cpu_target.h"

namespace pawl::algos {
namespace {

class FusedBackend : public PpoBackend {
 public:
  FusedBackend(const kernels::MlpShape& shape, int max_rows, int threads)
      : layout_(shape), update_(layout_, max_rows, threads), threads_(threads) {}

  void Begin(const kernels::PpoBatchView& batch, int64_t rows, PpoParameters parameters) override {
    batch_ = batch;
    parameters_ = parameters;
  }
  kernels::PpoStats Step(std::span<const int32_t> index, const kernels::PpoLossSettings& loss,
                         const kernels::AdamSettings& adam, int64_t adam_step) override {
    return update_.Step(batch_, index.data(), static_cast<int>(index.size()), loss, adam, adam_step,
                        parameters_.weights.data(), parameters_.adam_m.data(),
                        parameters_.adam_v.data());
  }
  std::string NonFiniteGradient(std::span<const int32_t> index,
                                const kernels::PpoLossSettings& loss) override {
    kernels::AlignedBuffer grad(layout_.size());
    update_.Gradient(batch_, index.data(), static_cast<int>(index.size()), loss,
                     parameters_.weights.data(), grad.data());
    std::vector<float> dense;
    for (const auto& p : layout_.parameters()) {
      dense.resize(size_t(p.out) * std::max(p.in, 1));
      layout_.Unpack(p, grad.data(), dense.data());
      for (float g : dense) {
        if (!std::isfinite(g)) return p.name;
      }
    }
    return "";
  }
  void End() override {}
  std::string Description() const override {
    return fmt::format("fused CPU kernel ({}, {} thread{})", kernels::CpuTarget(), threads_,
                       threads_ == 1 ? "" : "s");
  }
  bool exact_log_prob() const override { return true; }

 private:
  const kernels::MlpLayout layout_;
  kernels::PpoUpdate update_;
  int threads_;
  kernels::PpoBatchView batch_;
  PpoParameters parameters_;
};

}  // namespace

std::unique_ptr<PpoBackend> MakeFusedBackend(const kernels::MlpShape& shape, int max_rows,
                                             int threads) {
  return std::make_unique<FusedBackend>(shape, max_rows, threads);
}

}  // namespace pawl::algos
