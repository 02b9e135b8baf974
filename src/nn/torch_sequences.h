// Sequences of tokens laid end to end, as LibTorch needs them: ids, positions and rotary angles of
// every token, and causal attention that stays inside each sequence. Made once a batch and shared
// by all layers; immutable.
#pragma once
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "nn/token_sequences.h"

namespace pawl::nn {

// Consecutive sequences of one length: one attention call serves them.
struct SequenceRun {
  int64_t first = 0, count = 0, length = 0;  // first token, sequences, tokens of each
};

class TorchSequences {
 public:
  // Does not look at is_target. Throws where starts are not ascending from 0 to S, no sequence
  // empty.
  TorchSequences(const TokenSequences& sequences, const torch::Device& device);

  const torch::Tensor& ids() const { return ids_; }              // [S] int64
  const torch::Tensor& positions() const { return positions_; }  // [S] int64
  int64_t longest() const { return longest_; }

  // cos and sin [S, 1, K / 2] of position * inv_freq [K / 2], in inv_freq's type.
  struct Rotation {
    torch::Tensor cos, sin;
  };
  Rotation Turn(const torch::Tensor& inv_freq) const;

  // [longest, longest]: query i sees key j, the last `window` keys; undefined where that is all.
  torch::Tensor WindowMask(int64_t window) const;

  // Causal attention of every sequence to itself, scores times `scale`; mask: WindowMask's.
  // q [S, H, K], k and v [S, KVH, K] -> [S, H K].
  torch::Tensor Attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                          const torch::Tensor& mask, double scale) const;

 private:
  std::vector<SequenceRun> runs_;
  int64_t longest_ = 0;
  torch::Tensor ids_, positions_;
};

// int64 [values.size()] on `device`.
torch::Tensor IndexTensor(const std::vector<int64_t>& values, const torch::Device& device);

}  // namespace pawl::nn
