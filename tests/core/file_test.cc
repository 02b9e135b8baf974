#include "core/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>

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

TEST_F(File, APipeIsRefusedWithoutWaitingForItsOtherEnd) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto message = [&](const auto& read) -> std::string {
    try {
      read();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message([&] { ReadTextFile(pipe); }), HasSubstr("a pipe, no file"));
  EXPECT_THAT(message([&] { MappedFile mapped(pipe); }), HasSubstr("a pipe, no file"));
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

// From here on this process cannot exchange two names, as on a file system that knows no
// RENAME_EXCHANGE. False where the kernel does not let it.
bool ForbidExchange() {
  constexpr auto kFlags =
      static_cast<uint32_t>(offsetof(seccomp_data, args) + 4 * sizeof(uint64_t));
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kFlags),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// In a child process that cannot exchange: whether `check` holds there. Nothing where it can.
std::optional<bool> WithoutExchange(const std::function<bool()>& check) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!ForbidExchange()) ::_exit(2);
    ::_exit(check() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) return std::nullopt;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class Folder : public File {
 protected:
  // A folder of that name with one file.
  fs::path Make(const fs::path& folder, std::string_view text) {
    fs::create_directories(folder);
    WriteFileSynced(folder / "a", text);
    return folder;
  }
};

TEST_F(Folder, IsReplacedWhole) {
  const fs::path target = folder_ / "model";
  for (const std::string_view text : {"one", "two"}) {
    ReplaceFolder(target, [&](const fs::path& t) { WriteFileSynced(t / "a", text); });
    EXPECT_EQ(ReadTextFile(target / "a"), text);
  }
  EXPECT_FALSE(fs::exists(folder_ / "model.tmp"));
  EXPECT_FALSE(fs::exists(folder_ / "model.old"));
}

TEST_F(Folder, IsReplacedWhereNamesCannotBeExchanged) {
  const fs::path target = Make(folder_ / "model", "one");
  const auto done = WithoutExchange([&] {
    ReplaceFolder(target,
                  [](const fs::path& t) { WriteFileSynced(t / "a", std::string_view("two")); });
    return true;
  });
  if (!done) GTEST_SKIP() << "no system call can be forbidden here";
  EXPECT_TRUE(*done);
  EXPECT_EQ(ReadTextFile(target / "a"), "two");
  EXPECT_FALSE(fs::exists(folder_ / "model.old"));
}

// The new one lies on another file system: the old one goes to .old, then the second rename fails.
TEST_F(Folder, StaysWhereTheSecondRenameFails) {
  const fs::path target = Make(folder_ / "model", "one");
  const fs::path elsewhere = fs::path("/dev/shm") / folder_.filename();
  std::error_code error;
  if (!fs::create_directories(elsewhere, error)) GTEST_SKIP() << "no /dev/shm";
  Make(elsewhere / "new", "two");
  const auto done = WithoutExchange([&] {
    const std::string said = ErrorOf([&] { CommitFolder(elsewhere / "new", target); });
    return said.find("Invalid cross-device link") != std::string::npos;
  });
  fs::remove_all(elsewhere);
  if (!done) GTEST_SKIP() << "no system call can be forbidden here";
  EXPECT_TRUE(*done);
  ASSERT_TRUE(fs::exists(target));
  EXPECT_EQ(ReadTextFile(target / "a"), "one");
}

// As a process leaves it that dies between the two renames; the next try fails, too.
TEST_F(Folder, ComesBackWhereOnlyTheOldOneIsLeft) {
  Make(folder_ / "model.old", "one");
  const fs::path target = folder_ / "model";
  const fs::path elsewhere = fs::path("/dev/shm") / folder_.filename();
  std::error_code error;
  if (!fs::create_directories(elsewhere, error)) GTEST_SKIP() << "no /dev/shm";
  Make(elsewhere / "new", "two");
  EXPECT_THAT(ErrorOf([&] { CommitFolder(elsewhere / "new", target); }),
              HasSubstr("Invalid cross-device link"));
  fs::remove_all(elsewhere);
  ASSERT_TRUE(fs::exists(target));
  EXPECT_EQ(ReadTextFile(target / "a"), "one");
  ReplaceFolder(target,
                [](const fs::path& t) { WriteFileSynced(t / "a", std::string_view("two")); });
  EXPECT_EQ(ReadTextFile(target / "a"), "two");
  EXPECT_FALSE(fs::exists(folder_ / "model.old"));
}

TEST(ChecksumOf, IsThatOfTheBytesRead) {
  const fs::path path = fs::path(::testing::TempDir()) / fmt::format("pawl_sum_{}", ::getpid());
  std::vector<std::byte> bytes((size_t{1} << 20) + 17);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 + 11);
  for (const size_t size : {size_t{0}, size_t{5}, size_t{1} << 20, bytes.size()}) {
    const auto part = std::span(bytes).first(size);
    WriteFileSynced(path, part);
    EXPECT_EQ(ChecksumOf(path).size_bytes, size);
    EXPECT_EQ(ChecksumOf(path).crc32c, Crc32c(part));
  }
  fs::remove(path);
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
