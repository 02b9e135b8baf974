// What learns, parameter by parameter: a whole decoder, or an adapter and the modules saved with
// it. Says where each one's weight, gradient and moments lie and what a checkpoint calls them, so
// that every trainer's checkpoint is the others'. Immutable.
#pragma once
#include <string>
#include <vector>

#include "nn/lora.h"

namespace pawl::nn {

struct TrainedRange {
  std::string name;  // as in the model's or adapter's folder
  std::vector<int64_t> shape;
  size_t count = 0;
  bool in_adapter = false;  // the weight lies in the adapter's values, not in the decoder's masters
  size_t weight = 0;        // offset there
  size_t state = 0;         // offset in flat arrays of gradients and moments
  bool decays() const { return shape.size() == 2; }  // AdamW's decay is of matrices only
};

struct TrainedLayout {
  // lora: nullptr where the whole decoder learns; the flat arrays are laid out as it then.
  TrainedLayout(const DecoderLayout& decoder, const LoraLayout* lora);
  std::vector<TrainedRange> ranges;
  size_t size = 0;  // floats of a flat array of gradients or moments, padding included
};

// In a checkpoint, in front of a range's name.
inline constexpr const char* kWeightPrefix = "weight/";
inline constexpr const char* kMomentPrefix = "adam_m/";
inline constexpr const char* kSquaresPrefix = "adam_v/";

}  // namespace pawl::nn
