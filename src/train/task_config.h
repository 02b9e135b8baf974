// A task of `pawl eval`: a TOML file that says what items a language model is asked and how its
// answers count (docs/evaluation.md). Templates are Jinja over the columns of an item. Keys are
// checked as it is read, its items by CheckItems (task_runner.h).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"

namespace pawl::train {

enum class TaskKind : uint8_t { kPerplexity, kChoice, kGenerate };
enum class AnswerForm : uint8_t { kIndex, kLetter, kText };
enum class Judge : uint8_t { kExact, kNumber, kLatex, kBleu, kProgram };

struct TaskConfig {
  std::string name;
  TaskKind kind = TaskKind::kPerplexity;
  std::vector<std::string> files;
  int64_t limit = 0;
  // perplexity
  std::string text = "{{ text }}";
  int64_t context = 0, stride = 0;
  // choice and generate
  std::string prompt, answer, choices_column;
  std::vector<std::string> choices;
  AnswerForm answer_form = AnswerForm::kIndex;
  std::string delimiter = " ", separator = "\n\n";
  int64_t shots = 0;
  std::vector<std::string> shots_files;
  bool chat = false;
  std::string chat_date;
  // generate
  int64_t max_tokens = 256, samples = 1;
  double temperature = 0;
  uint64_t seed = 1;
  std::vector<std::string> stop;
  std::vector<std::string> extract;
  std::string pattern;
  Judge judge = Judge::kExact;
  std::vector<int64_t> pass_at = {1};
  std::string program;
  std::vector<std::string> sandbox;
  double sandbox_seconds = 10;

  template <class V>
  void Visit(V& v) {
    v.Field("name", name, {.help = "what results call it; empty = the file's name"});
    v.Field("kind", kind,
            {.help = "perplexity of text; choice: the likeliest of given answers; generate: a text "
                     "that is judged"});
    v.Field("files", files,
            {.help = "JSON lines, plain or gzip, an item a line; of perplexity also text"});
    v.Field("limit", limit, {.help = "items at most, the first ones; 0 = all", .min = 0});
    v.Field("text", text, {.help = "perplexity: template of an item's text, where files are JSON"});
    v.Field("context", context,
            {.help = "perplexity: tokens of a window; 0 = the model's positions", .min = 0});
    v.Field(
        "stride", stride,
        {.help = "perplexity: tokens from a window to the next; 0 = the whole window", .min = 0});
    v.Field("prompt", prompt, {.help = "template of what the model goes on from"});
    v.Field("answer", answer,
            {.help = "template of the right answer; of choice: which one of them (answer_form)"});
    v.Field("choices", choices, {.help = "choice: a template for each answer to choose from"});
    v.Field(
        "choices_column", choices_column,
        {.help = "choice: instead, a column with the list of answers; a path: \"choices.text\""});
    v.Field("answer_form", answer_form,
            {.help = "choice: the answer is a number from 0 on, a letter from A on, or the text of "
                     "the right one"});
    v.Field("delimiter", delimiter, {.help = "between a prompt and its answer"});
    v.Field("separator", separator, {.help = "between solved examples and the prompt"});
    v.Field("shots", shots,
            {.help = "solved examples before each prompt, the first of shots_files",
             .min = 0,
             .max = 1000});
    v.Field(
        "shots_files", shots_files,
        {.help = "where they come from; empty = the task's own items, but the one that is asked"});
    v.Field("chat", chat, {.help = "the prompt is a user's message in the model's chat template"});
    v.Field("chat_date", chat_date,
            {.help = "the day, as 2026-07-26, that a chat template asks for"});
    v.Field("max_tokens", max_tokens, {.help = "generate: longest answer", .min = 1});
    v.Field("samples", samples,
            {.help = "generate: answers to each prompt", .min = 1, .max = 100'000});
    v.Field("temperature", temperature,
            {.help = "generate: 0 = always the likeliest token", .min = 0, .max = 100});
    v.Field("seed", seed, {.help = "generate: of the samples"});
    v.Field("stop", stop, {.help = "generate: texts that end an answer and are not part of it"});
    v.Field("extract", extract,
            {.help = "generate: what of an answer counts, the first of these that is found: gsm8k, "
                     "last_number, boxed, pattern; empty = all of it"});
    v.Field(
        "pattern", pattern,
        {.help = "generate: regular expression of extract = \"pattern\"; its last match counts"});
    v.Field(
        "judge", judge,
        {.help = "generate: exact text, the same number, the same LaTeX, BLEU against answer, or "
                 "a program run by the sandbox"});
    v.Field("pass_at", pass_at,
            {.help = "generate: the k of pass@k where samples are more than one", .min = 1});
    v.Field(
        "program", program,
        {.help = "judge = \"program\": template of the program, with the columns and completion"});
    v.Field("sandbox", sandbox,
            {.help = "judge = \"program\": the command that reads a program and exits with 0 where "
                     "it passes; empty = programs are not run"});
    v.Field("sandbox_seconds", sandbox_seconds,
            {.help = "a program that runs longer has failed", .min = 0.01, .unit = "s"});
  }
};

// Throws UserError naming the file and key.
TaskConfig ReadTask(const std::string& path, const std::vector<std::string>& assignments);
// Perplexity of plain text.
TaskConfig TextTask(const std::string& file, int64_t context, int64_t stride);

}  // namespace pawl::train

namespace pawl::core {
template <>
struct EnumNames<train::TaskKind> {
  static constexpr std::pair<const char*, train::TaskKind> kTable[] = {
      {"perplexity", train::TaskKind::kPerplexity},
      {"choice", train::TaskKind::kChoice},
      {"generate", train::TaskKind::kGenerate}};
};
template <>
struct EnumNames<train::AnswerForm> {
  static constexpr std::pair<const char*, train::AnswerForm> kTable[] = {
      {"index", train::AnswerForm::kIndex},
      {"letter", train::AnswerForm::kLetter},
      {"text", train::AnswerForm::kText}};
};
template <>
struct EnumNames<train::Judge> {
  static constexpr std::pair<const char*, train::Judge> kTable[] = {
      {"exact", train::Judge::kExact},
      {"number", train::Judge::kNumber},
      {"latex", train::Judge::kLatex},
      {"bleu", train::Judge::kBleu},
      {"program", train::Judge::kProgram}};
};
}  // namespace pawl::core
