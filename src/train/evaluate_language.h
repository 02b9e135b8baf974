// `pawl eval` of a language model: its loss on held-out text, and tasks (task_config.h), of a model
// folder, of a run or of one of its checkpoints. evaluate_policy.cc hands over what is no policy.
#pragma once
#include <filesystem>

#include "rlhf/sft_learner.h"
#include "train/evaluate_policy.h"

namespace pawl::train {

// Prints a table or one JSON object. Without tasks and --text: the loss on options.data, or a run's
// own hold-out. Of a run the results are also kept in RUN/evaluations.jsonl.
int EvaluateLanguage(const std::filesystem::path& path, const EvaluateOptions& options,
                     const rlhf::LearnerFactory& factory = rlhf::MakeSftLearner);

}  // namespace pawl::train
