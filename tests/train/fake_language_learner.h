// A language learner small enough to reason about: a table of bigram logits with momentum. It
// stands behind the same interface as the real one, learns in milliseconds, and can be told to die
// or to find a NaN.
#pragma once
#include <array>
#include <memory>

#include "rlhf/language_learner.h"

namespace pawl::train {

// What goes wrong, and when. Of the process.
struct Faults {
  int64_t kill_at_call = -1;       // SIGKILL at this call of any learner's method, counted from 0
  int64_t interrupt_at_call = -1;  // Ctrl-C
  int64_t nan_at_update = -1;      // Update finds a gradient that is not finite
  int64_t worse_after_evals = -1;  // from this batch on evaluations report 1, 2, ... nats more
  int64_t calls = 0, evaluations = 0;
};
Faults& FaultsOf();

class FakeLanguageLearner : public rlhf::LanguageModelLearner {
 public:
  explicit FakeLanguageLearner(const rlhf::LearnerRequest& request);
  algos::UpdateMetrics Update(const rollout::SequenceBatch& batch, int64_t update,
                              double progress) override;
  std::span<const float> Weights() const override { return weights_; }
  void Save(core::ArrayMap& out) const override;
  void Load(const core::ArrayMap& in) override;
  void Score(const rollout::SequenceBatch& batch, const nn::TokenScores& scores) override;
  std::vector<int32_t> Generate(std::span<const int32_t> prompt,
                                const nn::GenerateOptions& options) override;
  void WriteModel(const std::filesystem::path& folder) const override;

 private:
  // Adds the gradient of one target's loss where `gradient` is given; returns the loss.
  double Target(int32_t before, int32_t token, std::vector<double>* gradient) const;
  std::vector<double> Probabilities(int32_t before, double temperature) const;
  // At the start of every call: what the last Save handed out is a view, and no longer what it was.
  void Count() const;

  rlhf::LearnerRequest request_;
  int64_t vocab_;
  std::vector<float> weights_, momentum_;  // [V, V]
  mutable std::array<std::vector<float>, 2> handed_out_;
};

std::unique_ptr<rlhf::LanguageModelLearner> MakeFakeLearner(const rlhf::LearnerRequest& request);

}  // namespace pawl::train
