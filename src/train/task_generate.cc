// Tasks whose answers are generated and judged: exact match and its relatives, pass@k, BLEU,
// programs.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/subprocess.h"
#include "text/answer.h"
#include "text/bleu.h"
#include "text/pass_at_k.h"
#include "text/python_text.h"
#include "text/regex.h"
#include "train/task_items.h"
#include "train/task_prompt.h"

namespace pawl::train {
namespace {
using Json = nlohmann::ordered_json;

// What of an answer counts.
class Extractor {
 public:
  explicit Extractor(const TaskConfig& task) : names_(task.extract) {
    if (!task.pattern.empty()) pattern_ = text::Regex::Compile(task.pattern, "pattern");
  }
  // Nothing where none of the ways finds anything.
  std::optional<std::string> Find(const std::string& answer) const {
    if (names_.empty()) return std::string(text::python::Strip(answer));
    for (const std::string& name : names_) {
      auto found = name == "gsm8k"         ? text::Gsm8kAnswer(answer)
                   : name == "last_number" ? text::LastNumber(answer)
                   : name == "boxed"       ? text::LastBoxed(answer)
                                           : LastMatch(answer);
      if (found) return found;
    }
    return std::nullopt;
  }

 private:
  std::optional<std::string> LastMatch(const std::string& answer) const {
    std::optional<std::string> last;
    try {
      pattern_->ForEachMatch(answer, [&](text::Regex::Match match) {
        last = answer.substr(match.begin, match.end - match.begin);
      });
    } catch (const Error&) {  // takes too long on this answer: nothing is found in it
      return std::nullopt;
    }
    return last;
  }
  const std::vector<std::string>& names_;
  std::optional<text::Regex> pattern_;
};

bool IsSameNumber(std::string_view a, std::string_view b) {
  const auto number = [](std::string_view text) {
    std::string plain(text::python::Strip(text));
    std::erase_if(plain, [](char c) { return c == ',' || c == '$' || c == '%'; });
    return text::python::ParseFloat(plain);
  };
  const auto left = number(a), right = number(b);
  return left && right && *left == *right;
}

// One answer of a model to an item.
struct Judged {
  std::string extracted;
  bool right = false;
  bool not_run = false;  // the sandbox says that it could not run the program, as shells do
};

class AnswerJudge {
 public:
  explicit AnswerJudge(const TaskConfig& task)
      : task_(task), extractor_(task), program_(task.program, "program") {}

  // Whether answers are counted as right or wrong at all.
  bool scores() const {
    return task_.judge != Judge::kBleu &&
           (task_.judge != Judge::kProgram || !task_.sandbox.empty());
  }
  Judged Of(const TaskItem& item, const std::string& reference, const std::string& answer) const {
    if (task_.judge == Judge::kProgram) {
      const std::string program = program_.Render(item, "completion", answer);
      const auto result = core::RunWithInput(task_.sandbox, program, task_.sandbox_seconds);
      return {.extracted = answer,
              .right = !result.timed_out && result.exit_code == 0,
              .not_run = result.exit_code == 126 || result.exit_code == 127};
    }
    const auto found = extractor_.Find(answer);
    if (!found) return {};
    // a reference may be the bare answer
    const std::string right =
        extractor_.Find(reference).value_or(std::string(text::python::Strip(reference)));
    return {.extracted = *found, .right = IsSame(*found, right)};
  }

 private:
  bool IsSame(const std::string& a, const std::string& b) const {
    if (task_.judge == Judge::kNumber) return IsSameNumber(a, b);
    if (task_.judge == Judge::kLatex) return text::IsSameLatex(a, b);
    return text::python::Strip(a) == text::python::Strip(b);
  }
  const TaskConfig& task_;
  Extractor extractor_;
  ItemTemplate program_;
};

// Generates one answer, up to the tokenizer's end token or the first of the stop texts, which may
// be a special token.
std::string Answer(const TaskConfig& task, const TaskModel& model, std::span<const int32_t> prompt,
                   int64_t tokens, uint64_t index) {
  text::TokenStream stream(model.tokenizer, {.skip_special_tokens = true});
  for (const int32_t id : prompt) stream.Push(id);  // a space after it is part of the answer
  std::vector<int32_t> ends;
  if (const auto eos = model.tokenizer.eos_id()) ends.push_back(*eos);
  for (const std::string& stop : task.stop) {
    if (const auto id = model.tokenizer.TokenToId(stop)) ends.push_back(*id);
  }
  std::string answer;
  const auto stop_at = [&] {
    size_t at = std::string::npos;
    for (const std::string& stop : task.stop) at = std::min(at, answer.find(stop));
    return at;
  };
  model.learner.Generate(prompt, {.tokens = tokens,
                                  .temperature = task.temperature,
                                  .seed = task.seed,
                                  .index = index,
                                  .ends = [&](int32_t id) {
                                    answer += stream.Push(id);
                                    return std::ranges::find(ends, id) != ends.end() ||
                                           stop_at() != std::string::npos;
                                  }});
  answer += stream.Finish();
  if (const size_t at = stop_at(); at != std::string::npos) answer.resize(at);
  return answer;
}

TaskMetric BleuMetric() {
  TaskMetric metric{.name = "bleu", .width = 2 + 2 * text::kBleuOrder};
  metric.of_sums = [](std::span<const double> sums) {
    text::BleuCounts counts{.words = sums[0], .reference_words = sums[1]};
    std::copy_n(sums.begin() + 2, text::kBleuOrder, counts.matches.begin());
    std::copy_n(sums.begin() + 2 + text::kBleuOrder, text::kBleuOrder, counts.ngrams.begin());
    return text::BleuOf(counts);
  };
  return metric;
}

void AddBleu(const std::string& answer, const std::string& reference, TaskMetric& metric) {
  const std::array<std::string, 1> references = {reference};
  const text::BleuCounts counts = text::CountBleu(answer, references);
  auto& items = metric.items;
  items.insert(items.end(), {counts.words, counts.reference_words});
  items.insert(items.end(), counts.matches.begin(), counts.matches.end());
  items.insert(items.end(), counts.ngrams.begin(), counts.ngrams.end());
}

// The metrics of right and wrong answers: one for one sample an item, else pass@k.
std::vector<TaskMetric> RightMetrics(const TaskConfig& task) {
  std::vector<TaskMetric> metrics;
  if (task.samples == 1) {
    metrics.push_back(
        {.name = task.judge == Judge::kProgram ? "pass@1" : "exact_match", .is_share = true});
    return metrics;
  }
  for (const int64_t k : task.pass_at) metrics.push_back({.name = fmt::format("pass@{}", k)});
  return metrics;
}

// The noise of a sample depends on the seed, the item and its number alone.
uint64_t NoiseIndex(size_t item, int64_t sample) {
  constexpr int kSampleBits = 20;  // samples are at most 100,000
  return uint64_t{item} << kSampleBits | static_cast<uint64_t>(sample);
}
}  // namespace

void CheckAnswers(const TaskConfig& task) {
  const ItemPrompts prompts(task);
  const AnswerJudge judge(task);
  if (!task.sandbox.empty()) core::FindProgram(task.sandbox[0]);
  for (const TaskItem& item : ReadItems(task.files, task.limit)) {
    prompts.Prompt(item);
    if (!task.answer.empty()) prompts.Answer(item);
  }
}

TaskResult RunGenerate(const TaskConfig& task, const TaskModel& model, const TaskRequest& request) {
  const ItemPrompts prompts(task);
  const AnswerJudge judge(task);
  PromptEncoder encoder(task, model);
  const std::vector<TaskItem> items = ReadItems(task.files, task.limit);
  const int64_t positions = model.learner.info().max_positions;
  // of the model's positions at least half are the prompt's
  const int64_t kept_free = std::min(task.max_tokens, positions / 2);
  int64_t shortened = 0, not_run = 0;
  TaskMetric bleu = BleuMetric();
  std::vector<TaskMetric> metrics = RightMetrics(task);
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string prompt = encoder.TextOf(prompts.Prompt(items[i]));
    const std::string reference = task.answer.empty() ? "" : prompts.Answer(items[i]);
    auto ids = encoder.Encode(prompt);
    encoder.Cut(ids, static_cast<size_t>(positions - kept_free));
    const int64_t tokens = std::min(task.max_tokens, positions - static_cast<int64_t>(ids.size()));
    shortened += tokens < task.max_tokens ? 1 : 0;
    int64_t right = 0;
    Json answers = Json::array();
    for (int64_t s = 0; s < task.samples; ++s) {
      const std::string answer = Answer(task, model, ids, tokens, NoiseIndex(i, s));
      Json out = {{"answer", answer}};
      if (judge.scores()) {
        const Judged judged = judge.Of(items[i], reference, answer);
        right += judged.right ? 1 : 0;
        not_run += judged.not_run ? 1 : 0;
        out["extracted"] = judged.extracted;
        out["right"] = judged.right;
      }
      if (task.judge == Judge::kBleu) AddBleu(answer, reference, bleu);
      answers.push_back(std::move(out));
    }
    if (judge.scores() && task.samples == 1) metrics[0].items.push_back(static_cast<double>(right));
    if (judge.scores() && task.samples > 1) {
      for (size_t k = 0; k < metrics.size(); ++k)
        metrics[k].items.push_back(text::PassAtK(task.samples, right, task.pass_at[k]));
    }
    if (!request.on_item) continue;
    const Json out = {{"item", items[i].place}, {"prompt", prompt}, {"answers", answers}};
    request.on_item(out.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  TaskResult result{.name = task.name, .n = static_cast<int64_t>(items.size())};
  if (task.judge == Judge::kBleu) result.metrics = {std::move(bleu)};
  if (judge.scores()) result.metrics = std::move(metrics);
  encoder.AddNote(result);
  if (not_run > 0) {
    result.notes.push_back(
        fmt::format("{} answers counted as wrong: the sandbox ended with 126 or 127", not_run));
  }
  if (shortened > 0) {
    result.notes.push_back(
        fmt::format("of {} items the model's {} positions leave fewer than max_tokens = {}",
                    shortened, positions, task.max_tokens));
  }
  return result;
}

}  // namespace pawl::train
