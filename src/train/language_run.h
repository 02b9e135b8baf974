// The loop of the stages "pretrain" and "sft": batch, update, measure, save, until total_updates.
// What it shares with a policy's loop stands in launch.h, run_output.h and run_checkpoints.h.
#pragma once
#include "core/config.h"
#include "rlhf/sft_learner.h"
#include "train/train_run.h"

namespace pawl::train {

// What tests set otherwise.
struct LanguageParts {
  rlhf::LearnerFactory factory = rlhf::MakeSftLearner;
  // A larger training state is written from where it lies, while the learner waits: gigabytes twice
  // in memory would cost more.
  size_t copied_state_bytes = size_t{256} << 20;
};

// As Train (train_run.h); `table` is the config with the assignments applied.
int TrainLanguage(const TrainOptions& options, const core::Table& table,
                  const LanguageParts& parts = {});

}  // namespace pawl::train
