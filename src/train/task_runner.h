// Runs a task on a language model. The learner's thread only.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rlhf/language_learner.h"
#include "text/chat_template.h"
#include "text/sequence_source.h"
#include "text/tokenizer.h"
#include "train/task_config.h"
#include "train/task_metric.h"

namespace pawl::train {

// Who answers. `chat`: of models that have a chat template, else nullptr.
struct TaskModel {
  rlhf::LanguageModelLearner& learner;
  const text::Tokenizer& tokenizer;
  const text::ChatTemplate* chat = nullptr;
};

struct TaskResult {
  std::string name;
  std::vector<TaskMetric> metrics;  // the first is the task's; none: not scored
  int64_t n = 0;                    // items, or tokens of a perplexity
  // Stands for what was scored where that depends on the model (windows of tokens): two results
  // have the same items where it is equal.
  uint32_t asked = 0;
  std::vector<std::string> notes;  // for people: what was cut, ...
};

struct TaskRequest {
  // Told of each item that was answered or judged: one JSON object.
  std::function<void(const std::string& json)> on_item;
};

// What can be found wrong without a model, so that no work is lost to it: templates, patterns,
// files, every item. Throws UserError.
void CheckItems(const TaskConfig& task);
// Throws UserError for items that lack what the templates ask for, with file and line, and where
// the model cannot take the task (no chat template, too few positions).
TaskResult RunTask(const TaskConfig& task, const TaskModel& model, const TaskRequest& request = {});

// ---- for the kinds of tasks
// ----------------------------------------------------------------------

// What a model says of the targets of one sequence.
struct SequenceScore {
  double log_prob = 0;                 // nats
  int64_t targets = 0, likeliest = 0;  // likeliest: targets that are the most likely token
};
// Tokens and which of them are targets, added to a checksum.
uint32_t AddAsked(uint32_t asked, std::span<const int32_t> tokens,
                  std::span<const uint8_t> is_target);
// Of each sequence of a batch.
std::vector<SequenceScore> ScoreBatch(rlhf::LanguageModelLearner& learner,
                                      const text::TokenBatch& batch);

// Sequences collected into batches.
class SequenceScorer {
 public:
  explicit SequenceScorer(rlhf::LanguageModelLearner& learner) : learner_(learner) {}
  // Tokens from `first_target` on (at least 1) are targets.
  void Add(std::span<const int32_t> tokens, size_t first_target);
  // The scores of all, in the order of Add.
  std::vector<SequenceScore> Finish();
  uint32_t asked() const { return asked_; }  // of all that was added, for TaskResult

 private:
  void Flush();
  rlhf::LanguageModelLearner& learner_;
  text::TokenBatch batch_;
  uint32_t asked_ = 0;
  std::vector<SequenceScore> scores_;
};

// Perplexity, loss in nats per token, and token accuracy of scored sequences, as metrics.
std::vector<TaskMetric> PerplexityMetrics(std::span<const SequenceScore> scores);

TaskResult RunPerplexity(const TaskConfig& task, const TaskModel& model);
void CheckTexts(const TaskConfig& task);    // of a perplexity
void CheckAnswers(const TaskConfig& task);  // of choice and generate
TaskResult RunChoice(const TaskConfig& task, const TaskModel& model, const TaskRequest& request);
TaskResult RunGenerate(const TaskConfig& task, const TaskModel& model, const TaskRequest& request);

}  // namespace pawl::train
