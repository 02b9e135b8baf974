// Files: whole-file reads, mappings, atomic writes, fsync. Errors are RunError with the path and
// the system's reason. A write that fails (disk full, no permission) leaves the old file as it was.
// Thread-safe (no state).
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::core {
namespace internal {
class Descriptor;
}

std::string ReadTextFile(const std::filesystem::path& path);
std::vector<std::byte> ReadBinaryFile(const std::filesystem::path& path);
// Writes <path>.tmp, fsyncs, renames over path, fsyncs the folder.
void WriteFileAtomic(const std::filesystem::path& path, std::span<const std::byte> bytes);
void WriteFileAtomic(const std::filesystem::path& path, std::string_view text);
// Writes and fsyncs a file in place (used inside a folder that is renamed later).
void WriteFileSynced(const std::filesystem::path& path, std::span<const std::byte> bytes);
// The file is the pieces, one after the other.
void WriteFileSynced(const std::filesystem::path& path,
                     std::span<const std::span<const std::byte>> pieces);
void WriteFileSynced(const std::filesystem::path& path, std::string_view text);
void SyncFolder(const std::filesystem::path& folder);

// A file written piece by piece that takes its name only when it is whole: <path>.tmp until Commit,
// which fsyncs and renames. Without Commit the old file stays and the temporary one goes.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void Write(std::span<const std::byte> bytes);
  void Commit();

 private:
  std::filesystem::path path_, temporary_;
  std::unique_ptr<internal::Descriptor> file_;  // null once committed
};

// A file's bytes, read as they are touched. The size is taken when it is opened: a file that
// another process then cuts short kills this one where its missing pages are read (SIGBUS), so the
// files mapped are those that nobody writes in place (AtomicFile and CommitFolder never do).
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

// An empty <folder>.tmp, whatever was there.
std::filesystem::path MakeTemporaryFolder(const std::filesystem::path& folder);
// Puts the folder `temporary`, whose files are synced, in the place of `folder`. An old one there
// is exchanged for it in one step and removed last; a file system that cannot exchange has it as
// <folder>.old for a moment, and under its own name again where the rename fails, or at the next
// call where the process died in between.
void CommitFolder(const std::filesystem::path& temporary, const std::filesystem::path& folder);
// Makes a folder anew: `fill` writes synced files into its temporary folder, which is then
// committed. Where it throws, <folder>.tmp is removed and an old `folder` stays as it was.
void ReplaceFolder(const std::filesystem::path& folder,
                   const std::function<void(const std::filesystem::path& temporary)>& fill);
// CRC-32C (Castagnoli) of the bytes; seed with a previous result to go on.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t seed = 0);
// Of a whole file, read through a small buffer.
struct FileChecksum {
  uint64_t size_bytes = 0;
  uint32_t crc32c = 0;
};
FileChecksum ChecksumOf(const std::filesystem::path& path);

}  // namespace pawl::core
