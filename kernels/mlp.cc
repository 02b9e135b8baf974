#include "kernels/mlp.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/elementwise.h"
#include "kernels/network.h"
#include "kernels/panel.h"

namespace pawl::kernels {

std::vector<Network> MakeNetworks(const MlpLayout& layout) {
  auto layer = [&](const std::string& name) {
    const auto& weight = layout.Find(name + ".weight");
    return DenseLayer{.in = weight.in,
                      .out = weight.out,
                      .weight = weight.offset,
                      .bias = layout.Find(name + ".bias").offset};
  };
  const size_t depth = layout.shape().hidden.size();
  auto hidden = [&](const std::string& net) {
    std::vector<DenseLayer> layers;
    for (size_t i = 0; i < depth; ++i) layers.push_back(layer(fmt::format("{}.{}", net, i)));
    return layers;
  };
  if (layout.shape().shared) {
    return {{hidden("trunk"), {layer("policy.0"), layer("value.0")}}};
  }
  const std::string head = fmt::format("{}", depth);
  return {{hidden("policy"), {layer("policy." + head)}},
          {hidden("value"), {layer("value." + head)}}};
}

const float* ForwardHidden(const Network& network, Activation activation, const float* params,
                           const float* input, int rows, std::vector<AlignedBuffer>& hidden) {
  const float* x = input;
  for (size_t i = 0; i < network.hidden.size(); ++i) {
    const DenseLayer& layer = network.hidden[i];
    float* y = hidden[i].data();
    PanelDense(x, rows, layer.in, params + layer.weight, params + layer.bias, layer.out, y);
    ApplyActivation(activation, y, PanelSize(rows, layer.out));
    x = y;
  }
  return x;
}

void CheckAligned(const float* buffer, const char* what) {
  PAWL_CHECK(reinterpret_cast<uintptr_t>(buffer) % 64 == 0, "{} must be 64-byte aligned", what);
}

MlpForward::MlpForward(const MlpLayout& layout, int max_rows)
    : layout_(layout),
      max_rows_(max_rows),
      networks_(std::make_shared<std::vector<Network>>(MakeNetworks(layout))) {
  const int rows = std::min(max_rows, kChunkRows);
  input_ = AlignedBuffer(PanelSize(rows, layout.shape().obs));
  output_ = AlignedBuffer(PanelSize(rows, layout.shape().act));
  for (int width : layout.shape().hidden) hidden_.emplace_back(PanelSize(rows, width));
}

void MlpForward::Run(const float* params, const float* obs, int rows, float* head, float* value) {
  PAWL_CHECK_LE(rows, max_rows_);
  CheckAligned(params, "params");
  const int act = layout_.shape().act;
  for (int row = 0; row < rows; row += kChunkRows) {
    RunChunk(params, obs + size_t(row) * layout_.shape().obs, std::min(kChunkRows, rows - row),
             head ? head + size_t(row) * act : nullptr, value ? value + row : nullptr);
  }
}

void MlpForward::RunChunk(const float* params, const float* obs, int rows, float* head,
                          float* value) {
  const MlpShape& shape = layout_.shape();
  PanelGather(obs, nullptr, rows, shape.obs, input_.data());
  float* const outputs[] = {head, value};
  size_t output = 0;
  for (const Network& network : *networks_) {
    // separate nets: a net whose output nobody wants is not run
    if (network.heads.size() == 1 && !outputs[output]) {
      ++output;
      continue;
    }
    const float* last =
        ForwardHidden(network, shape.activation, params, input_.data(), rows, hidden_);
    for (const DenseLayer& layer : network.heads) {
      float* to = outputs[output++];
      if (!to) continue;
      PanelDense(last, rows, layer.in, params + layer.weight, params + layer.bias, layer.out,
                 output_.data());
      for (int row = 0; row < rows; ++row) {
        for (int c = 0; c < layer.out; ++c) *to++ = output_.data()[PanelAt(rows, row, c)];
      }
    }
  }
}

}  // namespace pawl::kernels
