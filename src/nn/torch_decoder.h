// A decoder language model in LibTorch: the path on CUDA, and on the CPU the reference that the
// kernels are tested against. Holds the parameters as a flat tensor of DecoderLayout, an adapter's
// as one of LoraLayout, and the gradient of what learns as one of TrainedLayout; every family is
// one forward pass under ModelConfig's switches. Sequences come laid end to end without padding.
// One thread at a time; graphs that its methods return may not outlive it.
#pragma once
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>

#include "nn/decoder_layout.h"
#include "nn/torch_lm_head.h"
#include "nn/torch_sequences.h"
#include "nn/trained_layout.h"

namespace pawl::nn {

struct TorchDecoderSettings {
  torch::Device device = torch::kCPU;
  // Of the products and of attention. kBFloat16 keeps weights, residual stream, norms, rotary
  // angles and sums in float32 and rounds operands only. kDouble keeps everything in float64 (the
  // reference of references).
  torch::Dtype compute = at::kFloat;
  bool checkpoint = false;      // keep only the blocks' inputs; backward runs every block again
  int64_t head_chunk_rows = 0;  // LmHeadSettings::chunk_rows
  bool learns = true;           // false: no gradient is held; nothing that adds to it may be called
};

class TorchDecoder {
 public:
  // Weights and gradient are zero. lora: an adapter that learns, with the modules saved with it,
  // instead of the decoder.
  TorchDecoder(const DecoderLayout& layout, const TorchDecoderSettings& settings,
               std::shared_ptr<const LoraLayout> lora = nullptr);
  TorchDecoder(TorchDecoder&&) = default;
  TorchDecoder(const TorchDecoder&) = delete;  // tensors would be shared

  const DecoderLayout& layout() const { return layout_; }
  const TorchDecoderSettings& settings() const { return settings_; }
  void SetWeights(std::span<const float> flat);    // [layout().size()]
  void CopyWeights(std::span<float> flat) const;   // [layout().size()]
  void CopyGradient(std::span<float> flat) const;  // [trained().size]
  torch::Tensor& weights() { return weights_; }    // [layout().size()], changed in place only
  torch::Tensor& adapter() { return adapter_; }    // of LoraLayout, changed in place only
  torch::Tensor& gradient() { return gradient_; }  // [trained().size], changed in place only
  const TrainedLayout& trained() const { return trained_; }
  void ZeroGradient() { gradient_.zero_(); }

  // Final hidden states [S, D] after the final norm, in float32 (float64 under kDouble).
  // Differentiable: backward() adds to gradient(). Does not look at is_target.
  torch::Tensor Hidden(const TokenSequences& sequences) const;
  // [N, V] of hidden [N, D], for short N only; no gradient.
  torch::Tensor Logits(const torch::Tensor& hidden) const;
  // The head's rows for the targets in ascending order: token t is predicted from token t - 1 of
  // `hidden` [S, D]. Throws where a sequence's first token is a target.
  LmHeadRows TargetRows(const TokenSequences& sequences, const torch::Tensor& hidden) const;

  // The head's rows that predict targets [N] from rows [N] of `hidden` [S, D].
  LmHeadRows HeadRows(const torch::Tensor& hidden, std::span<const int64_t> rows,
                      std::span<const int32_t> targets) const;
  // Adds the gradient of a token-local loss of rows of Hidden to gradient().
  LmHeadResult Backward(const LmHeadRows& rows, const kernels::TokenLoss& loss,
                        double inverse_temperature = 1);

  LmHeadSettings HeadSettings(double inverse_temperature = 1) const;

  // Log-probability and entropy of the N targets, without gradient.
  LmHeadResult LogProb(const TokenSequences& sequences, double inverse_temperature = 1) const;
  // Adds the gradient of a token-local loss of the N targets to gradient().
  LmHeadResult Gradient(const TokenSequences& sequences, const kernels::TokenLoss& loss,
                        double inverse_temperature = 1);
  // The same for cross entropy: adds the gradient of sum(-log_prob) * inverse_targets, and returns
  // that sum. inverse_targets: 1 / targets of the whole step, of which this may be one part.
  double CrossEntropyGradient(const TokenSequences& sequences, double inverse_targets);

 private:
  struct Batch;  // what the blocks need to know of a batch's sequences

  torch::Tensor MakeLeaf(const torch::Tensor& flat, size_t offset, std::vector<int64_t> shape,
                         size_t state) const;
  void AddLeaf(size_t offset, std::vector<int64_t> shape);
  void AddAdapterLeaves();
  void AddLeaves(const NormWeights& norm, int64_t width);
  void AddLeaves(const Projection& projection);
  const torch::Tensor& Leaf(size_t offset) const;
  std::shared_ptr<const Batch> MakeBatch(const TokenSequences& sequences) const;

  torch::Tensor Linear(const Projection& projection, const torch::Tensor& x) const;
  torch::Tensor Adapters(const Projection& projection, const torch::Tensor& x) const;
  torch::Tensor Norm(const NormWeights& norm, const torch::Tensor& x) const;
  torch::Tensor Rotated(const torch::Tensor& x, bool local, const Batch& batch) const;
  torch::Tensor Embed(const Batch& batch) const;
  torch::Tensor Attention(int64_t layer, const torch::Tensor& x, const Batch& batch) const;
  torch::Tensor FeedForward(const LayerLayout& layer, const torch::Tensor& x) const;
  torch::Tensor Block(int64_t layer, const torch::Tensor& x, const Batch& batch) const;

  const DecoderLayout layout_;
  const TorchDecoderSettings settings_;
  const std::shared_ptr<const LoraLayout> lora_;
  const TrainedLayout trained_;
  const torch::Dtype master_;  // of weights and sums: float32, or float64 under kDouble
  torch::Tensor weights_;      // [layout().size()]
  torch::Tensor adapter_;      // [LoraLayout::size()]
  torch::Tensor gradient_;     // [trained().size]
  // By offset. Each views its part of weights_ or adapter_, and where it learns, its grad() views
  // its part of gradient_, where autograd adds in place. (Slices of one leaf would each add a
  // zero-padded tensor of the whole size.)
  std::unordered_map<size_t, torch::Tensor> leaves_, adapter_leaves_;
  torch::Tensor inv_freq_, local_inv_freq_;  // [K / 2] of rotary models
};

}  // namespace pawl::nn
