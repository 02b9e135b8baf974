// Checkpoint folders that exist whole or not at all: <root>/step_%012d/{files..., index.json,
// COMMIT}. A commit writes step_N.tmp, fsyncs every file, the index (size and CRC-32C of each
// file), the COMMIT marker and the folder, then renames and fsyncs the parent. The newest one is
// found by scanning for COMMIT; there is no mutable pointer. No clocks inside. Called by the
// checkpoint thread (commit) and at start (list, read); no state.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/file.h"

namespace pawl::nn {

// Relative path inside the checkpoint ("policy/weights.safetensors") -> contents.
using CheckpointFiles = std::map<std::string, std::vector<std::byte>>;

std::filesystem::path CheckpointFolder(const std::filesystem::path& root, int64_t step);

// Further files, each as pieces that follow each other and stay as they are while they are written:
// gigabytes that nobody wants twice in memory.
using CheckpointViews = std::map<std::string, std::vector<std::span<const std::byte>>>;

// Writes one checkpoint; an existing folder of the same step is set aside. Throws RunError (path,
// reason) and leaves nothing but a .tmp folder behind when the disk is full or not writable.
void CommitCheckpoint(const std::filesystem::path& root, int64_t step, const CheckpointFiles& files,
                      const CheckpointViews& views = {});

struct CheckpointRef {
  int64_t step = 0;
  std::filesystem::path folder;
};
// Committed checkpoints, newest first. Folders without COMMIT (and .tmp ones) are passed over; no
// folder has none. Throws RunError where the folder cannot be read.
std::vector<CheckpointRef> ListCheckpoints(const std::filesystem::path& root);

// The files of a checkpoint where they lie on the disk, read as they are touched: gigabytes that
// need no memory of their own.
using MappedFiles = std::map<std::string, core::MappedFile>;

// Verifies every file against the index, then maps it. Throws pawl::Error naming the file and the
// reason (cut short, CRC, missing, malformed index).
MappedFiles ReadCheckpoint(const std::filesystem::path& folder);
// The bytes of one of them. Throws pawl::Error("<source>: holds no <path>").
std::span<const std::byte> FileIn(const MappedFiles& files, const std::string& path,
                                  const std::string& source);

// Parses an index (exposed for fuzzing): path -> (size, crc). Throws pawl::Error on anything
// malformed or escaping the folder.
struct IndexEntry {
  uint64_t size_bytes = 0;
  uint32_t crc32c = 0;
};
std::map<std::string, IndexEntry> ParseCheckpointIndex(std::string_view text,
                                                       const std::string& source);

// Renames the folder of a checkpoint, normally a damaged one, to <name>.aside: it is kept for a
// look, but no longer listed, counted or pruned.
void SetCheckpointAside(const std::filesystem::path& folder);

// Removes all but the newest `keep` checkpoints, except those whose step is in `protect`; also
// stale .tmp folders and checkpoints half removed by an earlier call.
void PruneCheckpoints(const std::filesystem::path& root, int keep,
                      const std::vector<int64_t>& protect);

}  // namespace pawl::nn
