// Helpers of the text tests: a temporary folder, and the message of an expected error.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "core/error.h"

namespace pawl::text {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "pawl-text-XXXXXX").string();
    PAWL_CHECK(mkdtemp(name.data()) != nullptr, "no temporary folder");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  // Writes a file and returns its path.
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

// The line of the user error that `f` throws; "" where it throws none.
inline std::string UserErrorOf(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.exit_code() == 2 ? error.what() : "not a user error: " + std::string(error.what());
  }
  return "";
}

}  // namespace pawl::text
