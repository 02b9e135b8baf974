#include "nn/trained_layout.h"

namespace pawl::nn {
namespace {
constexpr size_t kAlignment = 16;  // floats: a cache line

TrainedRange RangeOf(const ModelParameter& parameter, size_t state) {
  return {.name = parameter.name,
          .shape = parameter.shape,
          .count = parameter.count,
          .weight = parameter.offset,
          .state = state};
}

TrainedRange AdapterRange(const std::string& name, std::vector<int64_t> shape, size_t offset) {
  const auto count = static_cast<size_t>(shape[0] * shape[1]);
  return {.name = "base_model.model." + name,
          .shape = std::move(shape),
          .count = count,
          .in_adapter = true,
          .weight = offset,
          .state = offset};
}
}  // namespace

TrainedLayout::TrainedLayout(const DecoderLayout& decoder, const LoraLayout* lora) {
  if (lora == nullptr) {
    size = decoder.size();
    for (const ModelParameter& parameter : decoder.parameters()) {
      ranges.push_back(RangeOf(parameter, parameter.offset));
    }
    return;
  }
  size = lora->size();
  for (const LoraAdapter& adapter : lora->adapters()) {
    ranges.push_back(
        AdapterRange(adapter.module + ".lora_A.weight", {adapter.rank, adapter.in}, adapter.a));
    ranges.push_back(
        AdapterRange(adapter.module + ".lora_B.weight", {adapter.out, adapter.rank}, adapter.b));
  }
  for (const ModelParameter* parameter : lora->saved()) {
    size = (size + kAlignment - 1) / kAlignment * kAlignment;
    ranges.push_back(RangeOf(*parameter, size));
    size += parameter->count;
  }
}

}  // namespace pawl::nn
