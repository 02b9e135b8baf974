// The real transformers loads what WriteModel wrote. Its environment is made by bench/peers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/buffer.h"
#include "core/error.h"
#include "core/file.h"
#include "nn/model_files.h"
#include "tests/goldens/goldens.h"
#include "tests/nn/stories260k_testing.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

class TransformersPeer : public testing::Test {
 protected:
  void SetUp() override {
    const std::string find =
        " -c 'import importlib.util as u; exit(not u.find_spec(\"transformers\"))' 2>/dev/null";
    if (std::system((python_ + find).c_str()) != 0) {
      GTEST_SKIP() << "no transformers in .venv-peers (bench/README.md tells how to make it)";
    }
    std::string pattern = testing::TempDir() + "pawl_model_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    scratch_ = pattern;
  }
  void TearDown() override {
    if (!scratch_.empty()) fs::remove_all(scratch_);
  }
  // pairs: "folder=reference" or "folder=tokens", all in one process, whose start is slow
  json Load(const std::vector<std::string>& pairs) {
    const fs::path out = scratch_ / "out.json";
    const std::string command = fmt::format("{} {}/tests/nn/check_model_folder.py {} > {}", python_,
                                            PAWL_SOURCE_DIR, fmt::join(pairs, " "), out.string());
    EXPECT_EQ(std::system(command.c_str()), 0);
    return json::parse(core::ReadTextFile(out));
  }

  const std::string python_ = std::string(PAWL_SOURCE_DIR) + "/.venv-peers/bin/python";
  fs::path scratch_;
};

struct Case {
  const char* family;
  const char* dtype;
  uint64_t max_shard_bytes;
};

TEST_F(TransformersPeer, LoadsAWrittenFolderWithoutAWord) {
  const Case cases[] = {{"llama", "float32", 1 << 30},  {"llama3", "bfloat16", 1 << 30},
                        {"mistral", "float16", 20'000}, {"qwen2", "float32", 30'000},
                        {"qwen3", "bfloat16", 1 << 30}, {"gpt2", "float32", 50'000},
                        {"gemma3", "float32", 1 << 30}};
  std::vector<std::string> pairs;
  for (const auto& [family, dtype, max_shard_bytes] : cases) {
    const fs::path golden = GoldensFolder() / "language" / family, folder = scratch_ / family;
    const DecoderLayout layout(ReadModelConfig(golden));
    core::Buffer<float> flat(layout.size());
    ReadWeights(golden, layout, flat.span());
    WriteModel(folder, layout, flat.span(), {.dtype = dtype, .max_shard_bytes = max_shard_bytes});
    pairs.push_back(folder.string() + "=" + golden.string());
  }
  const json all = Load(pairs);
  ASSERT_EQ(all.size(), std::size(cases));
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& [family, dtype, max_shard_bytes] = cases[i];
    SCOPED_TRACE(family);
    const json& found = all[i];
    const DecoderLayout layout(ReadModelConfig(scratch_ / family));
    EXPECT_EQ(found["info"], json::object());
    EXPECT_EQ(found["complaints"], json::array());
    EXPECT_EQ(found["dtype"], std::string("torch.") + dtype);
    EXPECT_EQ(found["differ"], json::array());
    EXPECT_EQ(found["config"], json::object());
    EXPECT_EQ(found["num_files"] > 1, max_shard_bytes < 100'000);
    EXPECT_EQ(found["num_tensors"], layout.parameters().size());
  }
}

// shared/data/models/stories260K/golden_numbers.txt, written by the reference program
TEST_F(TransformersPeer, Stories260kSaysWhatItsReferenceSays) {
  const auto stories = MakeStories260k();
  if (!stories) GTEST_SKIP() << kNoStories260k;
  const std::string folder = stories->folder.string();
  const json all = Load({folder + "=1", folder + "=1,403,407,261,378"});
  const json& found = all[0];
  EXPECT_EQ(found["info"], json::object());
  EXPECT_EQ(found["class"], "LlamaForCausalLM");
  const std::vector<float> logits = found["logits"];
  const float first[] = {-6.22291, 8.40434,  -6.22374, -6.22254,
                         -6.22195, -6.22288, -6.22188, -6.22342};
  for (size_t i = 0; i < std::size(first); ++i) EXPECT_NEAR(logits[i], first[i], 2e-5);
  EXPECT_NEAR(logits[403], 17.02352, 5e-5);
  // the rotary rows count from the second token on: "Once upon a time" goes on with ","
  const std::vector<float> later = all[1]["logits"];
  EXPECT_EQ(std::max_element(later.begin(), later.end()) - later.begin(), 432);
}

}  // namespace
}  // namespace pawl::nn
