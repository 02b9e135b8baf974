// Launchers inside libpawl_cuda.so, one per kernel, stream last. They throw (cuda_check.cuh).
#pragma once
#include "kernels/advantage.h"
#include "kernels/logit_rows.h"

namespace pawl::kernels {

// GaeCpu on device memory: the same bits.
void GaeCuda(const GaeArgs& args, void* stream);

// LogitRowsForward and LogitRowsBackward on device memory, logits in either type; near the CPU's
// numbers, not their bits. The forward pass leaves the logits as they are. A row's bits depend on
// its own logits only.
void LogitRowsForwardCuda(const LogitRowsArgs& args, void* stream);
void LogitRowsBackwardCuda(const LogitRowsArgs& args, void* stream);

}  // namespace pawl::kernels
