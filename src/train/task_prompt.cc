#include "train/task_prompt.h"

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace pawl::train {

PromptEncoder::PromptEncoder(const TaskConfig& task, const TaskModel& model)
    : model_(model), chat_(task.chat), date_(text::ParseDate(task.chat_date, "chat_date")) {
  // a chat template writes the special tokens itself
  if (!chat_) front_ = model.tokenizer.Encode("", {.add_first_tokens = true}).size();
  if (!chat_ || model.chat != nullptr) return;
  throw UserError({.what = "the model has no chat template",
                   .where = fmt::format("task '{}': chat", task.name),
                   .expected = "chat = false, or an instruction-tuned model"});
}

std::string PromptEncoder::TextOf(const std::string& prompt) const {
  if (!chat_) return prompt;
  const text::ChatJson messages = text::ChatJson::array({{{"role", "user"}, {"content", prompt}}});
  return model_.chat->Render(messages, {.add_generation_prompt = true, .date = date_}).text;
}

std::vector<int32_t> PromptEncoder::Encode(const std::string& text) const {
  auto ids = model_.tokenizer.Encode(
      text, {.add_first_tokens = !chat_, .unknown = text::UnknownText::kRefuse});
  if (!ids.empty()) return ids;
  throw UserError({.what = "a prompt without tokens", .expected = "at least one"});
}

void PromptEncoder::Cut(std::vector<int32_t>& ids, size_t most) {
  if (ids.size() <= most) return;
  const size_t kept = std::min(front_, most - 1);
  const auto first = ids.begin() + static_cast<std::ptrdiff_t>(kept);
  ids.erase(first, first + static_cast<std::ptrdiff_t>(ids.size() - most));
  ++cut_;
}

void PromptEncoder::AddNote(TaskResult& result) const {
  if (cut_ > 0)
    result.notes.push_back(fmt::format("{} prompt{} cut from the left to the model's positions",
                                       cut_, cut_ == 1 ? "" : "s"));
}

}  // namespace pawl::train
