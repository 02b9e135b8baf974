#include <gtest/gtest.h>

#include "nn/model_files.h"
#include "tests/nn/stories260k_testing.h"

namespace pawl::nn {
namespace {

TEST(Stories260k, BecomesALlamaFolder) {
  const auto stories = MakeStories260k();
  if (!stories) GTEST_SKIP() << kNoStories260k;
  const ModelConfig config = ReadModelConfig(stories->folder);
  EXPECT_EQ(config.family, ModelFamily::kLlama);
  EXPECT_EQ(CountParameters(config), 260'032);
  const DecoderLayout layout(config);
  core::Buffer<float> flat(layout.size());
  ReadWeights(stories->folder, layout, flat.span());
  // norm factors of a trained model lie around 1
  for (int64_t i = 0; i < config.width; ++i) {
    EXPECT_GT(flat.data()[layout.final_norm().weight + i], 0.1f);
  }
}

}  // namespace
}  // namespace pawl::nn
