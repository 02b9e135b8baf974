#include "nn/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "core/error.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;

class Checkpoint : public testing::Test {
 protected:
  Checkpoint() {
    std::string name = (fs::temp_directory_path() / "pawl-checkpoint-XXXXXX").string();
    PAWL_CHECK(mkdtemp(name.data()) != nullptr);
    root_ = name;
  }
  ~Checkpoint() override { fs::remove_all(root_); }
  static std::vector<std::byte> Bytes(const std::string& text) {
    const auto* p = reinterpret_cast<const std::byte*>(text.data());
    return {p, p + text.size()};
  }
  static CheckpointFiles Files(const std::string& text) {
    return {{"policy/a.bin", Bytes(text)}, {"state/b.bin", Bytes(text + text)}};
  }
  // What ReadCheckpoint finds, copied.
  static CheckpointFiles Contents(const fs::path& folder) {
    CheckpointFiles files;
    for (const auto& [path, file] : ReadCheckpoint(folder))
      files[path] = {file.bytes().begin(), file.bytes().end()};
    return files;
  }
  std::string ReadError(const fs::path& folder) {
    try {
      ReadCheckpoint(folder);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  std::string CommitError(int64_t step, const CheckpointFiles& files) {
    try {
      CommitCheckpoint(root_, step, files);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  fs::path root_;
};

TEST_F(Checkpoint, ReadsBackWhatWasCommitted) {
  CommitCheckpoint(root_, 2048, Files("hello"));
  EXPECT_EQ(CheckpointFolder(root_, 2048).filename(), "step_000000002048");
  EXPECT_EQ(Contents(CheckpointFolder(root_, 2048)), Files("hello"));
}

TEST_F(Checkpoint, ListsTheNewestFirstAndOnlyCommittedOnes) {
  for (int64_t step : {100, 300, 200}) CommitCheckpoint(root_, step, Files("x"));
  fs::create_directories(root_ / "step_000000000400");      // no COMMIT
  fs::create_directories(root_ / "step_000000000500.tmp");  // torn
  fs::create_directories(root_ / "notes");
  const auto all = ListCheckpoints(root_);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].step, 300);
  EXPECT_EQ(all[2].step, 100);
}

TEST_F(Checkpoint, EverySingleBitFlipOfDataIsFound) {
  CommitCheckpoint(root_, 1, Files("payload"));
  const fs::path file = CheckpointFolder(root_, 1) / "policy/a.bin";
  for (int bit = 0; bit < 7 * 8; ++bit) {
    std::string damaged = "payload";
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    std::ofstream(file, std::ios::binary) << damaged;
    EXPECT_NE(ReadError(CheckpointFolder(root_, 1)).find("a.bin"), std::string::npos) << bit;
  }
}

TEST_F(Checkpoint, CutShortMissingOrUncommittedFilesAreNamed) {
  CommitCheckpoint(root_, 1, Files("payload"));
  const fs::path folder = CheckpointFolder(root_, 1);
  fs::resize_file(folder / "state/b.bin", 3);
  EXPECT_NE(ReadError(folder).find("cut short"), std::string::npos);
  fs::remove(folder / "state/b.bin");
  EXPECT_NE(ReadError(folder).find("b.bin"), std::string::npos);
  fs::remove(folder / "COMMIT");
  EXPECT_NE(ReadError(folder).find("COMMIT"), std::string::npos);
}

// In kB, of /proc/self/status; -1 where it does not say.
int64_t Status(const std::string& key) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1));
  }
  return -1;
}

TEST_F(Checkpoint, AreReadWithoutMemoryOfTheirOwn) {
  const std::vector<std::byte> large(size_t{64} << 20, std::byte{7});
  CommitCheckpoint(root_, 1, {{"state/a.bin", large}});
  const int64_t before = Status("RssAnon");
  if (before < 0) GTEST_SKIP() << "no RssAnon here";
  const auto files = ReadCheckpoint(CheckpointFolder(root_, 1));
  EXPECT_TRUE(std::ranges::equal(FileIn(files, "state/a.bin", "test"), large));
  EXPECT_LT(Status("RssAnon") - before, 16 << 10);
  EXPECT_THROW(FileIn(files, "state/b.bin", "test"), Error);
}

TEST_F(Checkpoint, AFolderThatCannotBeListedIsNotAnEmptyOne) {
  CommitCheckpoint(root_, 1, Files("old"));
  EXPECT_TRUE(ListCheckpoints(root_ / "nothing").empty());
  fs::permissions(root_, fs::perms::none);
  const uid_t user = geteuid();
  const bool asked = user != 0 || seteuid(65534) == 0;
  std::string error;
  try {
    if (asked) ListCheckpoints(root_);
  } catch (const Error& thrown) {
    error = thrown.what();
  }
  ASSERT_EQ(seteuid(user), 0);
  fs::permissions(root_, fs::perms::owner_all);
  if (!asked) GTEST_SKIP() << "root cannot be another user here";
  EXPECT_THAT(error, testing::HasSubstr("cannot list the checkpoints (Permission denied)"));
}

TEST_F(Checkpoint, AnIndexThatLeavesTheFolderIsRefused) {
  for (const char* path : {"../x", "/etc/passwd", "a/../../b"}) {
    const std::string index = fmt::format(
        R"({{"format": "pawl-checkpoint-1", "files": {{"{}": {{"size": 1, "crc32c": 1}}}}}})",
        path);
    EXPECT_THROW(ParseCheckpointIndex(index, "test"), Error) << path;
  }
  for (const char* bad :
       {"", "{", "[]", R"({"format": "pawl-checkpoint-1"})", R"({"format": "other", "files": {}})",
        R"({"format": "pawl-checkpoint-1", "files": {"a": {"size": -1, "crc32c": 1}}})",
        R"({"format": "pawl-checkpoint-1", "files": {"a": {"size": 1, "crc32c": 5000000000}}})"}) {
    EXPECT_THROW(ParseCheckpointIndex(bad, "test"), Error) << bad;
  }
}

TEST_F(Checkpoint, PruningKeepsTheNewestAndTheProtected) {
  for (int64_t step = 1; step <= 6; ++step) CommitCheckpoint(root_, step, Files("x"));
  fs::create_directories(root_ / "step_000000000009.tmp");
  PruneCheckpoints(root_, 3, {2});
  std::vector<int64_t> steps;
  for (const auto& ref : ListCheckpoints(root_)) steps.push_back(ref.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{6, 5, 4, 2}));
  EXPECT_FALSE(fs::exists(root_ / "step_000000000009.tmp"));
}

TEST_F(Checkpoint, WithoutPermissionTheErrorNamesThePathAndTheOldOneStays) {
  CommitCheckpoint(root_, 1, Files("old"));
  fs::permissions(root_, fs::perms(0555));
  // root may write anywhere: for the moment it is nobody
  const uid_t user = geteuid();
  const bool asked = user != 0 || seteuid(65534) == 0;
  const std::string error = asked ? CommitError(2, Files("new")) : "";
  ASSERT_EQ(seteuid(user), 0);
  fs::permissions(root_, fs::perms::owner_all);
  if (!asked) GTEST_SKIP() << "root cannot be another user here";
  EXPECT_THAT(error, testing::HasSubstr((root_ / "step_000000000002.tmp").string()));
  EXPECT_THAT(error, testing::HasSubstr("Permission denied"));
  EXPECT_EQ(Contents(CheckpointFolder(root_, 1)), Files("old"));
}

TEST_F(Checkpoint, AFileThatCannotBeWrittenIsNamedAndTheOldOneStays) {
  CommitCheckpoint(root_, 1, Files("old"));
  // a file is where the second one's folder should go
  EXPECT_THAT(CommitError(2, {{"a", Bytes("x")}, {"a/b.bin", Bytes("y")}}),
              testing::HasSubstr((root_ / "step_000000000002.tmp/a/b.bin").string()));
  ASSERT_EQ(ListCheckpoints(root_).size(), 1u);
  EXPECT_EQ(Contents(CheckpointFolder(root_, 1)), Files("old"));
  // what is left of it is no hindrance to the next try
  CommitCheckpoint(root_, 2, Files("new"));
  EXPECT_EQ(Contents(CheckpointFolder(root_, 2)), Files("new"));
}

}  // namespace
}  // namespace pawl::nn
