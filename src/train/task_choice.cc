// Multiple choice by log-likelihood: the answer is the choice whose tokens are the likeliest after
// the prompt, by their sum and by the sum a character (the two accuracies of EleutherAI's harness).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/python_text.h"
#include "train/task_items.h"
#include "train/task_prompt.h"

namespace pawl::train {
namespace {

struct Asked {
  ItemChoices choices;
  std::vector<size_t> lengths;  // characters of each choice
};

size_t Best(std::span<const double> scores) {
  return static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
}

// Ids of prompt and choice together, and where the choice begins. White space between belongs to
// the choice, as tokenizers want it there.
size_t EncodeChoice(const PromptEncoder& encoder, std::string context, std::string continuation,
                    std::vector<int32_t>& ids) {
  const size_t kept = text::python::RightStrip(context).size();
  continuation.insert(0, context.substr(kept));
  context.resize(kept);
  ids = encoder.Encode(context + continuation);
  return kept == 0 ? 1 : encoder.Encode(context).size();
}
}  // namespace

TaskResult RunChoice(const TaskConfig& task, const TaskModel& model, const TaskRequest& request) {
  const ItemPrompts prompts(task);
  PromptEncoder encoder(task, model);
  const std::vector<TaskItem> items = ReadItems(task.files, task.limit);
  const auto positions = static_cast<size_t>(model.learner.info().max_positions);
  SequenceScorer scorer(model.learner);
  std::vector<Asked> asked;
  for (size_t i = 0; i < items.size(); ++i) {
    Asked& item = asked.emplace_back();
    item.choices = prompts.Choices(items[i]);
    const std::string context = encoder.TextOf(prompts.Prompt(items[i]));
    for (const std::string& choice : item.choices.texts) {
      item.lengths.push_back(std::max<size_t>(1, text::python::Length(choice)));
      std::vector<int32_t> ids;
      const size_t begin =
          EncodeChoice(encoder, context, task.chat ? choice : task.delimiter + choice, ids);
      const size_t targets = ids.size() - std::min(begin, ids.size());
      if (targets == 0 || targets > positions) {
        throw UserError({.what = fmt::format("a choice of {} tokens", targets),
                         .where = items[i].place,
                         .expected = fmt::format("1 to the model's {} positions", positions)});
      }
      encoder.Cut(ids, positions + 1);  // the last is only a target
      scorer.Add(ids, ids.size() - targets);
    }
  }
  const auto scores = scorer.Finish();
  TaskMetric raw{.name = "accuracy", .is_share = true};
  TaskMetric normalized{.name = "accuracy_normalized", .is_share = true};
  size_t next = 0;
  for (size_t i = 0; i < asked.size(); ++i) {
    std::vector<double> sums, means;
    for (const size_t length : asked[i].lengths) {
      sums.push_back(scores[next++].log_prob);
      means.push_back(sums.back() / static_cast<double>(length));
    }
    raw.items.push_back(Best(sums) == asked[i].choices.right ? 1 : 0);
    normalized.items.push_back(Best(means) == asked[i].choices.right ? 1 : 0);
    if (!request.on_item) continue;
    const nlohmann::ordered_json out = {{"item", items[i].place},
                                        {"choices", asked[i].choices.texts},
                                        {"right", asked[i].choices.right},
                                        {"log_prob", sums}};
    request.on_item(out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  TaskResult result{.name = task.name,
                    .metrics = {std::move(raw), std::move(normalized)},
                    .n = static_cast<int64_t>(items.size())};
  encoder.AddNote(result);
  return result;
}

}  // namespace pawl::train
