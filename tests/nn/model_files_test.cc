#include "nn/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/buffer.h"
#include "core/safetensors.h"
#include "tests/goldens/goldens.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kFolders[] = {"llama", "llama3", "mistral", "qwen2",
                                    "qwen3", "gpt2",   "gemma3"};

fs::path Golden(const std::string& folder) { return GoldensFolder() / "language" / folder; }

TEST(ReadWeights, EveryTensorLiesWhereTheLayoutSays) {
  for (const char* folder : kFolders) {
    SCOPED_TRACE(folder);
    const DecoderLayout layout(ReadModelConfig(Golden(folder)));
    core::Buffer<float> flat(layout.size());
    std::fill(flat.data(), flat.data() + flat.size(), 3.0f);
    ReadWeights(Golden(folder), layout, flat.span());
    const auto file = core::ReadSafetensors((Golden(folder) / "model.safetensors").string());
    EXPECT_EQ(file.arrays().size(), layout.parameters().size());
    size_t covered = 0;
    for (const ModelParameter& p : layout.parameters()) {
      const auto stored = file.Get<float>(p.name);
      ASSERT_EQ(stored.size(), p.count);
      covered += p.count;
      const int64_t out = p.shape[0], in = p.is_matrix() ? p.shape[1] : 1;
      for (int64_t o = 0; o < out; ++o) {
        for (int64_t i = 0; i < in; ++i) {
          const float theirs = p.stored_transposed ? stored[i * out + o] : stored[o * in + i];
          ASSERT_EQ(flat.data()[p.offset + o * in + i], theirs) << p.name;
        }
      }
    }
    // the rest is padding
    size_t zeros = 0, in_file = 0;
    for (const float value : flat.span()) zeros += value == 0;
    for (const auto& array : file.arrays()) {
      for (const float value : file.Get<float>(array.name)) in_file += value == 0;
    }
    EXPECT_EQ(zeros, layout.size() - covered + in_file);
  }
}

}  // namespace
}  // namespace pawl::nn
