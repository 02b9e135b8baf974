// Launchers inside libpawl_cuda.so, one per kernel, stream last. They throw (cuda_check.cuh).
#pragma once
#include "kernels/advantage.h"

namespace pawl::kernels {

// GaeCpu on device memory: the same bits.
void GaeCuda(const GaeArgs& args, void* stream);

}  // namespace pawl::kernels
