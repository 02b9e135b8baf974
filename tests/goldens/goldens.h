// Where recorded results of other systems lie: tests/goldens, or the folder in PAWL_GOLDENS, into
// which the peer test (peer_test) records them anew, with other seeds.
#pragma once
#include <cstdlib>
#include <filesystem>

namespace pawl {

inline std::filesystem::path GoldensFolder() {
  const char* fresh = std::getenv("PAWL_GOLDENS");
  return fresh != nullptr ? std::filesystem::path(fresh)
                          : std::filesystem::path(PAWL_SOURCE_DIR) / "tests/goldens";
}

}  // namespace pawl
