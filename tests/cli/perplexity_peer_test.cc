// `pawl eval --text` and the real transformers give the same numbers. The peer's environment is
// made by bench/peers.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"

namespace pawl {
namespace {
namespace fs = std::filesystem;

TEST(PerplexityPeer, EqualsTheSlidingWindowOfTransformers) {
  const std::string python = std::string(PAWL_SOURCE_DIR) + "/.venv-peers/bin/python";
  const std::string find =
      " -c 'import importlib.util as u; exit(not u.find_spec(\"transformers\"))' 2>/dev/null";
  if (std::system((python + find).c_str()) != 0)
    GTEST_SKIP() << "no transformers in .venv-peers (bench/README.md tells how to make it)";
  std::string folder = testing::TempDir() + "pawl_perplexity_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string command =
      fmt::format("{0} {1}/tests/cli/check_perplexity.py {2} {3} > {3}/out.json", python,
                  PAWL_SOURCE_DIR, PAWL_BINARY, folder);
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto rows = nlohmann::json::parse(core::ReadTextFile(folder + "/out.json"));
  fs::remove_all(folder);
  ASSERT_EQ(rows.size(), 32u);  // 2 models, 4 windows, 4 quantities
  for (const auto& row : rows) {
    const double ours = row["pawl"], theirs = row["transformers"];
    EXPECT_LE(std::abs(ours / theirs - 1), 1e-4) << row.dump();
    EXPECT_EQ(row["items"][0], row["items"][1]) << row.dump();
  }
}
}  // namespace
}  // namespace pawl
