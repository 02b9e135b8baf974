#include "core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/error.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace pawl::core {
namespace {
namespace fs = std::filesystem;

Error SystemError(const char* operation, const fs::path& path, int code) {
  const char* hint = "";
  if (code == ENOSPC || code == EDQUOT) hint = "free some disk space or choose another folder";
  if (code == EACCES || code == EPERM || code == EROFS)
    hint = "check the permissions of the file and its folder";
  return RunError({.what = fmt::format("cannot {} '{}': {}", operation, path.string(),
                                       std::generic_category().message(code)),
                   .hint = hint});
}

}  // namespace

// Owns a descriptor; Close() reports what the destructor must swallow.
class internal::Descriptor {
 public:
  Descriptor(const char* operation, const fs::path& path, int flags)
      : operation_(operation), path_(path) {
    // a pipe is opened without waiting for its other end, and then refused
    do {
      fd_ = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0666);
    } while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) throw SystemError(operation, path, errno);
    struct stat status = {};
    if (::fstat(fd_, &status) != 0 || S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) {
      ::close(fd_);
      throw RunError(
          {.what = fmt::format("cannot {} '{}': a pipe, no file", operation, path.string())});
    }
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  // Returns 0 only at the end of the file.
  size_t Read(void* out, size_t size) {
    ssize_t count;
    do {
      count = ::read(fd_, out, size);
    } while (count < 0 && errno == EINTR);
    if (count < 0) Fail();
    return static_cast<size_t>(count);
  }
  void WriteAll(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) Fail();
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
  }
  void Sync() {
    int result;
    do {
      result = ::fsync(fd_);
    } while (result < 0 && errno == EINTR);
    // some file systems cannot sync a folder and say so with these two
    if (result < 0 && errno != EINVAL && errno != ENOTSUP) Fail();
  }
  // On network file systems a full disk may show up only here. EINTR: the descriptor is gone on
  // Linux all the same.
  void Close() {
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) < 0 && errno != EINTR) Fail();
  }
  size_t SizeHint() const {
    struct stat info;
    return ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<size_t>(info.st_size)
                                                             : 0;
  }
  // Of a regular file; what is not one cannot be mapped.
  std::span<const std::byte> Map() const {
    struct stat info;
    if (::fstat(fd_, &info) < 0) Fail();
    if (!S_ISREG(info.st_mode)) throw SystemError(operation_, path_, EINVAL);
    const auto size = static_cast<size_t>(info.st_size);
    if (size == 0) return {};
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd_, 0);
    if (data == MAP_FAILED) Fail();
    return {static_cast<const std::byte*>(data), size};
  }

 private:
  [[noreturn]] void Fail() const { throw SystemError(operation_, path_, errno); }

  const char* operation_;
  fs::path path_;
  int fd_ = -1;
};

namespace {
using internal::Descriptor;

// Reads to the end of the file, not to its reported size: pipes and /proc report 0.
template <class Container>
Container ReadWhole(const fs::path& path) {
  Descriptor file("read", path, O_RDONLY);
  Container contents;
  size_t used = 0;
  contents.resize(file.SizeHint() + 1);
  while (const size_t count = file.Read(contents.data() + used, contents.size() - used)) {
    used += count;
    if (used == contents.size()) contents.resize(contents.size() * 2);
  }
  contents.resize(used);
  return contents;
}

std::span<const std::byte> AsBytes(std::string_view text) { return std::as_bytes(std::span(text)); }

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
    table[i] = crc;
  }
  return table;
}();

uint32_t CrcPortable(const std::byte* data, size_t size, uint32_t crc) {
  for (size_t i = 0; i < size; ++i)
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint8_t>(data[i])) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t CrcSse42(const std::byte* data, size_t size,
                                                    uint32_t crc) {
  uint64_t wide = crc;
  for (; size >= 8; size -= 8, data += 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  return CrcPortable(data, size, static_cast<uint32_t>(wide));
}
#endif
}  // namespace

std::string ReadTextFile(const fs::path& path) { return ReadWhole<std::string>(path); }

std::vector<std::byte> ReadBinaryFile(const fs::path& path) {
  return ReadWhole<std::vector<std::byte>>(path);
}

void WriteFileSynced(const fs::path& path, std::span<const std::byte> bytes) {
  WriteFileSynced(path, std::span(&bytes, 1));
}
void WriteFileSynced(const fs::path& path, std::span<const std::span<const std::byte>> pieces) {
  Descriptor file("write", path, O_WRONLY | O_CREAT | O_TRUNC);
  for (const auto& piece : pieces) file.WriteAll(piece);
  file.Sync();
  file.Close();
}

AtomicFile::AtomicFile(const fs::path& path)
    : path_(path),
      temporary_(path.string() + ".tmp"),
      file_(std::make_unique<Descriptor>("write", temporary_, O_WRONLY | O_CREAT | O_TRUNC)) {}

AtomicFile::~AtomicFile() {
  if (file_ != nullptr) ::unlink(temporary_.c_str());
}

void AtomicFile::Write(std::span<const std::byte> bytes) { file_->WriteAll(bytes); }

void AtomicFile::Commit() {
  file_->Sync();
  file_->Close();
  if (::rename(temporary_.c_str(), path_.c_str()) < 0) throw SystemError("write", path_, errno);
  file_.reset();
  SyncFolder(path_.has_parent_path() ? path_.parent_path() : ".");
}

void WriteFileAtomic(const fs::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.Write(bytes);
  file.Commit();
}

void WriteFileAtomic(const fs::path& path, std::string_view text) {
  WriteFileAtomic(path, AsBytes(text));
}
void WriteFileSynced(const fs::path& path, std::string_view text) {
  WriteFileSynced(path, AsBytes(text));
}

void SyncFolder(const fs::path& folder) {
  Descriptor descriptor("sync", folder, O_RDONLY | O_DIRECTORY);
  descriptor.Sync();
  descriptor.Close();
}

MappedFile::MappedFile(const fs::path& path) : bytes_(Descriptor("read", path, O_RDONLY).Map()) {}
MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void CommitFolder(const fs::path& temporary, const fs::path& folder) {
  SyncFolder(temporary);
  std::error_code ignored;
  const auto rename = [](const fs::path& from, const fs::path& to, unsigned flags) {
    return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0;
  };
  fs::path old = folder;
  old += ".old";
  // where a process died between the two renames below, it is the only one
  if (!fs::exists(folder, ignored)) rename(old, folder, 0);
  fs::remove_all(old, ignored);
  const bool replaces = fs::exists(folder, ignored);
  bool done = rename(temporary, folder, replaces ? RENAME_EXCHANGE : 0);
  if (done) {
    old = temporary;  // after the exchange the old folder
  } else if (replaces && (errno == EINVAL || errno == ENOSYS)) {
    // a file system that cannot exchange
    done = rename(folder, old, 0) && rename(temporary, folder, 0);
    if (!done) {
      const int code = errno;
      rename(old, folder, 0);  // nothing to do where the first one failed
      errno = code;
    }
  }
  if (!done) throw SystemError("write", folder, errno);
  SyncFolder(folder.has_parent_path() ? folder.parent_path() : ".");
  fs::remove_all(old, ignored);
}

fs::path MakeTemporaryFolder(const fs::path& folder) {
  fs::path temporary = folder;
  temporary += ".tmp";
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directories(temporary, error);
  if (error) {
    throw RunError({.what = fmt::format("cannot make the folder ({})", error.message()),
                    .where = temporary.string(),
                    .hint = "is the disk full, or the place not writable?"});
  }
  return temporary;
}

void ReplaceFolder(const fs::path& folder, const std::function<void(const fs::path&)>& fill) {
  const fs::path temporary = MakeTemporaryFolder(folder);
  std::error_code error;
  try {
    fill(temporary);
    CommitFolder(temporary, folder);
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
}

FileChecksum ChecksumOf(const fs::path& path) {
  constexpr size_t kBlock = size_t{1} << 20;
  Descriptor file("read", path, O_RDONLY);
  std::vector<std::byte> block(kBlock);
  FileChecksum result;
  while (const size_t count = file.Read(block.data(), block.size())) {
    result.size_bytes += count;
    result.crc32c = Crc32c(std::span(block).first(count), result.crc32c);
  }
  return result;
}

uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t seed) {
  const uint32_t crc = ~seed;
#if defined(__x86_64__)
  static const bool has_sse42 = __builtin_cpu_supports("sse4.2");
  if (has_sse42) return ~CrcSse42(bytes.data(), bytes.size(), crc);
#endif
  return ~CrcPortable(bytes.data(), bytes.size(), crc);
}

}  // namespace pawl::core
