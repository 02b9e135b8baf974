// The learner of the stages "pretrain" and "sft". The loop makes it by this function alone.
#pragma once
#include <memory>

#include "rlhf/language_learner.h"

namespace pawl::rlhf {

// Throws UserError for what does not fit: see LearnerFactory.
std::unique_ptr<LanguageModelLearner> MakeSftLearner(const LearnerRequest& request);

}  // namespace pawl::rlhf
