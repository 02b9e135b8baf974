// The MLP as lists of dense layers over the flat buffer of mlp.h; shared by the forward pass and
// the update.
#pragma once
#include <vector>

#include "kernels/mlp.h"

namespace pawl::kernels {

// Rows taken through the layers at a time: activations stay in the first-level cache.
constexpr int kChunkRows = 64;

struct DenseLayer {
  int in = 0, out = 0;
  size_t weight = 0, bias = 0;  // offsets into the flat buffer
};

// A chain of hidden layers with one or two heads on its last activation.
struct Network {
  std::vector<DenseLayer> hidden;
  std::vector<DenseLayer> heads;  // policy, value, or both (shared)
};

// Separate nets: {policy, value}. Shared: one network with heads {policy, value}.
std::vector<Network> MakeNetworks(const MlpLayout& layout);

// input [rows, O] panels; hidden[i] [rows, width i] panels are written. Returns the last one.
const float* ForwardHidden(const Network& network, Activation activation, const float* params,
                           const float* input, int rows, std::vector<AlignedBuffer>& hidden);

// Throws unless the flat buffer `what` is 64-byte aligned.
void CheckAligned(const float* buffer, const char* what);

}  // namespace pawl::kernels
