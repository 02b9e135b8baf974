// A file that only grows, record by record: each Append is handed to the system at once, so that a
// killed process loses nothing that was appended. One thread.
#pragma once
#include <filesystem>
#include <string_view>

namespace pawl::track {

class AppendFile {
 public:
  // Opens or creates; throws RunError with the path and the system's reason, as do the others.
  explicit AppendFile(std::filesystem::path path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void Append(std::string_view bytes);
  // Waits until the disk has everything.
  void Sync();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace pawl::track
