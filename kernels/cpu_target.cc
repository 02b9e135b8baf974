#include "kernels/cpu_target.h"

#include <hwy/highway.h>

#include "core/error.h"

namespace pawl::kernels {

std::vector<std::string> CpuTargets() {
  std::vector<std::string> names;
  // a lower bit is a better target
  for (int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
    names.emplace_back(hwy::TargetName(left & -left));
  }
  return names;
}

std::string CpuTarget() { return CpuTargets().front(); }

void ForceCpuTarget(std::string_view name) {
  hwy::SetSupportedTargetsForTest(0);
  int64_t chosen = 0;
  for (int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
    if (hwy::TargetName(left & -left) == name) chosen = left & -left;
  }
  PAWL_CHECK(chosen != 0 || name.empty(), "this machine has no instruction set '{}'", name);
  hwy::SetSupportedTargetsForTest(chosen);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace pawl::kernels
