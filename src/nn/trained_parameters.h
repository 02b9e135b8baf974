// The parameters that learn (a whole decoder, or an adapter and the modules saved with it), with
// their gradient and AdamW moments. The learner's thread only.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "core/safetensors.h"
#include "nn/decoder_linear.h"
#include "nn/language_trainer.h"

namespace pawl::nn {

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
  // One parameter; gradient and moments lie at `state` of their buffers.
  struct Range {
    std::string name;
    std::vector<int64_t> shape;
    float* weight = nullptr;
    size_t count = 0, state = 0;
    bool decays = false;
    size_t decoder_offset = Projection::kNone;  // in the decoder's layout, where it lies there
  };
  void AddRange(std::string name, std::vector<int64_t> shape, float* weight, size_t count,
                size_t state, size_t decoder_offset);

  bool whole_;  // the state buffers have the decoder's layout
  std::vector<Range> ranges_;
  core::Buffer<float> gradient_, m_, v_;
  std::unordered_map<size_t, float*> saved_gradients_;  // by offset in the decoder's layout
};

}  // namespace pawl::nn
