// What must be on the disk before what, seen from the system calls: fsync and fdatasync of this
// binary note their file before they do their work.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/file.h"
#include "track/event_file.h"
#include "train_testing.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;

// Of a commit: how much of the run's other files was synced before.
struct Commit {
  int64_t step = 0;
  std::map<std::string, uintmax_t> synced_bytes;  // by file name
};
struct SyncNotes {
  std::map<std::string, uintmax_t> synced_bytes;
  std::vector<Commit> commits;
};
std::mutex mutex;
std::optional<SyncNotes> notes;  // while a test looks

void NoteSync(int fd) {
  std::lock_guard lock(mutex);
  if (!notes) return;
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
  if (error) return;
  if (path.filename() == "COMMIT") {
    const std::string step = path.parent_path().stem().string().substr(5);  // step_N.tmp
    notes->commits.push_back({std::stoll(step), notes->synced_bytes});
  } else {
    notes->synced_bytes[path.filename().string()] = fs::file_size(path, error);
  }
}

}  // namespace
}  // namespace pawl::train

extern "C" int fsync(int fd) {
  pawl::train::NoteSync(fd);
  return static_cast<int>(syscall(SYS_fsync, fd));
}
extern "C" int fdatasync(int fd) {
  pawl::train::NoteSync(fd);
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

namespace pawl::train {
namespace {

TEST(Train, MetricsAndEventsAreOnTheDiskBeforeTheCheckpointThatFollowsThem) {
  TempFolder folder;
  const auto config = WriteSmallConfig(folder / "c.toml");
  notes.emplace();
  ASSERT_EQ(RunTraining(config, folder / "run"), 0);
  const SyncNotes seen = std::move(*notes);
  notes.reset();
  ASSERT_EQ(seen.commits.size(), 6u);
  const std::string metrics = core::ReadTextFile(folder / "run" / "metrics.jsonl");
  const auto files = track::FindEventFiles(folder / "run");
  ASSERT_EQ(files.size(), 1u);
  const std::string events = core::ReadTextFile(files[0]);
  size_t rows_end = 0;
  for (const auto& commit : seen.commits) {
    const size_t row = rows_end;
    rows_end = metrics.find('\n', row) + 1;
    ASSERT_EQ(nlohmann::json::parse(metrics.substr(row, rows_end - row))["env_steps"], commit.step);
    uintmax_t events_end = 0;
    for (const auto& record : track::ParseRecords(events)) {
      if (record.step <= commit.step) events_end += record.frame.size();
    }
    const auto synced = [&](const std::string& name) {
      const auto found = commit.synced_bytes.find(name);
      return found == commit.synced_bytes.end() ? 0 : found->second;
    };
    EXPECT_GE(synced("metrics.jsonl"), rows_end) << commit.step;
    EXPECT_GE(synced(files[0].filename().string()), events_end) << commit.step;
  }
}

}  // namespace
}  // namespace pawl::train
