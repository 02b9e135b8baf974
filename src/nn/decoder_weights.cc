#include "nn/decoder_weights.h"

#include <algorithm>
#include <cmath>

#include "core/float_types.h"
#include "core/rng.h"

namespace pawl::nn {
namespace {
// Floats one thread rounds at a time.
constexpr size_t kRoundBlock = size_t{1} << 16;
}  // namespace

DecoderWeights::DecoderWeights(std::shared_ptr<const DecoderLayout> layout, ComputeType compute)
    : layout_(std::move(layout)), compute_(compute), master_(layout_->size()) {
  if (compute_ == ComputeType::kF32) return;
  rounded_ = core::Buffer<uint16_t>(layout_->size());
  size_t size = 0;
  for (const ModelParameter& parameter : layout_->parameters()) {
    if (parameter.is_matrix()) continue;
    vector_offsets_[parameter.offset] = size;
    size += parameter.count;
  }
  vectors_ = core::Buffer<float>(size);
}

void DecoderWeights::Refresh(kernels::Team& team, bool vectors_only) {
  if (compute_ == ComputeType::kF32) return;
  if (!vectors_only) {
    const size_t size = master_.size();
    team.Run(static_cast<int64_t>((size + kRoundBlock - 1) / kRoundBlock), [&](int64_t block) {
      const size_t begin = static_cast<size_t>(block) * kRoundBlock;
      const size_t end = std::min(begin + kRoundBlock, size);
      for (size_t i = begin; i < end; ++i)
        rounded_.data()[i] = core::ToBfloat16(master_.data()[i]).bits;
    });
  }
  for (const ModelParameter& parameter : layout_->parameters()) {
    if (parameter.is_matrix()) continue;
    float* to = vectors_.data() + vector_offsets_.at(parameter.offset);
    for (size_t i = 0; i < parameter.count; ++i) {
      to[i] = core::ToFloat(core::ToBfloat16(master_.data()[parameter.offset + i]));
    }
  }
}

kernels::MatrixRef DecoderWeights::Matrix(size_t offset, int64_t in) const {
  if (compute_ == ComputeType::kF32) return {.f32 = master_.data() + offset, .stride = in};
  return {.bf16 = rounded_.data() + offset, .stride = in};
}

const float* DecoderWeights::Vector(size_t offset) const {
  if (offset == Projection::kNone) return nullptr;
  if (compute_ == ComputeType::kF32) return master_.data() + offset;
  return vectors_.data() + vector_offsets_.at(offset);
}

float EmbeddingScale(const DecoderWeights& weights) {
  const auto scale = static_cast<float>(weights.config().embedding_scale);
  return weights.compute() == ComputeType::kBf16 ? core::ToFloat(core::ToBfloat16(scale)) : scale;
}

void InitializeWeights(const DecoderLayout& layout, double std, uint64_t seed,
                       std::span<float> weights) {
  const double residual = std / std::sqrt(2.0 * static_cast<double>(layout.config().layers));
  std::fill(weights.begin(), weights.end(), 0.0f);
  uint64_t index = 0;
  for (const ModelParameter& parameter : layout.parameters()) {
    float* to = weights.data() + parameter.offset;
    const std::string& name = parameter.name;
    if (parameter.is_matrix()) {
      const bool writes_residual = name.ends_with("o_proj.weight") ||
                                   name.ends_with("down_proj.weight") ||
                                   name.ends_with("c_proj.weight");
      core::Philox rng(seed, core::Role::kInit, index, 0);
      const double scale = writes_residual ? residual : std;
      for (size_t i = 0; i < parameter.count; ++i) to[i] = static_cast<float>(scale * rng.Normal());
    } else if (name.ends_with(".weight") && !layout.config().norm_plus_one) {
      std::fill(to, to + parameter.count, 1.0f);  // a norm's
    }
    ++index;
  }
}

}  // namespace pawl::nn
