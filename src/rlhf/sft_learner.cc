#include "rlhf/sft_learner.h"

namespace pawl::rlhf {

std::unique_ptr<LanguageModelLearner> MakeSftLearner(const LearnerRequest& request) {
  throw UserError({.what = "this build has no learner for language models yet",
                   .where = "stage",
                   .expected = "stage = \"ppo\""});
}

}  // namespace pawl::rlhf
