// The weights of a decoder as the kernels read them: the float32 masters, and in bfloat16 mode
// their rounded copies. The learner owns one and refreshes it after every step; evaluation makes
// one from a folder. Read-only while a pass runs, so many may share it.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>

#include "core/buffer.h"
#include "kernels/gemm.h"
#include "nn/decoder_layout.h"

namespace pawl::nn {

// Of the weights and of every linear's input; sums, and all between the linears, are float32.
enum class ComputeType : uint8_t { kF32, kBf16 };

class DecoderWeights {
 public:
  DecoderWeights(std::shared_ptr<const DecoderLayout> layout, ComputeType compute);

  const DecoderLayout& layout() const { return *layout_; }
  std::shared_ptr<const DecoderLayout> shared_layout() const { return layout_; }
  const ModelConfig& config() const { return layout_->config(); }
  ComputeType compute() const { return compute_; }
  std::span<float> master() { return master_.span(); }
  std::span<const float> master() const { return master_.span(); }
  // The rounded copy in the masters' layout (an optimizer may write it itself); empty in float32
  // mode.
  std::span<uint16_t> rounded() { return rounded_.span(); }

  // To be called whenever the masters were written. vectors_only: the matrices' copies are already
  // written.
  void Refresh(kernels::Team& team, bool vectors_only = false);

  // Matrix [.., in] at an offset of the layout, row-major.
  kernels::MatrixRef Matrix(size_t offset, int64_t in) const;
  // Norm weight or bias in float32; nullptr for Projection::kNone.
  const float* Vector(size_t offset) const;
  // float32 rows as the operand of a linear: rounded in bfloat16 mode.
  kernels::MatrixRef Input(const float* x, int64_t stride) const {
    return {.f32 = x, .stride = stride, .round_to_bf16 = compute_ == ComputeType::kBf16};
  }

 private:
  std::shared_ptr<const DecoderLayout> layout_;
  ComputeType compute_;
  core::Buffer<float> master_;
  core::Buffer<uint16_t> rounded_;
  core::Buffer<float> vectors_;                        // rounded vectors, widened again
  std::unordered_map<size_t, size_t> vector_offsets_;  // layout offset -> place in vectors_
};

// Factor of the token embedding, in the weights' own precision, as transformers rounds it.
float EmbeddingScale(const DecoderWeights& weights);

// A fresh model: matrices normal with standard deviation `std`, those that write to the residual
// stream divided by sqrt(2 layers) (GPT-2, Radford et al. 2019); norms 1, biases 0. Streams are
// keyed by the parameter's index.
void InitializeWeights(const DecoderLayout& layout, double std, uint64_t seed,
                       std::span<float> weights);

}  // namespace pawl::nn
