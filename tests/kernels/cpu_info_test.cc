#include "kernels/cpu_info.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "kernels/cpu_target.h"

namespace pawl::kernels {
namespace {

TEST(CpuInfo, NamesCoresAndTheTargetInUse) {
  const CpuInfo info = ReadCpuInfo();
  EXPECT_GE(info.cores, 1);
  EXPECT_EQ(info.target, CpuTargets().front());
}

TEST(CpuInfo, MeasuredRatesAreOfThisWorld) {
  // a core does between 0.1 GFLOP/s and 1 TFLOP/s, and reads between 0.1 and 1000 GB/s
  const double fma = MeasureFmaRate(1, 0.02), bytes = MeasureReadBandwidth(1, 4, 0.02);
  EXPECT_GT(fma, 1e8);
  EXPECT_LT(fma, 1e12);
  EXPECT_GT(bytes, 1e8);
  EXPECT_LT(bytes, 1e12);
}

TEST(CpuTarget, OnlyAnInstructionSetOfThisMachineCanBeForced) {
  for (const std::string& target : CpuTargets()) {
    ForceCpuTarget(target);
    EXPECT_EQ(CpuTarget(), target);
  }
  EXPECT_THROW(ForceCpuTarget("no such set"), Error);
  ForceCpuTarget("");
  EXPECT_EQ(CpuTarget(), CpuTargets().front());
}

}  // namespace
}  // namespace pawl::kernels
