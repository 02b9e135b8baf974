// Dense-layer primitives of the small MLP on the CPU. Every matrix (weights, activations,
// gradients) is panels of 16 columns, [ceil(columns / 16)][rows][16] float32, 64-byte aligned,
// padding columns zero: no packing step inside, no power-of-two strides. A dot product is one
// accumulator, k ascending, FMA where the machine has it: a row's result is the same bits whatever
// the number of rows. Google Highway, one source for every instruction set. Thread-safe: no state.
#pragma once
#include <cstddef>
#include <cstdint>

namespace pawl::kernels {

constexpr int kPanel = 16;
constexpr int RoundUpToPanel(int n) { return (n + kPanel - 1) / kPanel * kPanel; }
// Floats of a panel matrix.
constexpr size_t PanelSize(int rows, int columns) { return size_t(rows) * RoundUpToPanel(columns); }
// Offset of an element in a panel matrix of `rows` rows.
constexpr size_t PanelAt(int rows, int row, int column) {
  return size_t(column / kPanel * kPanel) * rows + size_t(row) * kPanel + column % kPanel;
}

// Row-major rows into panels: panels [rows, columns] = from [row i is index[i], or i where index is
// null] [.., columns]. Padding columns are written as zero.
void PanelGather(const float* from, const int32_t* index, int rows, int columns, float* panels);
// y [rows, out] = bias + x [rows, in] w [in, out]; bias null: zero.
void PanelDense(const float* x, int rows, int in, const float* w, const float* bias, int out,
                float* y);
// dw [in, out] (+)= x [rows, in]^T dy [rows, out]; db [out] (+)= column sums of dy. accumulate: add
// to what is there.
void PanelWeightGrad(const float* x, int rows, int in, const float* dy, int out, float* dw,
                     float* db, bool accumulate);
// wt [out, in] = w [in, out]^T, padding written as zero.
void PanelTranspose(const float* w, int in, int out, float* wt);

}  // namespace pawl::kernels
