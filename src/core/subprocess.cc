#include "core/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "core/clock.h"
#include "core/error.h"

extern char** environ;

namespace pawl::core {
namespace {
constexpr int kPollMs = 10;

// The program in a process group of its own, its input a pipe whose end is returned.
pid_t Spawn(std::span<const std::string> command, int& input) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw RunError({.what = fmt::format("no pipe for a program ({})", std::strerror(errno))});
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  for (const int out : {STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, out, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t reset;
  sigemptyset(&reset);
  sigaddset(&reset, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &reset);
  std::vector<char*> argv;
  for (const std::string& part : command) argv.push_back(const_cast<char*>(part.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  if (error != 0) {
    close(ends[1]);
    throw UserError(
        {.what = fmt::format("cannot start '{}' ({})", command[0], std::strerror(error)),
         .expected = "a program and its arguments"});
  }
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  input = ends[1];
  return pid;
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

SubprocessResult RunWithInput(std::span<const std::string> command, std::string_view input,
                              double deadline_s) {
  PAWL_CHECK(!command.empty(), "a command");
  signal(SIGPIPE,
         SIG_IGN);  // a program that does not read its input to the end is no error of ours
  int fd = -1;
  const pid_t pid = Spawn(command, fd);
  const Deadline deadline = After(deadline_s);
  SubprocessResult result;
  int status = 0;
  while (true) {
    if (fd >= 0 && !WriteSome(fd, input)) {
      close(fd);
      fd = -1;
    }
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) break;
    if (Clock::now() > deadline) {
      result.timed_out = true;
      kill(-pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    pollfd wait = {.fd = fd, .events = POLLOUT, .revents = 0};
    poll(&wait, fd >= 0 ? 1 : 0, kPollMs);
  }
  if (fd >= 0) close(fd);
  kill(-pid, SIGKILL);  // what it left behind
  result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

}  // namespace pawl::core
