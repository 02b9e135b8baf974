#include "track/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/error.h"

namespace pawl::track {
namespace {
[[noreturn]] void Fail(const char* operation, const std::filesystem::path& path) {
  const int code = errno;
  throw RunError(
      {.what = fmt::format("cannot {} '{}': {}", operation, path.string(),
                           std::generic_category().message(code)),
       .hint = code == ENOSPC || code == EDQUOT ? "free some disk space, then --resume" : ""});
}
}  // namespace

AppendFile::AppendFile(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) Fail("open", path_);
}

AppendFile::~AppendFile() { ::close(fd_); }

void AppendFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) Fail("write", path_);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void AppendFile::Sync() {
  // EINVAL: a pipe or a device, which has no disk behind it
  if (::fdatasync(fd_) != 0 && errno != EINVAL) Fail("write", path_);
}

}  // namespace pawl::track
