#include "train/checkpoint_writer.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "train_testing.h"

namespace pawl::train {
namespace {

TEST(CheckpointWriter, GivesALargeStateTheTimeThatASlowDiskNeeds) {
  using std::chrono::seconds;
  EXPECT_EQ(CheckpointWriter::AllowedSeconds(0), seconds(300));
  // 8e9 parameters, each with two moments, at 50 MB/s
  const size_t bytes = size_t{8'000'000'000} * 12;
  EXPECT_GT(CheckpointWriter::AllowedSeconds(bytes), seconds(bytes / 50'000'000));
}

TEST(CheckpointWriter, ThrowsAtTheNextCallWhatAWriteThrew) {
  TempFolder folder;
  std::ofstream(folder / "file") << "x";
  CheckpointWriter writer(folder / "file", 3);  // no folder can be made in a file
  writer.Start(1, {{"a", {}}}, {});
  EXPECT_THROW(writer.Wait(), Error);
  EXPECT_NO_THROW(writer.Wait());
}

}  // namespace
}  // namespace pawl::train
