// Tests that run once on every instruction set of this machine.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "kernels/cpu_target.h"

namespace pawl::kernels {

class OnEveryTarget : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ForceCpuTarget(GetParam()); }
  void TearDown() override { ForceCpuTarget(""); }
};
#define PAWL_ON_EVERY_TARGET(fixture)                                                      \
  INSTANTIATE_TEST_SUITE_P(Cpu, fixture, testing::ValuesIn(::pawl::kernels::CpuTargets()), \
                           [](const auto& info) { return info.param; })

}  // namespace pawl::kernels
