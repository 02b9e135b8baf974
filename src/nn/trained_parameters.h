// The parameters that learn (a whole decoder, or an adapter and the modules saved with it), with
// their gradient and AdamW moments. The learner's thread only.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/safetensors.h"
#include "nn/decoder_linear.h"
#include "nn/language_trainer.h"
#include "nn/trained_layout.h"

namespace pawl::nn {

bool AllFinite(std::span<const float> values);

// Fills the masters, and makes or reads the adapter where options ask for one.
std::unique_ptr<LoraWeights> FillModel(DecoderWeights& weights, const FillWeights& fill,
                                       const LanguageTrainerOptions& options);

class TrainedParameters {
 public:
  // lora: what learns instead of the decoder; both outlive this object.
  // weights_only: no gradient and no moments, for Load alone.
  TrainedParameters(DecoderWeights& weights, LoraWeights* lora, bool weights_only);

  DecoderGradients gradients() const;
  void ZeroGradient(kernels::Team& team);
  double GradientSquares(kernels::Team& team) const;
  std::vector<LanguageTrainer::NamedGradient> Gradients() const;
  std::string NonFiniteGradient() const;
  // rounded: the decoder's bfloat16 copy, written along; empty: none.
  void Step(const AdamWSettings& settings, float scale, int64_t step, std::span<uint16_t> rounded,
            kernels::Team& team);
  void Save(core::ArrayMap& out) const;
  void Load(const core::ArrayMap& in);

 private:
  float* WeightOf(const TrainedRange& range) const {
    return (range.in_adapter ? lora_->values() : decoder_.master()).data() + range.weight;
  }

  DecoderWeights& decoder_;
  LoraWeights* lora_;
  TrainedLayout layout_;
  core::Buffer<float> gradient_, m_, v_;
  std::unordered_map<size_t, float*> saved_gradients_;  // by offset in the decoder's layout
};

}  // namespace pawl::nn
