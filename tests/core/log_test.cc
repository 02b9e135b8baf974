#include "core/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/file.h"

namespace pawl::core {
namespace {
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove(path_); }
  void TearDown() override {
    StartLog({});
    std::filesystem::remove(path_);
  }
  // tests run side by side, in several checkouts, too; a death test is another process
  const std::string path_ = fmt::format(
      "{}pawl_log_{}_{:x}.txt", ::testing::TempDir(),
      ::testing::UnitTest::GetInstance()->current_test_info()->name(),
      std::hash<std::string>()(std::filesystem::read_symlink("/proc/self/exe").string()));
};

TEST_F(LogTest, LinesGoToTheTerminalPlainAndToTheFileWithTimeAndLevel) {
  StartLog({.file = path_});
  ::testing::internal::CaptureStderr();
  PAWL_LOG_DEBUG("detail {}", 1);
  PAWL_LOG_INFO("step {}", 2);
  PAWL_LOG_WARN("odd");
  PAWL_LOG_ERROR("bad");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "step 2\nwarning: odd\nerror: bad\n");
  const std::string text = ReadTextFile(path_);
  EXPECT_THAT(text, HasSubstr("[debug] detail 1\n"));
  EXPECT_THAT(text, HasSubstr("[info] step 2\n"));
  EXPECT_THAT(text.substr(0, text.find('\n')),
              MatchesRegex("\\[....-..-.. ..:..:..\\....\\] \\[debug\\] detail 1"));
}

TEST_F(LogTest, WhatWasLoggedBeforeTheFileIsInIt) {
  // in a process of its own: this one has started its log already
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        PAWL_LOG_DEBUG("early detail");
        PAWL_LOG_WARN("early warning");
        StartLog({.file = path_});
        PAWL_LOG_INFO("started");
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "^warning: early warning\nstarted\n$");
  EXPECT_THAT(ReadTextFile(path_), MatchesRegex(".*\\[debug\\] early detail\n.*"
                                                "\\[warning\\] early warning\n.*started\n"));
}

TEST_F(LogTest, AnExistingFileIsAppendedTo) {
  StartLog({.terminal_level = LogLevel::kOff, .file = path_});
  PAWL_LOG_INFO("first");
  StartLog({.terminal_level = LogLevel::kOff, .file = path_});
  PAWL_LOG_INFO("second");
  EXPECT_THAT(ReadTextFile(path_), HasSubstr("first"));
  EXPECT_THAT(ReadTextFile(path_), HasSubstr("second"));
}

TEST_F(LogTest, NothingIsFormattedForALevelThatNobodyWants) {
  StartLog({.terminal_level = LogLevel::kWarn});
  int evaluated = 0;
  PAWL_LOG_INFO("{}", ++evaluated);
  EXPECT_EQ(evaluated, 0);
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_TRUE(LogEnabled(LogLevel::kWarn));
}

TEST_F(LogTest, BracesInAReadyMessageAreLeftAlone) {
  StartLog({.terminal_level = LogLevel::kOff, .file = path_});
  Log(LogLevel::kInfo, "{} %v {0");
  EXPECT_THAT(ReadTextFile(path_), HasSubstr("{} %v {0\n"));
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsOneClearLine) {
  try {
    StartLog({.file = "/proc/none/log.txt"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot write the log '/proc/none/log.txt'"));
    EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
  }
}

TEST_F(LogTest, LinesOfSeveralThreadsStayWhole) {
  StartLog({.terminal_level = LogLevel::kOff, .file = path_});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 100; ++i) PAWL_LOG_INFO("<{}:{}>", t, i);
    });
  }
  for (auto& thread : threads) thread.join();
  const std::string text = ReadTextFile(path_);
  for (int t = 0; t < 4; ++t) {
    for (int i = 0; i < 100; ++i) ASSERT_THAT(text, HasSubstr(fmt::format("] <{}:{}>\n", t, i)));
  }
}

}  // namespace
}  // namespace pawl::core
