#include "rlhf/language_learner.h"

#include <numeric>

namespace pawl::rlhf {

LossSum LanguageModelLearner::Evaluate(const rollout::SequenceBatch& batch) {
  std::vector<float> log_prob(static_cast<size_t>(nn::CountTargets(batch)));
  Score(batch, {.log_prob = log_prob});
  return {-std::accumulate(log_prob.begin(), log_prob.end(), 0.0),
          static_cast<int64_t>(log_prob.size())};
}

}  // namespace pawl::rlhf
