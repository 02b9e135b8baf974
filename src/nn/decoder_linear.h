// A linear of the decoder, forward and backward, wherever its weights lie: plain masters (learner
// and evaluation), packed once (generation), with a LoRA adapter beside it or not. The same bits
// either way (docs/numerics.md). No state but the arguments.
#pragma once
#include <unordered_map>
#include <vector>

#include "kernels/linear.h"
#include "nn/decoder_weights.h"
#include "nn/lora.h"

namespace pawl::nn {

enum class LayerLinear : uint8_t { kQkv, kAttentionOut, kGateUp, kDown };
inline constexpr int kLayerLinears = 4;

const Projection& LinearOf(const LayerLayout& layer, LayerLinear which);

// All linears of a decoder, the head included, packed for a side that only reads them.
class PackedDecoder {
 public:
  PackedDecoder(const DecoderWeights& weights, kernels::Team& team);
  const kernels::PackedWeight& layer(int64_t index, LayerLinear which) const {
    return layers_[static_cast<size_t>(index) * kLayerLinears + static_cast<size_t>(which)];
  }
  const kernels::PackedWeight& head() const { return head_; }

 private:
  std::vector<kernels::PackedWeight> layers_;
  kernels::PackedWeight head_;
};

// What a pass reads.
struct DecoderModel {
  const DecoderWeights& weights;
  const PackedDecoder* packed = nullptr;  // linears read this instead of the masters
  const LoraWeights* lora = nullptr;      // added to the linears it adapts
};

// y [rows, out] = x [rows, in] W^T + bias (+ scale (x A^T) B^T).
void ApplyLinear(const DecoderModel& model, int64_t layer, LayerLinear which, const float* x,
                 int64_t x_stride, int64_t rows, float* y, int64_t y_stride, kernels::Team& team);

// logits [rows, V] of hidden states [rows, D] after the final norm, soft cap included.
void HeadLogits(const DecoderModel& model, const float* hidden, int64_t rows, float* logits,
                kernels::Team& team);

// Where gradients are added: all parameters of the decoder, some of them, or an adapter's only.
struct DecoderGradients {
  float* weights = nullptr;  // DecoderLayout: every parameter learns
  const std::unordered_map<size_t, float*>* some = nullptr;  // else those with an entry, by offset
  float* lora = nullptr;                                     // LoraLayout
  float* head_norms = nullptr;                               // HeadNormFloats (decoder.h), or null
  // nullptr: frozen, or kNone.
  float* At(size_t offset) const {
    if (offset == Projection::kNone) return nullptr;
    if (weights != nullptr) return weights + offset;
    if (some == nullptr) return nullptr;
    const auto found = some->find(offset);
    return found == some->end() ? nullptr : found->second;
  }
};
struct LinearGradArgs {
  const float* x = nullptr;  // [rows, in] what went in
  int64_t x_stride = 0;
  const float* dy = nullptr;  // [rows, out]
  int64_t dy_stride = 0;
  int64_t rows = 0;
  float* dx = nullptr;  // [rows, in] written; null: not wanted
  int64_t dx_stride = 0;
};
void BackwardLinear(const DecoderModel& model, int64_t layer, LayerLinear which,
                    const LinearGradArgs& args, const DecoderGradients& gradients,
                    kernels::Team& team);

}  // namespace pawl::nn
