#include "nn/torch_sequences.h"

#include <torch/torch.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/error.h"

namespace pawl::nn {
namespace {
using torch::Tensor;

std::vector<SequenceRun> Runs(const TokenSequences& sequences) {
  PAWL_CHECK_GE(sequences.starts.size(), 2u);
  PAWL_CHECK_EQ(sequences.starts.front(), 0);
  PAWL_CHECK_EQ(static_cast<size_t>(sequences.starts.back()), sequences.tokens.size());
  std::vector<SequenceRun> runs;
  for (size_t i = 0; i + 1 < sequences.starts.size(); ++i) {
    const int64_t first = sequences.starts[i], length = sequences.starts[i + 1] - first;
    PAWL_CHECK_GT(length, 0);
    if (runs.empty() || runs.back().length != length) {
      runs.push_back({.first = first, .length = length});
    }
    ++runs.back().count;
  }
  return runs;
}

// q [R, H, K], k and v [R, KVH, K] of the run's R rows, mask [length, length] -> [R, H K]
Tensor RunAttention(const Tensor& q, const Tensor& k, const Tensor& v, const SequenceRun& run,
                    const std::optional<Tensor>& mask, double scale) {
  // rows of the run to [count, heads, length, K]
  const auto batched = [&](const Tensor& x) {
    return x.unflatten(0, {run.count, run.length}).transpose(1, 2);
  };
  Tensor keys = batched(k), values = batched(v);
  const int64_t groups = q.size(1) / k.size(1);
  // with a mask, the fused kernels want every query head to have its own keys
  if (mask && groups > 1) {
    keys = keys.repeat_interleave(groups, 1);
    values = values.repeat_interleave(groups, 1);
  }
  const Tensor y = at::scaled_dot_product_attention(batched(q), keys, values, mask,
                                                    /*dropout_p=*/0, /*is_causal=*/!mask, scale,
                                                    /*enable_gqa=*/!mask && groups > 1);
  return y.transpose(1, 2).reshape({run.count * run.length, q.size(1) * q.size(2)});
}

}  // namespace

Tensor IndexTensor(const std::vector<int64_t>& values, const torch::Device& device) {
  return at::tensor(values, at::kLong).to(device);
}

TorchSequences::TorchSequences(const TokenSequences& sequences, const torch::Device& device)
    : runs_(Runs(sequences)) {
  std::vector<int64_t> positions(sequences.tokens.size());
  for (const SequenceRun& run : runs_) {
    longest_ = std::max(longest_, run.length);
    for (int64_t i = 0; i < run.count; ++i) {
      const auto first = positions.begin() + run.first + i * run.length;
      std::iota(first, first + run.length, 0);
    }
  }
  ids_ = IndexTensor({sequences.tokens.begin(), sequences.tokens.end()}, device);
  positions_ = IndexTensor(positions, device);
}

TorchSequences::Rotation TorchSequences::Turn(const Tensor& inv_freq) const {
  const Tensor angle = positions_.to(inv_freq.scalar_type()).unsqueeze(1) * inv_freq;
  return {.cos = angle.cos().unsqueeze(1), .sin = angle.sin().unsqueeze(1)};
}

Tensor TorchSequences::WindowMask(int64_t window) const {
  if (window <= 0 || window >= longest_) return {};
  const Tensor index = at::arange(longest_, positions_.options());
  const Tensor age = index.unsqueeze(1) - index.unsqueeze(0);
  return at::logical_and(age >= 0, age < window);
}

Tensor TorchSequences::Attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                 const Tensor& mask, double scale) const {
  std::vector<Tensor> outputs;
  for (const SequenceRun& run : runs_) {
    const auto rows = [&](const Tensor& x) {
      return x.narrow(0, run.first, run.count * run.length);
    };
    std::optional<Tensor> own;  // positions count from 0, so a shorter one's mask is a corner
    if (mask.defined()) own = mask.narrow(0, 0, run.length).narrow(1, 0, run.length);
    outputs.push_back(RunAttention(rows(q), rows(k), rows(v), run, own, scale));
  }
  return outputs.size() == 1 ? outputs[0] : at::cat(outputs);
}

}  // namespace pawl::nn
