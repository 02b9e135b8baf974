#include "core/subprocess.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/clock.h"
#include "core/error.h"

namespace pawl::core {
namespace {
using Command = std::vector<std::string>;

TEST(Subprocess, ReadsItsInputAndItsExitCodeComesBack) {
  EXPECT_EQ(RunWithInput(Command{"/bin/sh"}, "exit 0", 10).exit_code, 0);
  EXPECT_EQ(RunWithInput(Command{"/bin/sh"}, "exit 3", 10).exit_code, 3);
  EXPECT_EQ(RunWithInput(Command{"/bin/sh", "-c", "kill -9 $$"}, "", 10).exit_code, 137);
  const std::string long_input(1 << 20, '\n');  // more than a pipe holds
  EXPECT_EQ(RunWithInput(Command{"/bin/sh"}, long_input + "exit 4", 10).exit_code, 4);
  EXPECT_EQ(RunWithInput(Command{"true"}, long_input, 10).exit_code, 0);  // which reads nothing
}

TEST(Subprocess, IsKilledWithItsChildrenWhenItsTimeIsUp) {
  const double begin = MonotonicSeconds();
  const auto result = RunWithInput(Command{"/bin/sh"}, "sleep 60 & sleep 60", 0.3);
  EXPECT_TRUE(result.timed_out);
  EXPECT_LT(MonotonicSeconds() - begin, 5);
}

TEST(Subprocess, WhatIsNoProgramIsAnError) {
  EXPECT_THROW(RunWithInput(Command{"/no/such/program"}, "", 1), Error);
}

}  // namespace
}  // namespace pawl::core
