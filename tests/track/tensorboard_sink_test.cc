#include "track/tensorboard_sink.h"

#include <cmath>

#include "tests/track/track_testing.h"

namespace pawl::track {
namespace {

using TensorboardSinkTest = FolderTest;

TEST_F(TensorboardSinkTest, StartsOneFileAndResumesIntoIt) {
  {
    TensorboardSink(folder_, [] { return 100.0; }).Write(1, {{"approx_kl", 0.5}});
  }
  {
    TensorboardSink(folder_, [] { return 200.0; }).Write(2, {{"approx_kl", 0.25}});
  }
  const auto files = FindEventFiles(folder_);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_TRUE(files[0].filename().string().starts_with("events.out.tfevents.100."));
  const std::string bytes = core::ReadTextFile(files[0]);
  const auto records = ParseRecords(bytes);
  ASSERT_EQ(records.size(), 3u);  // the version and two events
  EXPECT_EQ(records[1].step, 1);
  EXPECT_EQ(records[2].step, 2);
}

TEST_F(TensorboardSinkTest, WritesTheTagsOfTheTableAndLeavesUndefinedOut) {
  TensorboardSink sink(folder_, [] { return 1.0; });
  sink.Write(5, {{"entropy", 2.0}, {"episode_return", NAN}, {"my_metric", 3.0}});
  sink.Write(6, {{"episode_return", NAN}});  // nothing defined: no event
  const std::string bytes = core::ReadTextFile(sink.path());
  const auto records = ParseRecords(bytes);
  ASSERT_EQ(records.size(), 2u);
  const std::vector<Scalar> expected = {{.tag = "train/entropy_loss", .value = -2.0f},
                                        {.tag = "pawl/my_metric", .value = 3.0f}};
  EXPECT_EQ(records[1].message, EncodeScalars(1.0, 5, expected));
}

}  // namespace
}  // namespace pawl::track
