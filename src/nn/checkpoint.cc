#include "nn/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;
constexpr const char* kIndexName = "index.json";
constexpr const char* kCommitName = "COMMIT";
constexpr const char* kCommitText = "pawl checkpoint 1\n";

// "step_000000012288" -> 12288; -1 for any other name.
int64_t StepOfName(const std::string& name) {
  constexpr std::string_view kPrefix = "step_";
  if (name.size() != kPrefix.size() + 12 || !name.starts_with(kPrefix)) return -1;
  int64_t step = -1;
  const char* end = name.data() + name.size();
  auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  return error == std::errc() && stop == end && step >= 0 ? step : -1;
}

bool SafeRelativePath(const std::string& path) {
  if (path.empty() || path[0] == '/' || path.find('\0') != std::string::npos) return false;
  for (const auto& part : fs::path(path)) {
    if (part == ".." || part == ".") return false;
  }
  return true;
}
}  // namespace

fs::path CheckpointFolder(const fs::path& root, int64_t step) {
  return root / fmt::format("step_{:012d}", step);
}

void CommitCheckpoint(const fs::path& root, int64_t step, const CheckpointFiles& files,
                      const CheckpointViews& views) {
  const fs::path folder = CheckpointFolder(root, step);
  const fs::path temporary = core::MakeTemporaryFolder(folder);
  std::error_code error;
  nlohmann::json index;
  index["format"] = "pawl-checkpoint-1";
  std::vector<fs::path> folders = {temporary};
  const auto write = [&](const std::string& path, auto pieces) {
    const fs::path target = temporary / path;
    if (target.parent_path() != temporary && fs::create_directories(target.parent_path(), error)) {
      folders.push_back(target.parent_path());
    }
    core::WriteFileSynced(target, pieces);
    size_t size = 0;
    uint32_t crc = 0;
    for (const auto& piece : pieces) {
      size += piece.size();
      crc = core::Crc32c(piece, crc);
    }
    index["files"][path] = {{"size", size}, {"crc32c", crc}};
  };
  using Pieces = std::span<const std::span<const std::byte>>;
  for (const auto& [path, bytes] : files) {
    const std::span<const std::byte> whole(bytes);
    write(path, Pieces(&whole, 1));
  }
  for (const auto& [path, pieces] : views) write(path, Pieces(pieces));
  core::WriteFileSynced(temporary / kIndexName, index.dump(1) + "\n");
  core::WriteFileSynced(temporary / kCommitName, std::string_view(kCommitText));
  for (const auto& made : folders) core::SyncFolder(made);
  // normally a damaged one, from before an older one was resumed
  if (fs::exists(folder)) SetCheckpointAside(folder);
  fs::rename(temporary, folder, error);
  if (error) {
    throw RunError({.what = fmt::format("cannot rename the checkpoint ({})", error.message()),
                    .where = folder.string()});
  }
  core::SyncFolder(root);
}

std::vector<CheckpointRef> ListCheckpoints(const fs::path& root) {
  std::vector<CheckpointRef> found;
  std::error_code error;
  fs::directory_iterator entry(root, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory)
    return found;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const int64_t step = StepOfName(entry->path().filename().string());
    if (step < 0) continue;
    const bool committed = fs::exists(entry->path() / kCommitName, error);
    if (error) break;
    if (committed) found.push_back({step, entry->path()});
  }
  // a run whose checkpoints cannot be seen is not one without any
  if (error) {
    throw RunError({.what = fmt::format("cannot list the checkpoints ({})", error.message()),
                    .where = root.string(),
                    .hint = "check the disk and the permissions"});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.step > b.step; });
  return found;
}

std::map<std::string, IndexEntry> ParseCheckpointIndex(std::string_view text,
                                                       const std::string& source) {
  auto malformed = [&](const std::string& why) {
    return Error(fmt::format("{}: {}", source, why));
  };
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw malformed("the checkpoint index is not JSON");
  if (json.value("format", nlohmann::json()) != "pawl-checkpoint-1") {
    throw malformed("the checkpoint index has another format");
  }
  const auto files = json.find("files");
  if (files == json.end() || !files->is_object()) throw malformed("the index lists no files");
  std::map<std::string, IndexEntry> entries;
  for (const auto& [path, entry] : files->items()) {
    if (!SafeRelativePath(path)) throw malformed("the index names a file outside the checkpoint");
    if (!entry.is_object() || !entry.contains("size") || !entry["size"].is_number_unsigned() ||
        !entry.contains("crc32c") || !entry["crc32c"].is_number_unsigned() ||
        entry["crc32c"].get<uint64_t>() > UINT32_MAX) {
      throw malformed(fmt::format("the index entry of '{}' is malformed", path));
    }
    entries[path] = {entry["size"].get<uint64_t>(), entry["crc32c"].get<uint32_t>()};
  }
  return entries;
}

MappedFiles ReadCheckpoint(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / kCommitName, ignored)) {
    throw Error(fmt::format("{}: not a committed checkpoint (no COMMIT marker)", folder.string()));
  }
  const fs::path index_path = folder / kIndexName;
  MappedFiles files;
  for (const auto& [path, entry] :
       ParseCheckpointIndex(core::ReadTextFile(index_path), index_path.string())) {
    const fs::path file = folder / path;
    // read, not mapped: a disk that fails is an error here, and a signal there
    const core::FileChecksum found = core::ChecksumOf(file);
    if (found.size_bytes != entry.size_bytes) {
      throw Error(fmt::format("{}: {} bytes where the index says {} (cut short?)", file.string(),
                              found.size_bytes, entry.size_bytes));
    }
    if (found.crc32c != entry.crc32c) {
      throw Error(fmt::format("{}: checksum differs from the index (damaged)", file.string()));
    }
    files.emplace(path, core::MappedFile(file));
  }
  return files;
}

std::span<const std::byte> FileIn(const MappedFiles& files, const std::string& path,
                                  const std::string& source) {
  const auto found = files.find(path);
  if (found == files.end()) throw Error(fmt::format("{}: holds no {}", source, path));
  return found->second.bytes();
}

void SetCheckpointAside(const fs::path& folder) {
  fs::path aside = folder;
  aside += ".aside";
  std::error_code error;
  fs::remove_all(aside, error);
  fs::rename(folder, aside, error);
  if (error) {
    throw RunError(
        {.what = fmt::format("cannot move the old checkpoint aside ({})", error.message()),
         .where = folder.string()});
  }
}

void PruneCheckpoints(const fs::path& root, int keep, const std::vector<int64_t>& protect) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const fs::path& path = entry.path();
    const bool half_removed = StepOfName(path.filename().string()) >= 0 &&
                              !fs::exists(path / kCommitName, error) && !error;
    if (path.extension() == ".tmp" || half_removed) fs::remove_all(path, error);
  }
  const auto all = ListCheckpoints(root);
  for (size_t i = keep; i < all.size(); ++i) {
    if (std::find(protect.begin(), protect.end(), all[i].step) != protect.end()) continue;
    // the marker goes first: a folder half removed is no checkpoint
    fs::remove(all[i].folder / kCommitName, error);
    fs::remove_all(all[i].folder, error);
  }
}

}  // namespace pawl::nn
