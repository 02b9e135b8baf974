#include "kernels/mlp.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/network.h"
#include "kernels/panel.h"

namespace pawl::kernels {

std::vector<Network> MakeNetworks(const MlpLayout& layout) {
  auto layer = [&](const std::string& name) {
    const auto& weight = layout.Find(name + ".weight");
    return DenseLayer{.in = weight.in, .out = weight.out, .weight = weight.offset,
                      .bias = layout.Find(name + ".bias").offset};
  };
  const size_t depth = layout.shape().hidden.size();
  auto hidden = [&](const std::string& net) {
    std::vector<DenseLayer> layers;
    for (size_t i = 0; i < depth; ++i) layers.push_back(layer(fmt::format("{}.{}", net, i)));
    return layers;
  };
  if (layout.shape().shared) return {{hidden("trunk"), {layer("policy.0"), layer("value.0")}}};
  const std::string head = fmt::format("{}", depth);
  return {{hidden("policy"), {layer("policy." + head)}}, {hidden("value"), {layer("value." + head)}}};
}

void RowsToPanels(const float* rows_major, int rows, int columns, float* panels) {
  for (int c0 = 0; c0 < columns; c0 += kPanel) {
    const int width = std::min(kPanel, columns - c0);
    float* to = panels + size_t(c0) * rows;
    for (int row = 0; row < rows; ++row, to += kPanel) {
      std::copy_n(rows_major + size_t(row) * columns + c0, width, to);
      std::fill(to + width, to + kPanel, 0.0f);
    }
  }
}

const float* ForwardHidden(const Network& network, Activation activation, const float* params, const float* input, int rows,
                           std::vector<AlignedBuffer>& hidden) {
  const float* x = input;
  for (size_t i = 0; i < network.hidden.size(); ++i) {
    const DenseLayer& layer = network.hidden[i];
    float* y = hidden[i].data();
    PanelDense(x, rows, layer.in, params + layer.weight, params + layer.bias, layer.out, y);
    PanelActivate(activation, y, PanelSize(rows, layer.out));
    x = y;
  }
  return x;
}

MlpForward::MlpForward(const MlpLayout& layout, int max_rows)
    : layout_(layout),
      max_rows_(max_rows),
      networks_(std::make_shared<std::vector<Network>>(MakeNetworks(layout))),
      input_(PanelSize(max_rows, layout.shape().obs)),
      output_(PanelSize(max_rows, layout.shape().act)) {
  for (int width : layout.shape().hidden) hidden_.emplace_back(PanelSize(max_rows, width));
}

void MlpForward::Run(const float* params, const float* obs, int rows, float* head, float* value) {
  PAWL_CHECK_LE(rows, max_rows_);
  const MlpShape& shape = layout_.shape();
  RowsToPanels(obs, rows, shape.obs, input_.data());
  float* const outputs[] = {head, value};
  int output = 0;
  for (const Network& network : *networks_) {
    const float* last = ForwardHidden(network, shape.activation, params, input_.data(), rows, hidden_);
    for (const DenseLayer& layer : network.heads) {
      PanelDense(last, rows, layer.in, params + layer.weight, params + layer.bias, layer.out, output_.data());
      float* to = outputs[output++];
      for (int row = 0; row < rows; ++row) {
        for (int c = 0; c < layer.out; ++c) {
          to[size_t(row) * layer.out + c] = output_.data()[size_t(c / kPanel * kPanel) * rows + row * kPanel + c % kPanel];
        }
      }
    }
  }
}

}  // namespace pawl::kernels
