#include "track/metric_table.h"

#include <gtest/gtest.h>

#include <set>

#include "core/file.h"

namespace pawl::track {
namespace {

TEST(MetricTable, NamesAndTagsAreUnique) {
  std::set<std::string> names, tags;
  for (const MetricInfo& info : MetricTable()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_TRUE(tags.insert(info.tag).second) << info.tag;
  }
}

TEST(MetricTable, KnowsStableBaselinesTags) {
  EXPECT_EQ(TensorboardTag("episode_return"), "rollout/ep_rew_mean");
  EXPECT_EQ(TensorboardTag("policy_loss"), "train/policy_gradient_loss");
  EXPECT_EQ(TensorboardTag("entropy"), "train/entropy_loss");
  EXPECT_EQ(FindMetric("entropy")->tag_scale, -1);
  EXPECT_EQ(TensorboardTag("grasp_height"), "pawl/grasp_height");
  EXPECT_EQ(FindMetric("grasp_height"), nullptr);
}

TEST(MetricTable, EveryMetricIsInTheDocumentationWithItsTag) {
  const std::string docs = core::ReadTextFile(std::string(PAWL_SOURCE_DIR) + "/docs/metrics.md");
  for (const MetricInfo& info : MetricTable()) {
    const size_t row = docs.find("\n| `" + std::string(info.name) + "` |");
    ASSERT_NE(row, std::string::npos) << info.name;
    const std::string line = docs.substr(row + 1, docs.find('\n', row + 1) - row - 1);
    EXPECT_NE(line.find("`" + std::string(info.tag) + "`"), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace pawl::track
