// A task's prompt as ids for a model: in its chat template or plain, cut to its positions from the
// left, as evaluation harnesses do. The learner's thread.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/task_runner.h"

namespace pawl::train {

class PromptEncoder {
 public:
  // Throws UserError where the task asks for a chat template that the model has not.
  PromptEncoder(const TaskConfig& task, const TaskModel& model);
  // The text as the model gets it.
  std::string TextOf(const std::string& prompt) const;
  // Ids of a text that TextOf made, with what the tokenizer puts before it; at least one.
  std::vector<int32_t> Encode(const std::string& text) const;
  // Takes ids off the left, but what the tokenizer put there, until at most `most` are there;
  // counts it.
  void Cut(std::vector<int32_t>& ids, size_t most);
  // "3 prompts were cut ...", or nothing.
  void AddNote(TaskResult& result) const;

 private:
  const TaskModel& model_;
  bool chat_;
  size_t front_ = 0;  // tokens before a text
  std::optional<std::tm> date_;
  int64_t cut_ = 0;
};

}  // namespace pawl::train
