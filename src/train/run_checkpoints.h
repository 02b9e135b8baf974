// The checkpoints of a run of any stage: when one is due, what a resume goes on from, and the file
// that names the best one. Learner's thread; the writing itself is CheckpointWriter's.
// A resume is FindNewest, the loading, then Begin: nothing of the run changes until all is loaded.
#pragma once
#include <optional>
#include <string>

#include "core/clock.h"
#include "train/checkpoint_writer.h"
#include "train/run_config.h"
#include "train/run_folder.h"

namespace pawl::train {

// The files of a checkpoint of any stage: everything the next update depends on, and the clocks,
// apart, so that the training state of two equal runs is the same bytes.
inline constexpr const char* kTrainingState = "state/training.safetensors";
inline constexpr const char* kClocks = "state/clocks.safetensors";

// The best evaluation so far; part of the training state.
struct BestScore {
  double score = 0;
  int64_t step = -1;  // of its checkpoint; -1: no evaluation yet
};

class RunCheckpoints {
 public:
  RunCheckpoints(const RunFolder& folder, const CheckpointConfig& config)
      : folder_(folder), config_(config), writer_(folder.checkpoints(), config.keep) {}

  // The newest checkpoint that reads whole, or nothing where the run has none yet; those refused
  // are named in the log. Throws RunError where there are some and every one is refused: such a run
  // is not to begin again over its own files.
  std::optional<FoundCheckpoint> FindNewest() const;
  // Training goes on after `updates`, from the checkpoint `from` (null: from the start). Those
  // refused are set aside: they must not count among the newest when old ones are removed.
  // best.json is written anew: a process may have died between a checkpoint and it.
  void Begin(int64_t updates, const FoundCheckpoint* from, const BestScore& best);
  // Whether checkpoint.every_updates asks for one now: 0 aims at 1.5 s of work between two, and at
  // no more than a twentieth of the learner's time for saving (copying and handing over where the
  // writing is done behind its back). A new best and the end are saved beside that.
  bool Due(int64_t updates) const;
  bool IsSaved(int64_t updates) const { return last_ == updates; }
  // Hands the files over; best.json follows its checkpoint onto the disk where that is this one.
  // With `views` it returns only when all is written.
  void Save(int64_t step, int64_t updates, nn::CheckpointFiles files, const BestScore& best,
            nn::CheckpointViews views = {});
  // Returns when everything is on the disk.
  void Wait() { writer_.Wait(); }

 private:
  RunFolder folder_;
  CheckpointConfig config_;
  CheckpointWriter writer_;
  double started_ = core::MonotonicSeconds();
  double save_s_ = 0;  // of the last one
  int64_t first_ = 0;  // update this process began at
  int64_t last_ = -1;  // update of the last checkpoint
};

}  // namespace pawl::train
