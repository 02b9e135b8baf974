// LoRA (Hu et al. 2021): beside a frozen matrix W [out, in] a trained pair A [r, in], B [out, r],
// so that the linear computes x W^T + scale (x A^T) B^T; scale = alpha / r, or alpha / sqrt(r)
// (rsLoRA). Layout, weights, initialisation and merging; adapter folders are lora_files.h. The
// flat layout serves weights, gradients and optimizer moments.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "nn/decoder_layout.h"

namespace pawl::nn {

// The settings of PEFT's adapter_config.json that Pawl knows.
struct LoraConfig {
  int64_t rank = 8;
  double alpha = 8;
  bool rslora = false;
  // Which linears: ends of module paths ("q_proj"), one regular expression over whole paths, or
  // "all-linear" (all but the head).
  std::vector<std::string> target_modules;
  bool target_is_regex = false;
  // Regular expression of a path or its end -> r, alpha; the first that fits.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<std::string> modules_to_save;  // trained whole and stored with the adapter
};

// One adapted matrix.
struct LoraAdapter {
  std::string module;  // "model.layers.0.self_attn.q_proj"
  int64_t rank = 0, in = 0, out = 0;
  float scale = 1;
  size_t a = 0, b = 0;  // offsets of A [r, in] and B [out, r] in the flat array
  size_t weight = 0;    // offset of W in the decoder's layout
};

class LoraLayout {
 public:
  // Throws UserError where target_modules, a pattern or modules_to_save matches nothing.
  LoraLayout(const DecoderLayout& decoder, const LoraConfig& config);
  const LoraConfig& config() const { return config_; }
  const std::vector<LoraAdapter>& adapters() const { return adapters_; }
  // Those whose matrices lie in [begin, begin + count) of the decoder's layout.
  std::span<const LoraAdapter> Within(size_t begin, size_t count) const;
  size_t size() const { return size_; }
  // Parameters trained whole (modules_to_save).
  const std::vector<const ModelParameter*>& saved() const { return saved_; }

 private:
  void AddSaved(const DecoderLayout& decoder);
  LoraConfig config_;
  std::vector<LoraAdapter> adapters_;  // ascending by `weight`
  std::vector<const ModelParameter*> saved_;
  size_t size_ = 0;
};

class LoraWeights {
 public:
  explicit LoraWeights(std::shared_ptr<const LoraLayout> layout)
      : layout_(std::move(layout)), values_(layout_->size()) {}
  const LoraLayout& layout() const { return *layout_; }
  std::shared_ptr<const LoraLayout> shared_layout() const { return layout_; }
  std::span<float> values() { return values_.span(); }
  std::span<const float> values() const { return values_.span(); }

 private:
  std::shared_ptr<const LoraLayout> layout_;
  core::Buffer<float> values_;
};

// A uniform in +-sqrt(1 / in) (PEFT's Kaiming uniform with a = sqrt 5), B zero: the adapter starts
// as nothing.
void InitializeLora(const LoraLayout& layout, uint64_t seed, std::span<float> values);
// weights (the decoder's masters) += scale B A, in float32.
void MergeLora(const LoraWeights& lora, const DecoderLayout& decoder, std::span<float> weights);

}  // namespace pawl::nn
