#include "core/subprocess.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
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

// Whether a process whose command line has this word is there.
bool IsRunning(const std::string& word) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    if (text.find("sleep") == 0 && text.find(word) != std::string::npos) return true;
  }
  return false;
}
bool EndsSoon(const std::string& word) {
  for (int i = 0; i < 500 && IsRunning(word); ++i) usleep(10'000);
  return !IsRunning(word);
}

TEST(Subprocess, WhatItLeavesBehindEndsWithIt) {
  const std::string time = std::to_string(100'000 + getpid());
  const std::string leave = "setsid sleep " + time + " & sleep " + time + " & ";
  for (const auto& [more, deadline] :
       {std::pair("sleep 0.1; exit 5", 10.0), std::pair("wait", 0.3)}) {
    const auto result = RunWithInput(Command{"/bin/sh"}, leave + more, deadline);
    EXPECT_EQ(result.timed_out, deadline < 1);
    if (!result.timed_out) EXPECT_EQ(result.exit_code, 5);
    EXPECT_FALSE(IsRunning(time)) << more;
  }
}

TEST(Subprocess, EndsWithItsParentHoweverThatEnds) {
  const std::string time = std::to_string(200'000 + getpid());
  for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
    const pid_t parent = fork();
    if (parent == 0) {
      RunWithInput(Command{"/bin/sh"}, "setsid sleep " + time + " & sleep " + time, 60);
      _exit(0);
    }
    for (int i = 0; i < 500 && !IsRunning(time); ++i) usleep(10'000);
    EXPECT_TRUE(IsRunning(time));
    kill(parent, signal);
    waitpid(parent, nullptr, 0);
    EXPECT_TRUE(EndsSoon(time)) << signal;
  }
}

TEST(Subprocess, ProgramsAreFoundInPath) {
  EXPECT_NE(FindProgram("true").find("/true"), std::string::npos);
  EXPECT_EQ(FindProgram("/bin/sh"), "/bin/sh");
  for (const char* name : {"no_such_program", "/bin", "/etc/passwd", ""})
    EXPECT_THROW(FindProgram(name), Error) << name;
}

TEST(Subprocess, WhatIsNoProgramIsAnError) {
  EXPECT_THROW(RunWithInput(Command{"/no/such/program"}, "", 1), Error);
}

}  // namespace
}  // namespace pawl::core
