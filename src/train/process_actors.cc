// Actor processes, supervised by the learner. Each is this same binary (posix_spawn of
// /proc/self/exe: never fork alone, there are threads), serving its own blocks of the shared slab.
// Requests and replies are small structs on two pipes; all data is in the slab's memfd, so no lock
// exists that a dead process could keep. An actor that dies, or gives no sign of life before the
// deadline, is killed, reaped and replaced from its environments' states at the start of the
// segment, which is then run again: the streams are keyed, so the result is the same bits. The
// deadline of a request counts from the actor's set-up reply: starting has a deadline of its own.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <utility>

#include "core/clock.h"
#include "core/log.h"
#include "train/actor_process.h"
#include "train/actors.h"

extern char** environ;

namespace pawl::train {
namespace {
using core::Clock;
constexpr int kMaxDeathsInARow = 10;
// Until the set-up reply, whatever actors.deadline_s says: starting the process and making
// the environments give no sign of life, take up to a second on an idle machine and many where as
// many actors as cores start at once beside other work.
constexpr double kSetupDeadlineSeconds = 120;

// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Close() {
    if (fd_ >= 0) close(Release());
  }
  // Above the fixed numbers in the child, which dup2 would overwrite.
  void MoveUp() {
    const int moved = fcntl(fd_, F_DUPFD_CLOEXEC, kActorReplyFd + 1);
    // EINVAL: the limit is below that number
    if (moved < 0) throw DescriptorError("fcntl(F_DUPFD)", errno == EINVAL ? EMFILE : errno);
    Close();
    fd_ = moved;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read{-1}, write{-1};
  Pipe() : Pipe(Open()) {}

 private:
  explicit Pipe(std::array<int, 2> ends) : read(ends[0]), write(ends[1]) {
    read.MoveUp();
    write.MoveUp();
  }
  static std::array<int, 2> Open() {
    std::array<int, 2> ends;
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw DescriptorError("pipe2", errno);
    return ends;
  }
};

struct Child {
  int index = 0;
  int first_block = 0, num_blocks = 0;
  int first_env = 0, num_envs = 0;
  pid_t pid = -1;
  int command_fd = -1, reply_fd = -1;
  int deaths_in_a_row = 0;
  bool waiting = false;     // a reply is due
  double allowed_s = 0;     // for that reply, or for the next step towards it
  core::Deadline deadline;  // when they are over
  uint64_t heartbeat = 0;   // at the last look
};

class ProcessActors : public ActorGroup {
 public:
  ProcessActors(const ActorSetup& setup, RolloutSlab& slab) : setup_(setup), slab_(slab) {
    signal(SIGPIPE, SIG_IGN);  // a dead child shows as EPIPE
    const int blocks = NumBlocks(setup), actors = NumActors(setup);
    for (int i = 0, block = 0; i < actors; ++i) {
      Child child{
          .index = i, .first_block = block, .num_blocks = blocks / actors + (i < blocks % actors)};
      block += child.num_blocks;
      child.first_env = child.first_block * setup.actors.block;
      child.num_envs =
          std::min(child.num_blocks * setup.actors.block, setup.env.num_envs - child.first_env);
      children_.push_back(child);
    }
    try {
      for (Child& child : children_) Spawn(child);
      // the set-up reply tells that the environments could be made
      AwaitAll({.op = ActorOp::kSetup});
    } catch (...) {
      StopAll();
      throw;
    }
  }

  ~ProcessActors() override { StopAll(); }

  void Reset() override { Request({.op = ActorOp::kReset}); }
  void LoadStates() override {
    has_states_ = true;
    KeepRestorePoint();
    Request({.op = ActorOp::kLoad});
  }
  // every request leaves the states in the slab: they are the restore point of the next
  void SaveStates() override {}

  void Collect(const CollectRequest& request) override {
    Request({.op = ActorOp::kCollect, .collect = request});
  }

  int count() const override { return static_cast<int>(children_.size()); }
  std::string Description() const override {
    return fmt::format("{} process{}", children_.size(), children_.size() == 1 ? "" : "es");
  }
  int64_t replaced() const override { return replaced_; }

 private:
  void Request(const ActorCommand& command) {
    for (Child& child : children_) {
      if (!Send(child, command)) Replace(child, command, "is gone");
    }
    AwaitAll(command);
    has_states_ = true;
    KeepRestorePoint();
  }

  void ExpectReply(Child& child, double allowed_s) {
    child.waiting = true;
    child.allowed_s = allowed_s;
    child.deadline = core::After(allowed_s);
  }

  bool Send(Child& child, const ActorCommand& command) {
    ExpectReply(child, setup_.actors.deadline_s);
    return WriteAll(child.command_fd, &command, sizeof command);
  }

  // Waits for every child's reply; replaces those that die or pass their deadline.
  void AwaitAll(const ActorCommand& command) {
    for (;;) {
      std::vector<pollfd> fds;
      std::vector<Child*> who;
      auto deadline = core::Deadline::max();
      for (Child& child : children_) {
        if (!child.waiting) continue;
        fds.push_back({.fd = child.reply_fd, .events = POLLIN, .revents = 0});
        who.push_back(&child);
        deadline = std::min(deadline, child.deadline);
      }
      if (fds.empty()) return;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      const int64_t wait_ms = std::clamp<int64_t>(left.count(), 0, INT_MAX);
      const int ready = poll(fds.data(), fds.size(), static_cast<int>(wait_ms));
      if (ready < 0 && errno == EINTR) continue;
      PAWL_CHECK_GE(ready, 0, "poll: {}", std::strerror(errno));
      // what poll saw is of this moment; replacing one child takes time that is not the others'
      const auto now = Clock::now();
      for (size_t i = 0; i < fds.size(); ++i) {
        if (fds[i].revents != 0) {
          ReadReply(*who[i], command);
        } else if (now >= who[i]->deadline) {
          if (Progressed(*who[i])) continue;
          Replace(*who[i], command, fmt::format("did not answer within {:g} s", who[i]->allowed_s));
        }
      }
    }
  }

  // Whether the child worked since the last look; then it has as long again.
  bool Progressed(Child& child) {
    uint64_t now = 0;
    for (int i = 0; i < child.num_envs; ++i) {
      now += std::atomic_ref(slab_.heartbeat[child.first_env + i]).load(std::memory_order_relaxed);
    }
    if (now == std::exchange(child.heartbeat, now)) return false;
    ExpectReply(child, child.allowed_s);
    return true;
  }

  void ReadReply(Child& child, const ActorCommand& command) {
    ActorReply reply;
    if (!ReadAll(child.reply_fd, &reply, sizeof reply)) {
      Replace(child, command, "died");
      return;
    }
    if (reply.failed) {
      reply.message[sizeof reply.message - 1] = 0;
      throw Error(reply.message, reply.exit_code);
    }
    child.waiting = false;
    child.deaths_in_a_row = 0;
  }

  // Kills and reaps the child, starts another in its place from the restore point, and gives it the
  // command again.
  void Replace(Child& child, const ActorCommand& command, std::string why) {
    const pid_t pid = child.pid;
    const int status = Stop(child);
    if (WIFSIGNALED(status)) why += fmt::format(" (signal {})", WTERMSIG(status));
    PAWL_LOG_WARN("actor {} (process {}) {}: replaced", child.index, pid, why);
    ++replaced_;
    if (++child.deaths_in_a_row >= kMaxDeathsInARow) {
      throw RunError({.what = fmt::format("actor {} {}, {} times in a row", child.index, why,
                                          child.deaths_in_a_row),
                      .hint = "is memory short? the log names each replacement"});
    }
    Spawn(child);
    RestoreSlab(child);
    if (command.op == ActorOp::kSetup) return;
    const bool load = has_states_ && command.op != ActorOp::kLoad;
    // the new process must have its environments before its deadline for the command begins; one
    // that died again is found while its replies are read
    if (!AwaitReply(child, kSetupDeadlineSeconds) ||
        (load && !(WriteAll(child.command_fd, &kLoadCommand, sizeof kLoadCommand) &&
                   AwaitReply(child, kSetupDeadlineSeconds))) ||
        !Send(child, command)) {
      Replace(child, command, "died while starting");
    }
  }

  // Reads a reply that carries nothing; false where none comes.
  bool AwaitReply(Child& child, double allowed_s) {
    pollfd fd{.fd = child.reply_fd, .events = POLLIN, .revents = 0};
    int ready;
    do {
      ready = poll(&fd, 1, static_cast<int>(allowed_s * 1000));
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) return false;
    ActorReply reply;
    if (!ReadAll(child.reply_fd, &reply, sizeof reply)) return false;
    if (reply.failed) throw Error(reply.message, reply.exit_code);
    return true;
  }

  void Spawn(Child& child) {
    Pipe command, reply;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // fixed numbers in the child; dup2 clears close-on-exec
    posix_spawn_file_actions_adddup2(&actions, slab_.memfd(), kActorMemoryFd);
    posix_spawn_file_actions_adddup2(&actions, command.read.get(), kActorCommandFd);
    posix_spawn_file_actions_adddup2(&actions, reply.write.get(), kActorReplyFd);
    const std::string parent = std::to_string(getpid());
    const char* argv[] = {"pawl", kActorArgument, parent.c_str(), nullptr};
    const int error = posix_spawn(&child.pid, "/proc/self/exe", &actions, nullptr,
                                  const_cast<char**>(argv), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
      child.pid = -1;
      throw RunError({.what = fmt::format("cannot start actor process {} ({})", child.index,
                                          std::strerror(error)),
                      .hint = "actors.kind = \"thread\" needs no processes"});
    }
    command.read.Close();
    reply.write.Close();
    child.command_fd = command.write.Release();
    child.reply_fd = reply.read.Release();
    const auto bytes = PackActorSetup(setup_, slab_.shape(), child.first_block, child.num_blocks);
    const uint64_t size = bytes.size();
    // a child that is already gone shows when its reply is read
    if (WriteAll(child.command_fd, &size, sizeof size))
      WriteAll(child.command_fd, bytes.data(), size);
    ExpectReply(child, kSetupDeadlineSeconds);
  }

  void StopAll() {
    for (Child& child : children_) Stop(child);
  }

  // Returns the wait status.
  int Stop(Child& child) {
    if (child.pid <= 0) return 0;
    close(child.command_fd);
    close(child.reply_fd);
    kill(child.pid, SIGKILL);
    int status = 0;
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    child.pid = -1;
    return status;
  }

  void KeepRestorePoint() {
    const SlabShape& s = slab_.shape();
    kept_state_.assign(slab_.state, slab_.state + s.batch * s.state_bytes);
    kept_size_.assign(slab_.state_size, slab_.state_size + s.batch);
  }

  void RestoreSlab(const Child& child) {
    if (!has_states_) return;
    const SlabShape& s = slab_.shape();
    const size_t first = child.first_env, n = child.num_envs;
    std::copy_n(&kept_state_[first * s.state_bytes], n * s.state_bytes,
                slab_.state + first * s.state_bytes);
    std::copy_n(&kept_size_[first], n, slab_.state_size + first);
  }

  static constexpr ActorCommand kLoadCommand{.op = ActorOp::kLoad};
  ActorSetup setup_;
  RolloutSlab& slab_;
  std::vector<Child> children_;
  bool has_states_ = false;
  std::vector<std::byte> kept_state_;
  std::vector<uint64_t> kept_size_;
  int64_t replaced_ = 0;
};
}  // namespace

std::unique_ptr<ActorGroup> MakeProcessActors(const ActorSetup& setup, RolloutSlab& slab) {
  return std::make_unique<ProcessActors>(setup, slab);
}

}  // namespace pawl::train
