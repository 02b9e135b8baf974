// The loop of the stages "pretrain" and "sft": batch, update, measure, save, until total_updates.
// What it shares with a policy's loop stands in launch.h, run_output.h and run_checkpoints.h.
#pragma once
#include "core/config.h"
#include "rlhf/sft_learner.h"
#include "train/train_run.h"

namespace pawl::train {

// As Train (train_run.h); `table` is the config with the assignments applied. The factory is
// another one in tests.
int TrainLanguage(const TrainOptions& options, const core::Table& table,
                  const rlhf::LearnerFactory& factory = rlhf::MakeSftLearner);

}  // namespace pawl::train
