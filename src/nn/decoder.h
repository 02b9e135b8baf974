// The decoder's pass over tokens, forward and backward, on the CPU kernels: the one forward of
// learner, evaluation and generation, which differ only in where keys and values lie. A layer is
// one node: its forward may keep what its backward needs, or only its input, and then the backward
// runs it again (activation checkpointing). No autograd: the order of every sum is written here
// (docs/numerics.md). One object per thread that runs passes; it owns the activations.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "kernels/feed_forward.h"
#include "kernels/norm.h"
#include "nn/decoder_linear.h"
#include "nn/kv_cache.h"

namespace pawl::nn {

// The rows of one pass: sequences end to end.
struct DecoderSequence {
  int64_t row = 0;             // its first row
  int64_t rows = 0;            // tokens of this pass
  int64_t first_position = 0;  // of its first row
  KvCache* cache = nullptr;    // holds positions before first_position and receives the new ones;
                               // null: the pass has the whole sequence
};
struct DecoderRows {
  std::span<const int32_t> tokens;     // [T]
  std::span<const int32_t> positions;  // [T]
  std::span<const DecoderSequence> sequences;
};

enum class KeepActivations : uint8_t {
  kNothing,  // forward only
  kInputs,   // of every layer; the backward recomputes the rest
  kAll,
};

class Decoder {
 public:
  // max_rows: tokens of the largest pass.
  Decoder(std::shared_ptr<const DecoderLayout> layout, int64_t max_rows, KeepActivations keep,
          kernels::Team& team);

  // Hidden states after the final norm [T, D], valid until the next call.
  const float* Forward(const DecoderModel& model, const DecoderRows& rows);
  // dhidden [T, D] is the loss's derivative by the last Forward's result, same model and rows. Adds
  // to the gradients; the token embedding's gradient goes to `dembedding` [T, D] (overwritten), for
  // the caller to scatter. dhidden is used up.
  void Backward(const DecoderModel& model, const DecoderRows& rows, float* dhidden,
                const DecoderGradients& gradients, float* dembedding);

  size_t activation_bytes() const;

 private:
  // What a layer's backward reads. Rows are tokens.
  struct Activations {
    core::Buffer<float> x;          // [T, D] input
    core::Buffer<float> qkv;        // [T, qkv] after norms and rotation
    core::Buffer<float> qk;         // [T, q + k] before its norms; where the model has them
    core::Buffer<float> attention;  // [T, q]
    core::Buffer<float> log_sum;    // [T, H]
    core::Buffer<float> projected;  // [T, D] before the norm after attention; where there is one
    core::Buffer<float> middle;     // [T, D] between attention and feed-forward
    core::Buffer<float> gate_up;    // [T, 2I] or [T, I]
    core::Buffer<float> down;       // [T, D] before the norm after feed-forward; where there is one
  };
  Activations MakeActivations(bool with_input) const;
  Activations& Inside(int64_t layer);
  float* Input(int64_t layer);

  void Embed(const DecoderModel& model, const DecoderRows& rows, float* x);
  void Layer(const DecoderModel& model, const DecoderRows& rows, int64_t layer, Activations& a,
             float* out);
  kernels::FeedForwardArgs FeedForwardOf(const Activations& a, int64_t rows) const;
  void Attend(const DecoderModel& model, const DecoderRows& rows, int64_t layer, const float* x,
              Activations& a);
  void NormHeads(const DecoderModel& model, int64_t layer, int64_t rows, Activations& a);
  void Rotate(const DecoderRows& rows, int64_t layer, float* qkv, bool inverse);
  void GrowTables(const DecoderRows& rows);
  kernels::AttentionForwardArgs AttentionArgs(const DecoderRows& rows, int64_t layer,
                                              Activations& a);
  void FillSequences(const DecoderRows& rows, int64_t layer, Activations& a);

  void BackwardLayer(const DecoderModel& model, const DecoderRows& rows, int64_t layer,
                     const DecoderGradients& gradients);
  void BackwardFeedForward(const DecoderModel& model, int64_t layer, int64_t rows, Activations& a,
                           const DecoderGradients& gradients);
  void BackwardAttention(const DecoderModel& model, const DecoderRows& rows, int64_t layer,
                         Activations& a, const DecoderGradients& gradients);
  void BackwardHeadNorms(const DecoderModel& model, int64_t layer, int64_t rows, Activations& a,
                         const DecoderGradients& gradients);

  kernels::NormArgs NormOf(const DecoderModel& model, const NormWeights& norm, const float* x,
                           int64_t rows, int64_t width, int64_t stride) const;
  void Norm(const kernels::NormArgs& args, float* y, int64_t y_stride);
  void NormBackward(const kernels::NormArgs& args, const NormWeights& norm, const float* dy,
                    float* dx, bool accumulate, const DecoderGradients& gradients);

  std::shared_ptr<const DecoderLayout> layout_;
  const ModelConfig& config_;
  int64_t max_rows_;
  KeepActivations keep_;
  kernels::Team& team_;
  std::vector<Activations> kept_;             // per layer (kAll), else one
  std::vector<core::Buffer<float>> inputs_;   // per layer (kInputs)
  core::Buffer<float> x_;                     // [T, D] the stream, where no layer keeps it
  core::Buffer<float> normed_, active_;       // [T, D], [T, I] scratch
  core::Buffer<float> hidden_;                // [T, D] after the final norm
  core::Buffer<float> dx_, dnormed_, dwide_;  // backward scratch: [T, D], [T, D], [T, widest]
  std::vector<kernels::AttentionSequence> attention_sequences_;
  // rotary tables [positions, K / 2], of layers that see everything and of sliding ones
  core::Buffer<float> cos_, sin_, local_cos_, local_sin_;
  int64_t table_positions_ = 0;
};

// The gradient of a query or key norm is summed apart for every head, so that its order is that of
// the tokens however a batch is cut: [layers, H + KVH, K] floats (0 where the model has no such
// norms). Folded into the norms' own gradients once the whole batch is through.
size_t HeadNormFloats(const ModelConfig& config);
void FoldHeadNorms(const DecoderLayout& layout, const float* head_norms,
                   const DecoderGradients& gradients);

}  // namespace pawl::nn
