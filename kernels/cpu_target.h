// The instruction sets the CPU kernels are compiled for (Google Highway: one source, chosen at run
// time). Actors and learner of a run use the same one, so its choice is process-wide.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pawl::kernels {

// Instruction sets this machine can run, by Highway's name ("AVX3", "AVX2", ...), the best first.
std::vector<std::string> CpuTargets();
// The one in use.
std::string CpuTarget();
// Restricts the choice to one of CpuTargets() (tests); "" undoes it. Not while kernels run.
void ForceCpuTarget(std::string_view name);

}  // namespace pawl::kernels
