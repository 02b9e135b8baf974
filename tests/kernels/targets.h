// Tests that run once on every instruction set of this machine, and comparison in every bit.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <string>

#include "kernels/cpu_target.h"

namespace pawl::kernels {

inline bool SameBits(const float* a, const float* b, size_t count) {
  return std::equal(a, a + count, b, [](float x, float y) {
    return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
  });
}

class OnEveryTarget : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ForceCpuTarget(GetParam()); }
  void TearDown() override { ForceCpuTarget(""); }
};
#define PAWL_ON_EVERY_TARGET(fixture)                                                      \
  INSTANTIATE_TEST_SUITE_P(Cpu, fixture, testing::ValuesIn(::pawl::kernels::CpuTargets()), \
                           [](const auto& info) { return info.param; })

}  // namespace pawl::kernels
