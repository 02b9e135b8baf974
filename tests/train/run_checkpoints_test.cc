#include "train/run_checkpoints.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/file.h"
#include "train_testing.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;

std::vector<std::byte> Pattern(size_t size, int seed) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 31 + seed) % 251);
  return bytes;
}

TEST(RunCheckpoints, WhatIsHandedOverAsViewsIsOnTheDiskWhenSaveReturns) {
  const TempFolder folder;
  const RunFolder run{folder / "run"};
  RunCheckpoints checkpoints(run, {.keep = 100});
  for (int64_t step = 1; step <= 20; ++step) {
    // three pieces, one of them empty: a file is all of them in order
    std::vector<std::byte> head = Pattern(100, 1), tail = Pattern(300'000, static_cast<int>(step));
    std::vector<std::byte> whole = head;
    whole.insert(whole.end(), tail.begin(), tail.end());
    nn::CheckpointViews views;
    views["state/large.bin"] = {head, {}, tail};
    nn::CheckpointFiles files;
    files["state/small.bin"] = Pattern(10, 2);
    checkpoints.Save(step, step, std::move(files), {.score = 1, .step = step}, std::move(views));
    const fs::path saved = nn::CheckpointFolder(run.checkpoints(), step);
    ASSERT_TRUE(fs::exists(saved / "COMMIT")) << step;
    std::fill(head.begin(), head.end(), std::byte{0xFF});  // the learner goes on
    std::fill(tail.begin(), tail.end(), std::byte{0xFF});
    const auto read = nn::ReadCheckpoint(saved);
    EXPECT_TRUE(std::ranges::equal(read.at("state/large.bin").bytes(), whole)) << step;
    EXPECT_TRUE(std::ranges::equal(read.at("state/small.bin").bytes(), Pattern(10, 2))) << step;
    EXPECT_TRUE(checkpoints.IsSaved(step));
  }
  checkpoints.Wait();
  EXPECT_NE(core::ReadTextFile(run.best()).find("20"), std::string::npos);
}

}  // namespace
}  // namespace pawl::train
