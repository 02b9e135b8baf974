#include "train/actor_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/bytes.h"

namespace pawl::train {
namespace {

void PutText(core::ByteWriter& out, const std::string& text) {
  out.PutSpan(std::span<const char>(text));
}
std::string GetText(core::ByteReader& in) {
  const auto chars = in.GetVector<char>();
  return {chars.begin(), chars.end()};
}

struct ChildSetup {
  ActorSetup actor;
  SlabShape slab;
  int first_block = 0, num_blocks = 0;
};

ChildSetup UnpackActorSetup(std::span<const std::byte> bytes) {
  core::ByteReader in(bytes);
  ChildSetup s;
  s.actor.env.id = GetText(in);
  s.actor.env.rig = GetText(in);
  in.Get(s.actor.env.num_envs);
  s.actor.env.args = core::Table::ParseString(GetText(in), "env.args");
  in.Get(s.actor.policy.obs);
  in.Get(s.actor.policy.act);
  s.actor.policy.hidden = in.GetVector<int>();
  in.Get(s.actor.policy.activation);
  in.Get(s.actor.policy.shared);
  in.Get(s.actor.policy.head);
  in.Get(s.actor.actors);
  in.Get(s.actor.seed);
  in.Get(s.actor.normalize_observation);
  in.Get(s.actor.clip_observation);
  in.Get(s.actor.normalize_epsilon);
  s.actor.dump_folder = GetText(in);
  in.Get(s.slab);
  in.Get(s.first_block);
  in.Get(s.num_blocks);
  return s;
}

void Serve(RolloutWorker& worker, const ActorCommand& command) {
  for (int block = 0; block < worker.num_blocks(); ++block) {
    switch (command.op) {
      case ActorOp::kSetup:
        break;
      case ActorOp::kReset:
        worker.ResetBlock(block);
        worker.SaveBlock(block);
        break;
      case ActorOp::kLoad:
        worker.LoadBlock(block);
        break;
      case ActorOp::kCollect:
        worker.CollectBlock(block, command.collect, /*first=*/true);
        worker.SaveBlock(block);
        break;
    }
  }
}

bool SendReply(const Error* error) {
  ActorReply reply;
  if (error) {
    reply.failed = 1;
    reply.exit_code = error->exit_code();
    std::strncpy(reply.message, error->what(), sizeof reply.message - 1);
  }
  return WriteAll(kActorReplyFd, &reply, sizeof reply);
}

}  // namespace

bool WriteAll(int fd, const void* data, size_t size) {
  const char* p = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    size -= n;
  }
  return true;
}

bool ReadAll(int fd, void* data, size_t size) {
  char* p = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = read(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    size -= n;
  }
  return true;
}

std::vector<std::byte> PackActorSetup(const ActorSetup& setup, const SlabShape& slab,
                                      int first_block, int num_blocks) {
  core::ByteWriter out;
  PutText(out, setup.env.id);
  PutText(out, setup.env.rig);
  out.Put(setup.env.num_envs);
  PutText(out, setup.env.args.ToToml());
  out.Put(setup.policy.obs);
  out.Put(setup.policy.act);
  out.PutSpan(std::span<const int>(setup.policy.hidden));
  out.Put(setup.policy.activation);
  out.Put(setup.policy.shared);
  out.Put(setup.policy.head);
  out.Put(setup.actors);
  out.Put(setup.seed);
  out.Put(setup.normalize_observation);
  out.Put(setup.clip_observation);
  out.Put(setup.normalize_epsilon);
  PutText(out, setup.dump_folder);
  out.Put(slab);
  out.Put(first_block);
  out.Put(num_blocks);
  return out.Take();
}

int ActorProcessMain(int parent) {
  // these reach the whole group: the learner decides (interrupt.h)
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) signal(signal_number, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) return 0;  // the parent died before the line above
  uint64_t size = 0;
  if (!ReadAll(kActorCommandFd, &size, sizeof size)) return 0;
  std::vector<std::byte> bytes(size);
  if (!ReadAll(kActorCommandFd, bytes.data(), size)) return 0;
  try {
    const ChildSetup s = UnpackActorSetup(bytes);
    RolloutSlab slab(s.slab, kActorMemoryFd);
    RolloutWorker worker(s.actor, slab, s.first_block, s.num_blocks);
    if (!SendReply(nullptr)) return 0;
    for (ActorCommand command; ReadAll(kActorCommandFd, &command, sizeof command);) {
      Serve(worker, command);
      if (!SendReply(nullptr)) return 0;
    }
    return 0;
  } catch (const Error& error) {
    SendReply(&error);
  } catch (const std::exception& exception) {
    const Error error(exception.what());
    SendReply(&error);
  }
  return 1;
}

}  // namespace pawl::train
