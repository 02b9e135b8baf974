#include "core/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/clock.h"
#include "core/error.h"

extern char** environ;

namespace pawl::core {
namespace {
constexpr int kPollMs = 10, kWatchMs = 2;
constexpr int kCannotStart = 127;

// Of what waitpid tells: as shells give it.
int ExitCode(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::array<int, 2> Pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) == 0) return ends;
  throw RunError({.what = fmt::format("no pipe for a program ({})", std::strerror(errno))});
}

// ---- in the watching process: system calls only, as other threads of the parent may have held
// locks when it was made

// Ends all children that this process has, and those they left to it.
void KillChildren() {
  for (int round = 0; round < 1000; ++round) {
    char list[4096];
    const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd >= 0 ? read(fd, list, sizeof(list)) : 0;
    if (fd >= 0) close(fd);
    pid_t pid = 0;
    for (ssize_t i = 0; i < size; ++i) {
      if (list[i] >= '0' && list[i] <= '9') {
        pid = pid * 10 + (list[i] - '0');
      } else {
        if (pid > 0) kill(pid, SIGKILL);
        pid = 0;
      }
    }
    pid_t ended;
    while ((ended = waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (ended < 0) return;  // none is left
    poll(nullptr, 0, kWatchMs);
  }
}

struct Watched {
  const char* program;
  char* const* argv;
  int input;  // becomes its standard input
  int alive;  // ends when the parent does, or wants the program to end
  int error;  // is told why the program cannot start
};

[[noreturn]] void RunProgram(const Watched& watched) {
  setpgid(0, 0);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(watched.input, STDIN_FILENO);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  signal(SIGPIPE, SIG_DFL);
  execve(watched.program, watched.argv, environ);
  const int code = errno;
  if (write(watched.error, &code, sizeof(code)) < 0) _exit(kCannotStart);
  _exit(kCannotStart);
}

// Runs the program and ends it, with every process that it made, when its time is over, when it
// ends itself, or when the parent is gone, however that came.
[[noreturn]] void Watch(const Watched& watched) {
  setpgid(0, 0);  // Ctrl-C is for the parent
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t program = fork();
  if (program == 0) RunProgram(watched);
  close(watched.error);
  close(watched.input);
  int status = kCannotStart << 8;
  while (program > 0 && waitpid(program, &status, WNOHANG) == 0) {
    pollfd wait = {.fd = watched.alive, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, kWatchMs) > 0) break;
  }
  if (program > 0) kill(-program, SIGKILL);
  KillChildren();
  _exit(ExitCode(status));
}

// ---- in the parent

struct Program {
  pid_t watcher = -1;
  int input = -1, alive = -1;
};

Program Start(std::span<const std::string> command) {
  const std::string path = FindProgram(command[0]);
  std::vector<char*> argv;
  for (const std::string& part : command) argv.push_back(const_cast<char*>(part.c_str()));
  argv.push_back(nullptr);
  const auto input = Pipe(), alive = Pipe(), error = Pipe();
  const pid_t watcher = fork();
  if (watcher == 0) {
    for (const int mine : {input[1], alive[1], error[0]}) close(mine);
    Watch({path.c_str(), argv.data(), input[0], alive[0], error[1]});
  }
  for (const int theirs : {input[0], alive[0], error[1]}) close(theirs);
  int code = watcher < 0 ? errno : 0;
  if (watcher > 0 && read(error[0], &code, sizeof(code)) <= 0) code = 0;
  close(error[0]);
  if (code != 0) {
    close(input[1]);
    close(alive[1]);
    if (watcher > 0) waitpid(watcher, nullptr, 0);
    throw UserError({.what = fmt::format("cannot start '{}' ({})", command[0], std::strerror(code)),
                     .expected = "a program and its arguments"});
  }
  fcntl(input[1], F_SETFL, O_NONBLOCK);
  return {watcher, input[1], alive[1]};
}

// Writes what fits. False: nothing is left, or nobody reads.
bool WriteSome(int fd, std::string_view& left) {
  while (!left.empty()) {
    const ssize_t count = write(fd, left.data(), left.size());
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    left.remove_prefix(static_cast<size_t>(count));
  }
  return false;
}
}  // namespace

std::string FindProgram(const std::string& name) {
  const auto runs = [](const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
           access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos && runs(name)) return name;
  const char* folders = std::getenv("PATH");
  std::string_view rest = name.find('/') == std::string::npos && folders != nullptr ? folders : "";
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string path = std::string(rest.substr(0, end)) + "/" + name;
    if (runs(path)) return path;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  throw UserError({.what = fmt::format("cannot start '{}' (no such program)", name),
                   .expected = "a program and its arguments"});
}

SubprocessResult RunWithInput(std::span<const std::string> command, std::string_view input,
                              double deadline_s) {
  PAWL_CHECK(!command.empty(), "a command");
  // a program that does not read its input to the end is no error of ours
  signal(SIGPIPE, SIG_IGN);
  Program program = Start(command);
  const Deadline deadline = After(deadline_s);
  SubprocessResult result;
  int status = 0;
  while (waitpid(program.watcher, &status, WNOHANG) == 0) {
    if (program.input >= 0 && !WriteSome(program.input, input)) {
      close(program.input);
      program.input = -1;
    }
    if (Clock::now() > deadline) {
      result.timed_out = true;
      close(program.alive);  // the watcher ends it
      program.alive = -1;
      waitpid(program.watcher, &status, 0);
      break;
    }
    pollfd wait = {.fd = program.input, .events = POLLOUT, .revents = 0};
    poll(&wait, program.input >= 0 ? 1 : 0, kPollMs);
  }
  for (const int fd : {program.input, program.alive}) {
    if (fd >= 0) close(fd);
  }
  result.exit_code = ExitCode(status);
  return result;
}

}  // namespace pawl::core
