// The child side of process actors, and the wire between the two: fixed-size commands and replies
// on two pipes, the set-up as one block of bytes, all data in the slab. The child serves commands
// until its pipe closes or its parent dies.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "train/rollout_slab.h"
#include "train/rollout_worker.h"

namespace pawl::train {

// File descriptors of the child, and the argument that makes the binary an actor. High numbers:
// nothing else is there.
inline constexpr int kActorMemoryFd = 200, kActorCommandFd = 201, kActorReplyFd = 202;
inline constexpr const char* kActorArgument = "__actor";

enum class ActorOp : uint32_t { kSetup, kReset, kCollect, kLoad };

struct ActorCommand {
  ActorOp op = ActorOp::kSetup;
  uint32_t padding = 0;
  CollectRequest collect = {};
};

struct ActorReply {
  uint32_t failed = 0;
  int32_t exit_code = 1;
  char message[1016] = {};
};

std::vector<std::byte> PackActorSetup(const ActorSetup& setup, const SlabShape& slab,
                                      int first_block, int num_blocks);

// The child's main. parent: the process it must not outlive. Returns the exit code.
int ActorProcessMain(int parent);

// Whole-buffer pipe transfers; false at end of file or on an error.
bool WriteAll(int fd, const void* data, size_t size);
bool ReadAll(int fd, void* data, size_t size);

}  // namespace pawl::train
