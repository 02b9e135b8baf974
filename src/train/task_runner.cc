#include "train/task_runner.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/file.h"
#include "train/language_setup.h"

namespace pawl::train {
namespace {
// of a batch; the result does not depend on it
constexpr size_t kBatchTokens = 8192;
}  // namespace

void CheckItems(const TaskConfig& task) {
  task.kind == TaskKind::kPerplexity ? CheckTexts(task) : CheckAnswers(task);
}

TaskResult RunTask(const TaskConfig& task, const TaskModel& model, const TaskRequest& request) {
  switch (task.kind) {
    case TaskKind::kPerplexity:
      return RunPerplexity(task, model);
    case TaskKind::kChoice:
      return RunChoice(task, model, request);
    default:
      return RunGenerate(task, model, request);
  }
}

std::vector<SequenceScore> ScoreBatch(rlhf::LanguageModelLearner& learner,
                                      const text::TokenBatch& batch) {
  const rollout::SequenceBatch view = ViewOf(batch);
  const auto targets = static_cast<size_t>(nn::CountTargets(view));
  std::vector<float> log_prob(targets), best(targets);
  learner.Score(view, {.log_prob = log_prob, .best_log_prob = best});
  std::vector<SequenceScore> scores(static_cast<size_t>(batch.sequences()));
  size_t target = 0;
  for (size_t s = 0; s < scores.size(); ++s) {
    for (int32_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t) {
      if (batch.is_target[t] == 0) continue;
      scores[s].log_prob += double{log_prob[target]};
      scores[s].likeliest += log_prob[target] == best[target] ? 1 : 0;
      ++scores[s].targets;
      ++target;
    }
  }
  return scores;
}

uint32_t AddAsked(uint32_t asked, std::span<const int32_t> tokens,
                  std::span<const uint8_t> is_target) {
  return core::Crc32c(std::as_bytes(is_target), core::Crc32c(std::as_bytes(tokens), asked));
}

void SequenceScorer::Add(std::span<const int32_t> tokens, size_t first_target) {
  PAWL_CHECK(first_target >= 1 && first_target < tokens.size(), "targets behind a first token");
  if (batch_.tokens.size() + tokens.size() > kBatchTokens) Flush();
  const size_t begin = batch_.Begin(tokens.size());
  std::copy(tokens.begin(), tokens.end(),
            batch_.tokens.begin() + static_cast<std::ptrdiff_t>(begin));
  std::fill(batch_.is_target.begin() + static_cast<std::ptrdiff_t>(begin + first_target),
            batch_.is_target.end(), uint8_t{1});
  asked_ = AddAsked(asked_, tokens, std::span(batch_.is_target).subspan(begin));
}

void SequenceScorer::Flush() {
  if (batch_.tokens.empty()) return;
  for (const SequenceScore& score : ScoreBatch(learner_, batch_)) scores_.push_back(score);
  batch_ = {};
}

std::vector<SequenceScore> SequenceScorer::Finish() {
  Flush();
  return std::move(scores_);
}

std::vector<TaskMetric> PerplexityMetrics(std::span<const SequenceScore> scores) {
  TaskMetric loss{.name = "loss", .width = 2}, accuracy{.name = "token_accuracy", .width = 2};
  for (const SequenceScore& score : scores) {
    const auto targets = static_cast<double>(score.targets);
    loss.items.insert(loss.items.end(), {-score.log_prob, targets});
    accuracy.items.insert(accuracy.items.end(), {static_cast<double>(score.likeliest), targets});
  }
  loss.of_sums = accuracy.of_sums = [](std::span<const double> sums) { return sums[0] / sums[1]; };
  TaskMetric perplexity = loss;
  perplexity.name = "perplexity";
  perplexity.of_sums = [](std::span<const double> sums) { return std::exp(sums[0] / sums[1]); };
  return {std::move(perplexity), std::move(loss), std::move(accuracy)};
}

}  // namespace pawl::train
