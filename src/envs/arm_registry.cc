#include "envs/arm_registry.h"

namespace pawl::envs {

std::vector<EnvEntry> ArmEntries() {
  std::vector<EnvEntry> all;
  for (auto family : {ArmReachEntries, ArmCubeEntries, ArmDrawerEntries}) {
    for (EnvEntry& entry : family()) all.push_back(std::move(entry));
  }
  return all;
}

}  // namespace pawl::envs
