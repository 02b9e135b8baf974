// A program run once with a text as its input, within a time: for code that the user wants to be
// judged by a command of theirs. POSIX. Any thread.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace pawl::core {

struct SubprocessResult {
  int exit_code = -1;      // 128 + the signal's number where one ended it
  bool timed_out = false;  // then it was killed, with all of its process group
};

// `command`: the program, looked up in PATH, and its arguments. It reads `input`; what it writes is
// thrown away. Throws UserError where it cannot be started.
SubprocessResult RunWithInput(std::span<const std::string> command, std::string_view input,
                              double deadline_s);

}  // namespace pawl::core
