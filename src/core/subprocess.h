// A program run once with a text as its input, within a time: for code that the user wants to be
// judged by a command of theirs. POSIX. Any thread.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace pawl::core {

struct SubprocessResult {
  int exit_code = -1;      // 128 + the signal's number where one ended it
  bool timed_out = false;  // then it was killed
};

// The path of a program that PATH, or the name itself, leads to. Throws UserError where none does.
std::string FindProgram(const std::string& name);

// `command`: the program, looked up in PATH, and its arguments. It reads `input`; what it writes is
// thrown away. Processes that it makes end with it, and all of them with this process, also where
// that is killed. Throws UserError where it cannot be started.
SubprocessResult RunWithInput(std::span<const std::string> command, std::string_view input,
                              double deadline_s);

}  // namespace pawl::core
