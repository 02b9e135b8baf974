#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/log.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;

void WriteConfig(const RunFolder& folder, const RunConfig& config) {
  core::WriteFileAtomic(folder.config(), core::ToToml(config.fields));
}

// One "key: old -> new" line for each difference that a resume may not have: the length may grow.
std::vector<std::string> Differences(const RunConfig& before, const RunConfig& now) {
  auto fields = now.fields;
  for (auto& field : fields) {
    if (field.key == now.length_key && now.length > before.length)
      field.value = std::to_string(before.length);
  }
  return core::ConfigDifferences(before.fields, fields);
}

// Held until the process ends, however it ends: two processes that write one run would mix it.
std::shared_ptr<const int> LockFolder(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::shared_ptr<const int> lock(new int(fd), [](const int* held) {
    if (*held >= 0) close(*held);
    delete held;
  });
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw UserError({.what = fmt::format("another process is training in '{}'", path.string()),
                     .expected = "a run that nobody is writing",
                     .hint = "wait for it, or --run DIR takes another folder"});
  }
  return lock;
}
}  // namespace

fs::path DefaultRunFolder(const std::string& config_path) {
  return fs::path("runs") / fs::path(config_path).stem();
}

void CheckRunFolderIsNew(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error) || fs::is_empty(path, error)) return;
  throw UserError({.what = fmt::format("run folder '{}' exists already", path.string()),
                   .expected = "a new folder",
                   .hint = "--resume goes on with it, --run DIR takes another"});
}

RunFolder CreateRunFolder(const fs::path& path, const RunConfig& config) {
  CheckRunFolderIsNew(path);
  std::error_code error;
  RunFolder folder{path};
  fs::create_directories(path, error);
  if (error) {
    throw UserError({.what = fmt::format("cannot make the run folder '{}' ({})", path.string(),
                                         error.message()),
                     .expected = "a writable place",
                     .hint = "--run DIR takes another"});
  }
  folder.lock = LockFolder(path);
  WriteConfig(folder, config);
  return folder;
}

RunFolder OpenRunFolder(const fs::path& path, const RunConfig& config) {
  RunFolder folder{path};
  if (!fs::exists(folder.config())) {
    throw UserError({.what = fmt::format("cannot resume: '{}' is not a run folder (no config.toml)",
                                         path.string()),
                     .expected = "the folder of an earlier run",
                     .hint = "leave out --resume to start a new run"});
  }
  folder.lock = LockFolder(path);
  const auto refuse = [&](const std::string& differences) {
    throw UserError(
        {.what =
             fmt::format("cannot resume '{}': the config differs ({})", path.string(), differences),
         .expected = fmt::format("the config of the run (only {} may grow)", config.length_key),
         .hint = "--run DIR starts a new run"});
  };
  const auto saved = core::Table::ParseFile(folder.config().string());
  const Stage stage = StageOf(saved);
  if ((stage == Stage::kPpo) != (config.stage == Stage::kPpo))
    refuse(fmt::format("stage: \"{}\" -> \"{}\"", Name(stage), Name(config.stage)));
  const RunConfig before = config.read(saved);
  const auto differences = Differences(before, config);
  if (!differences.empty()) refuse(fmt::format("{}", fmt::join(differences, "; ")));
  folder.longer = config.length > before.length;
  if (folder.longer && StoppedEarly(folder)) {
    throw UserError({.what = fmt::format("cannot resume '{}' to a greater {}: it stopped early, as "
                                         "a longer run would have",
                                         path.string(), config.length_key),
                     .expected = "a run that went on to its end",
                     .hint = "a new run can begin with its weights (init_from, model.path)"});
  }
  return folder;
}

void AcceptLength(const RunFolder& folder, const RunConfig& config) {
  if (!folder.longer) return;
  PAWL_LOG_INFO("{} grows to {}", config.length_key, config.length);
  // in this order: a finished run has the length that its config says
  std::error_code error;
  fs::remove(folder.summary(), error);
  if (error) {
    throw RunError({.what = fmt::format("cannot remove the file ({})", error.message()),
                    .where = folder.summary().string()});
  }
  WriteConfig(folder, config);
}

bool StoppedEarly(const RunFolder& folder) {
  std::error_code ignored;
  if (!fs::exists(folder.summary(), ignored)) return false;
  const auto json = nlohmann::json::parse(core::ReadTextFile(folder.summary()), nullptr, false);
  return json.is_object() && json.value("stopped_early", nlohmann::json()) == true;
}

std::optional<FoundCheckpoint> NewestCheckpoint(const fs::path& checkpoints,
                                                std::vector<std::string>& skipped) {
  for (const auto& ref : nn::ListCheckpoints(checkpoints)) {
    try {
      return FoundCheckpoint{ref.folder, ref.step, nn::ReadCheckpoint(ref.folder)};
    } catch (const Error& error) {
      skipped.push_back(fmt::format("checkpoint refused: {}", error.what()));
    }
  }
  return std::nullopt;
}

FoundCheckpoint FindCheckpoint(const fs::path& path, bool best, std::vector<std::string>& skipped) {
  auto missing = [&](const std::string& what) {
    return UserError(
        {.what = what, .expected = "a run folder or a checkpoint", .hint = "see pawl runs list"});
  };
  if (!fs::exists(path)) throw missing(fmt::format("'{}' does not exist", path.string()));
  const bool checkpoint = fs::exists(path / "index.json") || fs::exists(path / "COMMIT");
  const bool policy = fs::exists(path / "policy.json");  // the part that an actor needs
  if (best && (checkpoint || policy)) {
    throw UserError({.what = fmt::format("--best beside the checkpoint '{}'", path.string()),
                     .where = "--best",
                     .expected = "the folder of a run"});
  }
  if (checkpoint) {
    auto files = nn::ReadCheckpoint(path);
    const std::string name =
        path.filename().empty() ? path.parent_path().filename().string() : path.filename().string();
    const int64_t step =
        name.starts_with("step_") ? std::strtoll(name.c_str() + 5, nullptr, 10) : 0;
    return {path, step, std::move(files)};
  }
  if (policy) {
    nn::MappedFiles files;
    for (const char* name : {"policy.json", "weights.safetensors"})
      files.emplace(fmt::format("policy/{}", name), core::MappedFile(path / name));
    return {path, 0, std::move(files)};
  }
  const fs::path root = fs::exists(path / "checkpoints") ? path / "checkpoints" : path;
  if (best) {
    if (!fs::exists(path / "best.json")) {
      throw UserError({.what = fmt::format("'{}' has no best checkpoint", path.string()),
                       .expected = "a run that was evaluated while it trained",
                       .hint = "eval.every_updates does that; without --best the newest is taken"});
    }
    const auto text = core::ReadTextFile(path / "best.json");
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_unsigned())
      throw missing(fmt::format("'{}' is damaged", (path / "best.json").string()));
    const int64_t step = json["step"].get<int64_t>();
    const auto folder = nn::CheckpointFolder(root, step);
    return {folder, step, nn::ReadCheckpoint(folder)};
  }
  auto found = NewestCheckpoint(root, skipped);
  if (!found) {
    throw missing(fmt::format("'{}' holds no readable checkpoint{}", path.string(),
                              skipped.empty() ? "" : "; " + skipped.front()));
  }
  return std::move(*found);
}

}  // namespace pawl::train
