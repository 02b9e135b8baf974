// All parameters of a decoder as one flat array: where each lies, and what it is called in a
// Hugging Face folder. Matrices are [out, in] row-major, as the field stores them; those that one
// product uses together (q, k, v; gate, up) lie side by side, so that they are one matrix. Weights,
// gradients and optimizer moments all have this layout. Immutable and shared.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "nn/model_config.h"

namespace pawl::nn {

struct ModelParameter {
  std::string name;            // in the folder: "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;  // [out, in], [V, D] or [n], as it lies here
  size_t offset = 0;           // in floats
  size_t count = 0;
  bool stored_transposed = false;  // the folder has [in, out] (GPT-2's Conv1D)
  bool is_matrix() const { return shape.size() == 2; }
};

// One linear of a layer: weight [out, in] at `weight`, bias [out] at `bias`.
struct Projection {
  static constexpr size_t kNone = static_cast<size_t>(-1);
  size_t weight = kNone, bias = kNone;
  int64_t out = 0, in = 0;
};

struct NormWeights {
  size_t weight = Projection::kNone, bias = Projection::kNone;
  bool present() const { return weight != Projection::kNone; }
};

struct LayerLayout {
  NormWeights attention_norm, mlp_norm;            // before
  NormWeights post_attention_norm, post_mlp_norm;  // after, where the model has them
  NormWeights q_norm, k_norm;                      // [head_dim]
  Projection qkv;                                  // q, then k, then v
  Projection attention_out;
  Projection gate_up;  // gate, then up; without a gate only up
  Projection down;
};

class DecoderLayout {
 public:
  explicit DecoderLayout(const ModelConfig& config);
  const ModelConfig& config() const { return config_; }
  const std::vector<ModelParameter>& parameters() const { return parameters_; }
  const ModelParameter* Find(const std::string& name) const;  // nullptr where there is none
  const std::vector<LayerLayout>& layers() const { return layers_; }
  size_t embedding() const { return embedding_; }                    // [V, D]
  size_t position_embedding() const { return position_embedding_; }  // [positions, D] or kNone
  const NormWeights& final_norm() const { return final_norm_; }
  size_t head() const { return head_; }  // [V, D]; the embedding where tied
  size_t size() const { return size_; }  // floats in all, padding (always 0) included
  bool tied() const { return head_ == embedding_; }

 private:
  size_t Add(const std::string& name, std::vector<int64_t> shape, bool aligned, bool transposed);
  Projection AddProjection(const std::vector<std::string>& names, const std::vector<int64_t>& outs,
                           int64_t in, bool bias);
  NormWeights AddNorm(const std::string& name, int64_t width);
  LayerLayout AddLayer(int64_t index);
  LayerLayout AddGpt2Layer(int64_t index);

  ModelConfig config_;
  std::vector<ModelParameter> parameters_;
  std::vector<LayerLayout> layers_;
  size_t embedding_ = Projection::kNone, position_embedding_ = Projection::kNone;
  size_t head_ = Projection::kNone;
  NormWeights final_norm_;
  size_t size_ = 0;
};

}  // namespace pawl::nn
