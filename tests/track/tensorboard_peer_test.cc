#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/track/track_testing.h"
#include "track/event_file.h"
#include "track/tensorboard_sink.h"

namespace pawl::track {
namespace {

using TensorboardPeer = FolderTest;

// The real TensorBoard reads what we write. Its environment is made by bench/peers.
TEST_F(TensorboardPeer, ReadsTheScalarsAlsoAfterACutAndAResume) {
  const std::string source = PAWL_SOURCE_DIR;
  const std::string python = source + "/.venv-peers/bin/python";
  if (std::system((python + " -c 'import tensorboard' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no tensorboard in .venv-peers (bench/README.md tells how to make it)";
  }
  {
    TensorboardSink sink(folder_);
    for (int i = 1; i <= 3; ++i)
      sink.Write(i * 2048, {{"episode_return", i * 1.5}, {"entropy", 2.0}, {"approx_kl", NAN}});
  }
  CutEventsBack(folder_, 4096);
  TensorboardSink(folder_).Write(6144, {{"episode_return", 9.0}});
  const std::string out = (folder_ / "out.json").string();
  const std::string command =
      python + " " + source + "/tests/track/read_events.py " + folder_.string() + " > " + out;
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto scalars = nlohmann::json::parse(core::ReadTextFile(out));
  EXPECT_EQ(scalars.size(), 2u);
  EXPECT_EQ(scalars["rollout/ep_rew_mean"],
            nlohmann::json::parse("[[2048, 1.5], [4096, 3.0], [6144, 9.0]]"));
  EXPECT_EQ(scalars["train/entropy_loss"], nlohmann::json::parse("[[2048, -2.0], [4096, -2.0]]"));
}

}  // namespace
}  // namespace pawl::track
