#include "track/progress_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace pawl::track {
namespace {
using ::testing::HasSubstr;
using ::testing::Not;

// A sink that writes into memory on a clock of our own.
class ProgressSinkTest : public ::testing::Test {
 protected:
  ~ProgressSinkTest() override {
    std::fclose(file_);
    std::free(data_);
  }
  ProgressOptions Options(int live) {
    return {.name = "reach",
            .total_steps = 100000,
            .out = file_,
            .live = live,
            .width = 200,
            .now_s = [this] { return now_; }};
  }
  std::string Output() {
    std::fflush(file_);
    return std::string(data_, size_);
  }

  char* data_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_ = ::open_memstream(&data_, &size_);
  double now_ = 0;
};

TEST_F(ProgressSinkTest, LiveLineShowsShareSpeedReturnSuccessAndTimeLeft) {
  ProgressSink sink(Options(1));
  now_ = 5;
  sink.Write(50000, {{"episode_return", 12.34}, {"success_rate", 0.875}});
  EXPECT_EQ(Output(),
            "\r\x1b[Kreach  [==========>         ]   50 %  50k / 100k steps  10k steps/s  return "
            "12.3  success 87.5 %  "
            "5.0 s left");
}

TEST_F(ProgressSinkTest, LiveLineIsRedrawnTenTimesASecondAtMostAndAlwaysAtTheEnd) {
  ProgressSink sink(Options(1));
  now_ = 1;
  sink.Write(1000, {});
  const size_t once = Output().size();
  now_ = 1.05;
  sink.Write(2000, {});
  EXPECT_EQ(Output().size(), once);
  sink.Write(100000, {});
  EXPECT_THAT(Output(), HasSubstr("100 %"));
}

TEST_F(ProgressSinkTest, ALineFitsTheTerminal) {
  ProgressOptions options = Options(1);
  options.width = 30;
  ProgressSink sink(std::move(options));
  now_ = 1;
  sink.Write(1000, {});
  EXPECT_EQ(Output().size(), std::string("\r\x1b[K").size() + 29);
}

TEST_F(ProgressSinkTest, PlainLinesAreFewAndHoldNoControlCharacters) {
  ProgressSink sink(Options(0));
  for (int i = 1; i <= 1000; ++i) {
    now_ = i * 0.1;
    sink.Write(i * 100, {{"episode_return", NAN}});
  }
  const std::string output = Output();
  const auto lines = std::count(output.begin(), output.end(), '\n');
  EXPECT_GE(lines, 20);
  EXPECT_LE(lines, 22);
  EXPECT_THAT(output, Not(HasSubstr("\x1b")));
  EXPECT_THAT(output, Not(HasSubstr("return")));  // undefined: left out
  EXPECT_THAT(output, HasSubstr("100 %  100k / 100k steps"));
}

TEST_F(ProgressSinkTest, SpeedAfterAResumeCountsOnlyNewSteps) {
  ProgressOptions options = Options(0);
  options.first_step = 90000;
  ProgressSink sink(std::move(options));
  now_ = 2;
  sink.Write(92000, {});
  EXPECT_THAT(Output(), HasSubstr("1k steps/s"));
}

TEST_F(ProgressSinkTest, ALanguageRunCountsUpdatesAndShowsTokensAndLoss) {
  ProgressOptions options = Options(0);
  options.unit = "updates";
  options.speed_of = "tokens";
  options.first_step = 40000;
  options.first_count = 4e6;
  options.shown = {{"loss", "loss"}};
  ProgressSink sink(std::move(options));
  now_ = 10;
  sink.Write(50000, {{"tokens", 4.5e6}, {"loss", 1.5678}, {"episode_return", 3}});
  EXPECT_EQ(Output(), "reach   50 %  50k / 100k updates  50k tokens/s  loss 1.57  50 s left\n");
}

TEST_F(ProgressSinkTest, TheNumbersComeBeforeTheBarWhereTheTerminalIsNarrow) {
  for (const int width : {100, 80, 66, 60}) {
    ProgressOptions options = Options(1);
    options.width = width;
    const size_t before = Output().size();
    {
      ProgressSink sink(std::move(options));
      now_ += 5;
      sink.Write(50000, {{"episode_return", 12.34}, {"success_rate", 0.875}});
    }
    const std::string line = Output().substr(before);
    EXPECT_LT(line.size(), std::string("\r\x1b[K\n").size() + width);
    EXPECT_THAT(line, HasSubstr("success 87.5 %  ")) << width;
    EXPECT_THAT(line, HasSubstr(" left")) << width;
  }
}

TEST_F(ProgressSinkTest, TheLastLiveLineStays) {
  {
    ProgressSink sink(Options(1));
    now_ = 1;
    sink.Write(100000, {});
  }
  EXPECT_TRUE(Output().ends_with("steps/s\n")) << Output();
}

}  // namespace
}  // namespace pawl::track
