#include "nn/policy_runner.h"

namespace pawl::nn {

PolicyRunner::PolicyRunner(const kernels::MlpShape& shape, int max_rows)
    : layout_(shape), forward_(layout_, max_rows) {}

void PolicyRunner::Forward(std::span<const float> weights, const float* obs, int rows, float* head,
                           float* value) {
  PAWL_DCHECK(weights.size() == layout_.size());
  forward_.Run(weights.data(), obs, rows, head, value);
}

const float* PolicyRunner::LogStd(std::span<const float> weights) const {
  if (layout_.shape().head == kernels::PolicyHead::kCategorical) return nullptr;
  return weights.data() + layout_.Find("log_std").offset;
}

size_t FlatWeightsSize(const kernels::MlpShape& shape) { return kernels::MlpLayout(shape).size(); }

void FlatToNamed(const kernels::MlpShape& shape, std::span<const float> flat, core::ArrayMap& out) {
  const kernels::MlpLayout layout(shape);
  PAWL_CHECK_EQ(flat.size(), layout.size());
  for (const auto& p : layout.parameters()) {
    std::vector<float> dense(size_t(p.out) * std::max(p.in, 1));
    layout.Unpack(p, flat.data(), dense.data());
    out.Put<float>(p.name, dense,
                   p.in == 0 ? std::vector<int64_t>{p.out} : std::vector<int64_t>{p.out, p.in});
  }
}

void NamedToFlat(const kernels::MlpShape& shape, const core::ArrayMap& in, std::span<float> flat) {
  const kernels::MlpLayout layout(shape);
  PAWL_CHECK_EQ(flat.size(), layout.size());
  for (const auto& p : layout.parameters()) {
    const auto dense = in.Get<float>(p.name);
    PAWL_CHECK_EQ(dense.size(), size_t(p.out) * std::max(p.in, 1), "array '{}'", p.name);
    layout.Pack(p, dense.data(), flat.data());
  }
}

void FillActionNoise(kernels::PolicyHead head, core::Philox& rng, std::span<float> noise) {
  if (head == kernels::PolicyHead::kCategorical) {
    // 24 bits and a half: never 0 or 1
    for (float& x : noise) x = (static_cast<float>(rng.NextU32() >> 9) + 0.5f) * 0x1p-23f;
  } else {
    for (float& x : noise) x = static_cast<float>(rng.Normal());
  }
}

}  // namespace pawl::nn
