// The arm tasks: reach, push, lift, pick, drawer (docs/arm.md). registry.cc joins them with the
// other families.
#pragma once
#include <vector>

#include "envs/registry.h"

namespace pawl::envs {

std::vector<EnvEntry> ArmEntries();

// Its parts, one per file.
std::vector<EnvEntry> ArmReachEntries();
std::vector<EnvEntry> ArmCubeEntries();
std::vector<EnvEntry> ArmDrawerEntries();

}  // namespace pawl::envs
