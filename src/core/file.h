// Files: whole-file reads, atomic writes, fsync. Errors are RunError with the path and the system's
// reason. A write that fails (disk full, no permission) leaves the old file as it was. Thread-safe
// (no state).
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::core {

std::string ReadTextFile(const std::filesystem::path& path);
std::vector<std::byte> ReadBinaryFile(const std::filesystem::path& path);
// Writes <path>.tmp, fsyncs, renames over path, fsyncs the folder.
void WriteFileAtomic(const std::filesystem::path& path, std::span<const std::byte> bytes);
void WriteFileAtomic(const std::filesystem::path& path, std::string_view text);
// Writes and fsyncs a file in place (used inside a folder that is renamed later).
void WriteFileSynced(const std::filesystem::path& path, std::span<const std::byte> bytes);
void WriteFileSynced(const std::filesystem::path& path, std::string_view text);
void SyncFolder(const std::filesystem::path& folder);
// CRC-32C (Castagnoli) of the bytes; seed with a previous result to go on.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t seed = 0);

}  // namespace pawl::core
