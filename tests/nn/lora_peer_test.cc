// The real peft loads what WriteAdapter wrote. Its environment is made by bench/peers.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "nn/lora_files.h"
#include "tests/nn/peft_golden.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

TEST(PeftPeer, LoadsAWrittenAdapterAndComputesTheSame) {
  const std::string python = std::string(PAWL_SOURCE_DIR) + "/.venv-peers/bin/python";
  if (std::system((python + " -c 'import peft' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no peft in .venv-peers (bench/README.md tells how to make it)";
  }
  std::string pattern = testing::TempDir() + "pawl_adapter_XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  const fs::path scratch = pattern, out = scratch / "out.json";
  std::string arguments;  // all in one process, whose start is slow
  for (const PeftCase& c : PeftCases()) {
    const PeftGolden golden = ReadPeftGolden(c);
    std::vector<float> weights = golden.base.weights;
    const LoraWeights lora = ReadAdapter(golden.folder, *golden.base.layout, weights);
    const fs::path base = GoldensFolder() / "language" / c.family, folder = scratch / c.name;
    fs::create_directories(folder);
    WriteAdapter(folder, lora, *golden.base.layout, weights, base.string());
    arguments += fmt::format(" {}={}={}", base.string(), folder.string(),
                             (golden.folder / "golden.safetensors").string());
  }
  const int status = std::system(fmt::format("{} {}/tests/nn/check_adapter_folder.py{} > {}",
                                             python, PAWL_SOURCE_DIR, arguments, out.string())
                                     .c_str());
  EXPECT_EQ(status, 0);
  const json all = status == 0 ? json::parse(core::ReadTextFile(out)) : json::array();
  fs::remove_all(scratch);
  ASSERT_EQ(all.size(), PeftCases().size());
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(PeftCases()[i].name);
    EXPECT_LT(all[i]["difference"].get<double>(), 1e-4);  // sums in another order: other processors
    EXPECT_GT(all[i]["without"].get<double>(), 1e-2);     // the adapter is of weight
    EXPECT_EQ(all[i]["complaints"], json::array());
    EXPECT_GT(all[i]["stored"].get<int>(), 0);
    EXPECT_EQ(all[i]["taken"], all[i]["stored"]);
    EXPECT_EQ(all[i]["expected"], all[i]["stored"]);
  }
}

}  // namespace
}  // namespace pawl::nn
