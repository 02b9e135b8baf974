// The folder of one run: config.toml (resolved), metrics.jsonl, events.out.tfevents.*, log.txt,
// checkpoints/, best.json, summary.json (written last: the run is finished), report.html,
// evaluations.jsonl (what `pawl eval` found); of a
// policy video.mp4, of a language model tokenizer/, samples.jsonl, model/, best_model/. Decides
// what --resume means.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "nn/checkpoint.h"
#include "train/run_config.h"

namespace pawl::train {

struct RunFolder {
  std::filesystem::path path;
  std::shared_ptr<const int> lock;  // of the process that writes the run
  bool longer = false;              // opened with a greater length: see AcceptLength
  std::filesystem::path config() const { return path / "config.toml"; }
  std::filesystem::path metrics() const { return path / "metrics.jsonl"; }
  std::filesystem::path log() const { return path / "log.txt"; }
  std::filesystem::path checkpoints() const { return path / "checkpoints"; }
  std::filesystem::path best() const { return path / "best.json"; }
  std::filesystem::path evaluations() const { return path / "evaluations.jsonl"; }
  std::filesystem::path summary() const { return path / "summary.json"; }
  std::filesystem::path video() const { return path / "video.mp4"; }
  std::filesystem::path report() const { return path / "report.html"; }
  std::filesystem::path tokenizer() const { return path / "tokenizer"; }
  std::filesystem::path samples() const { return path / "samples.jsonl"; }
  std::filesystem::path model() const { return path / "model"; }
  std::filesystem::path best_model() const { return path / "best_model"; }
};

// runs/<stem of the config file>.
std::filesystem::path DefaultRunFolder(const std::string& config_path);

// Makes the folder of a new run and writes config.toml. Throws UserError when it exists and is not
// empty, or another process holds it.
RunFolder CreateRunFolder(const std::filesystem::path& path, const RunConfig& config);
// The first of these checks alone, for --dry-run.
void CheckRunFolderIsNew(const std::filesystem::path& path);

// Opens an existing run to go on with; changes nothing in it. Throws UserError when the folder is
// missing, its config differs in anything but a greater length (each difference named), or the
// length is greater but the run ended by itself.
RunFolder OpenRunFolder(const std::filesystem::path& path, const RunConfig& config);
// Makes a greater length the run's own: no longer finished, then the new config. To be called once
// nothing can refuse the resume any more.
void AcceptLength(const RunFolder& folder, const RunConfig& config);
// Whether summary.json says that the run ended before its length (eval.patience, eval.stop_at_*).
bool StoppedEarly(const RunFolder& folder);

// The checkpoint folder meant by a path: a checkpoint itself, or of a run the newest readable one
// (or the best). Throws UserError when there is none, and for `best` beside a checkpoint; `skipped`
// receives a line for each damaged one passed over.
struct FoundCheckpoint {
  std::filesystem::path folder;
  int64_t step = 0;
  nn::MappedFiles files;
};
FoundCheckpoint FindCheckpoint(const std::filesystem::path& path, bool best,
                               std::vector<std::string>& skipped);
// The newest checkpoint of a run that reads whole, or nothing.
std::optional<FoundCheckpoint> NewestCheckpoint(const std::filesystem::path& checkpoints,
                                                std::vector<std::string>& skipped);

}  // namespace pawl::train
