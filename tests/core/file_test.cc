#include "core/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

#include "core/error.h"

namespace pawl::core {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class File : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "pawl_file_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  static std::string ErrorOf(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  }
  fs::path folder_;
};

TEST_F(File, WhatIsWrittenIsRead) {
  const std::string text("a\0b\n", 4);
  WriteFileAtomic(folder_ / "a", text);
  EXPECT_EQ(ReadTextFile(folder_ / "a"), text);
  WriteFileAtomic(folder_ / "a", std::string_view(""));
  EXPECT_EQ(ReadTextFile(folder_ / "a"), "");
  const std::vector<std::byte> bytes(300'000, std::byte{7});
  WriteFileSynced(folder_ / "b", bytes);
  EXPECT_EQ(ReadBinaryFile(folder_ / "b"), bytes);
  EXPECT_FALSE(fs::exists(folder_ / "a.tmp"));
}

TEST_F(File, FilesThatReportNoSizeAreReadToTheirEnd) {
  EXPECT_THAT(ReadTextFile("/proc/self/status"), HasSubstr("VmPeak"));
}

TEST_F(File, ErrorsNameThePathAndTheReason) {
  const fs::path missing = folder_ / "none" / "a";
  EXPECT_THAT(ErrorOf([&] { ReadTextFile(missing); }),
              AllOf(HasSubstr(missing.string()), HasSubstr("No such file or directory"),
                    Not(HasSubstr("\n"))));
  EXPECT_THAT(ErrorOf([&] { ReadTextFile(folder_); }), HasSubstr("Is a directory"));
  EXPECT_THAT(ErrorOf([&] { WriteFileAtomic(missing, std::string_view("x")); }),
              HasSubstr("No such file or directory"));
  fs::create_directory(folder_ / "taken");
  EXPECT_THAT(ErrorOf([&] { WriteFileAtomic(folder_ / "taken", std::string_view("x")); }),
              HasSubstr("Is a directory"));
  EXPECT_FALSE(fs::exists(folder_ / "taken.tmp"));
}

TEST_F(File, AFullDeviceIsOneClearLine) {
  EXPECT_THAT(ErrorOf([] { WriteFileSynced("/dev/full", std::string_view("x")); }),
              AllOf(HasSubstr("cannot write '/dev/full': No space left on device"),
                    HasSubstr("free some disk space")));
}

TEST_F(File, ADiskThatFillsUpKeepsTheOldFile) {
  if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "cannot mount a small tmpfs here: " << std::strerror(errno);
  }
  WriteFileAtomic(folder_ / "state", std::string_view("old"));
  const std::string error =
      ErrorOf([&] { WriteFileAtomic(folder_ / "state", std::vector<std::byte>(1 << 20)); });
  const std::string kept = ReadTextFile(folder_ / "state");
  const bool left_over = fs::exists(folder_ / "state.tmp");
  ::umount(folder_.c_str());
  EXPECT_THAT(error, HasSubstr("No space left on device"));
  EXPECT_EQ(kept, "old");
  EXPECT_FALSE(left_over);
}

// A size limit makes the kernel cut a write short and then fail the next one, as a full disk does;
// it needs no rights.
TEST_F(File, AWriteCutShortKeepsTheOldFile) {
  WriteFileAtomic(folder_ / "state", std::string_view("old"));
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit small{.rlim_cur = 10'000, .rlim_max = old_limit.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string error =
      ErrorOf([&] { WriteFileAtomic(folder_ / "state", std::vector<std::byte>(1 << 20)); });
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(error, HasSubstr("File too large"));
  EXPECT_EQ(ReadTextFile(folder_ / "state"), "old");
  EXPECT_FALSE(fs::exists(folder_ / "state.tmp"));
}

TEST_F(File, AFolderWithoutWritePermissionIsOneClearLine) {
  fs::create_directory(folder_ / "locked");
  ::chmod((folder_ / "locked").c_str(), 0555);
  ::chmod(folder_.c_str(), 0755);
  // root may write everywhere: a child process steps down first
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(2);
    const std::string error =
        ErrorOf([&] { WriteFileAtomic(folder_ / "locked" / "a", std::string_view("x")); });
    const bool clear = error.find("Permission denied (check the permissions") != std::string::npos;
    ::_exit(clear ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "root cannot give up its rights here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Crc32c, MatchesPublishedValues) {
  const auto crc = [](std::string_view text) { return Crc32c(std::as_bytes(std::span(text))); };
  EXPECT_EQ(crc(""), 0u);
  EXPECT_EQ(crc("123456789"), 0xE3069283u);              // the check value of the CRC catalogue
  EXPECT_EQ(crc(std::string(32, '\0')), 0x8A9136AAu);    // RFC 3720, B.4
  EXPECT_EQ(crc(std::string(32, '\xff')), 0x62A8AB43u);  // RFC 3720, B.4
}

TEST(Crc32c, GoesOnFromAPreviousResultAtEveryCut) {
  std::vector<std::byte> bytes(67);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 + 11);
  const uint32_t whole = Crc32c(bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const auto parts = std::span(bytes);
    EXPECT_EQ(Crc32c(parts.subspan(cut), Crc32c(parts.first(cut))), whole) << cut;
  }
}

TEST(Crc32c, EveryFlippedBitChangesIt) {
  std::vector<std::byte> bytes(40, std::byte{0x5A});
  const uint32_t whole = Crc32c(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_NE(Crc32c(flipped), whole) << bit;
  }
}

}  // namespace
}  // namespace pawl::core
