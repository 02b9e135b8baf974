#include <algorithm>
#include <utility>

#include "core/error.h"
#include "kernels/mlp.h"
#include "kernels/panel.h"

namespace pawl::kernels {

std::string FusedUnsupportedReason(const MlpShape& shape) {
  if (shape.hidden.empty() || shape.hidden.size() > 3) {
    return fmt::format("{} hidden layers (the fused kernel serves 1 to 3)", shape.hidden.size());
  }
  for (int width : shape.hidden) {
    if (width < 1 || width > 256)
      return fmt::format("a hidden width of {} (the fused kernel serves 1 to 256)", width);
  }
  return "";
}

MlpLayout::MlpLayout(MlpShape shape) : shape_(std::move(shape)) {
  PAWL_CHECK(shape_.obs >= 1 && shape_.act >= 1 && !shape_.hidden.empty(),
             "an MLP needs inputs, outputs and hidden layers");
  auto add = [this](const std::string& name, int out, int in) {
    parameters_.push_back({.name = name, .out = out, .in = in, .offset = size_});
    size_ += PanelSize(in == 0 ? 1 : in, out);
  };
  auto add_layer = [&](const std::string& net, size_t index, int in, int out) {
    add(fmt::format("{}.{}.weight", net, index), out, in);
    add(fmt::format("{}.{}.bias", net, index), out, 0);
  };
  auto add_net = [&](const std::string& net, const std::vector<int>& hidden, int head) {
    int in = shape_.obs;
    for (size_t i = 0; i < hidden.size(); ++i) {
      add_layer(net, i, in, hidden[i]);
      in = hidden[i];
    }
    if (head > 0) add_layer(net, hidden.size(), in, head);
  };
  if (shape_.shared) {
    add_net("trunk", shape_.hidden, 0);
    add_layer("policy", 0, shape_.hidden.back(), shape_.act);
  } else {
    add_net("policy", shape_.hidden, shape_.act);
  }
  if (shape_.head != PolicyHead::kCategorical) add("log_std", shape_.act, 0);
  policy_size_ = size_;
  if (shape_.shared) {
    add_layer("value", 0, shape_.hidden.back(), 1);
  } else {
    add_net("value", shape_.hidden, 1);
  }
}

const MlpParameter& MlpLayout::Find(const std::string& name) const {
  for (const auto& parameter : parameters_) {
    if (parameter.name == name) return parameter;
  }
  throw Error(fmt::format("the network has no parameter '{}'", name));
}

void MlpLayout::Pack(const MlpParameter& parameter, const float* dense, float* flat) const {
  const int in = std::max(parameter.in, 1);
  for (int n = 0; n < parameter.out; ++n) {
    for (int k = 0; k < in; ++k) flat[parameter.offset + PanelAt(in, k, n)] = *dense++;
  }
}

void MlpLayout::Unpack(const MlpParameter& parameter, const float* flat, float* dense) const {
  const int in = std::max(parameter.in, 1);
  for (int n = 0; n < parameter.out; ++n) {
    for (int k = 0; k < in; ++k) *dense++ = flat[parameter.offset + PanelAt(in, k, n)];
  }
}

}  // namespace pawl::kernels
