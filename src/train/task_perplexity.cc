// Perplexity of texts in windows that slide by a stride, as transformers' documentation does it:
// every token is counted once, with the context its window has, but the first of a window that has
// nothing before it.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "text/data_config.h"
#include "text/data_file.h"
#include "text/utf8.h"
#include "train/task_items.h"
#include "train/task_runner.h"

namespace pawl::train {
namespace {

// Calls add(text) for each text of the task.
template <class Add>
void ForEachText(const TaskConfig& task, const Add& add) {
  int64_t left = task.limit > 0 ? task.limit : INT64_MAX;
  const ItemTemplate item_text(task.text, "text");
  for (const std::string& path : task.files) {
    if (left <= 0) break;
    if (text::IsRecordName(path)) {
      for (const TaskItem& item : ReadItems({path}, left == INT64_MAX ? 0 : left)) {
        add(item_text.Render(item));
        --left;
      }
    } else {
      add(text::PlainText(text::DataFile(path, "files").ReadAll()));
      --left;
    }
  }
}

int64_t ContextOf(const TaskConfig& task, const rlhf::LearnerInfo& info) {
  const int64_t context = task.context > 0 ? task.context : info.max_positions;
  if (context < 2 || context > info.max_positions) {
    throw UserError({.what = fmt::format("a context of {}, but the model has {} positions", context,
                                         info.max_positions),
                     .where = "context",
                     .expected = fmt::format("2 to {}", info.max_positions)});
  }
  if (task.stride > context) {
    throw UserError({.what = fmt::format("a stride of {}, but windows of {}", task.stride, context),
                     .where = "stride",
                     .expected = "windows that leave nothing out"});
  }
  return context;
}
}  // namespace

void CheckTexts(const TaskConfig& task) {
  ForEachText(task, [](const std::string&) {});
}

TaskResult RunPerplexity(const TaskConfig& task, const TaskModel& model) {
  const auto context = static_cast<size_t>(ContextOf(task, model.learner.info()));
  const size_t stride = task.stride > 0 ? static_cast<size_t>(task.stride) : context;
  const size_t specials = model.tokenizer.Encode("", {.add_special_tokens = true}).size();
  SequenceScorer scorer(model.learner);
  double bytes = 0, text_tokens = 0;
  int64_t short_texts = 0, replaced = 0;
  ForEachText(task, [&](const std::string& content) {
    const auto ids = model.tokenizer.Encode(content, {.add_special_tokens = true,
                                                      .unknown = text::UnknownText::kRefuse,
                                                      .replaced_utf8 = &replaced});
    bytes += static_cast<double>(content.size());
    text_tokens += static_cast<double>(ids.size() - specials);
    if (ids.size() < 2) {
      ++short_texts;
      return;
    }
    size_t counted = 1;  // tokens before it are counted, or are the first
    for (size_t begin = 0; counted < ids.size(); begin += stride) {
      const size_t end = std::min(begin + context, ids.size());
      const size_t first = std::max(counted, begin + 1) - begin;
      if (first < end - begin) scorer.Add(std::span(ids).subspan(begin, end - begin), first);
      counted = end;
      if (end == ids.size()) break;
    }
  });
  const auto scores = scorer.Finish();
  TaskResult result{.name = task.name, .metrics = PerplexityMetrics(scores)};
  result.asked = scorer.asked();
  for (const SequenceScore& score : scores) result.n += score.targets;
  if (result.n == 0) {
    throw UserError({.what = "nothing to evaluate on",
                     .where = task.files.front(),
                     .expected = "a text of at least 2 tokens"});
  }
  TaskMetric bits = result.metrics[1];  // the mean loss of a token, for the tokens of a byte
  bits.name = "bits_per_byte";
  const double factor = text_tokens / bytes / std::numbers::ln2;
  bits.of_sums = [factor](std::span<const double> sums) { return sums[0] / sums[1] * factor; };
  result.metrics.push_back(std::move(bits));
  result.notes.push_back(fmt::format("context {}, stride {}", context, stride));
  if (short_texts > 0)
    result.notes.push_back(fmt::format("{} texts of fewer than 2 tokens left out", short_texts));
  if (replaced > 0)
    result.notes.push_back(
        fmt::format("{} stretches of bytes that are no UTF-8 replaced", replaced));
  return result;
}

}  // namespace pawl::train
