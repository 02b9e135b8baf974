// [data]: the text that a language model learns, and how it becomes sequences of tokens. Beside
// text_dataset.h, which it drives.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "text/data_kinds.h"

namespace pawl::text {

struct DataConfig {
  std::vector<std::string> files;
  DataFormat format = DataFormat::kAuto;
  std::vector<std::string> eval_files;
  std::vector<double> weights;
  double holdout = 0.1;
  int64_t context = 256;
  TokenizerKind tokenizer = TokenizerKind::kModel;
  std::string tokenizer_path, eos_token;
  RecordKind kind = RecordKind::kAuto;
  core::Table columns;
  LossOn loss_on = LossOn::kCompletion;
  bool wrap_in_chat = false;
  std::string chat_template;
  std::string chat_date;
  std::string thought_open = "<think>\n";
  std::string thought_close = "\n</think>\n\n";
  LongLine long_lines = LongLine::kTruncate;
  int64_t min_tokens = 0;
  int64_t max_prompt_tokens = 0;
  Packing packing = Packing::kNone;
  BadRecord bad_records = BadRecord::kRefuse;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kReplace;
  int64_t max_line_mb = 64;
  int64_t check_lines = 0;
  std::string separator;
  int64_t queue_batches = 4;
  double deadline_s = 300;
  template <class V>
  void Visit(V& v) {
    v.Field("files", files,
            {.help = "text or JSON-lines files, plain or gzip, one after the other"});
    v.Field("format", format,
            {.help = "text: one stream, cut into windows; lines: each line is a sequence; records: "
                     "JSON lines; auto: records for .jsonl and .json (.gz too), else text"});
    v.Field("eval_files", eval_files,
            {.help = "files to evaluate on; empty = the hold-out of data.files"});
    v.Field("weights", weights,
            {.help = "records: share of the draws that each of data.files gets, in 1/4096; empty = "
                     "every record once an epoch",
             .min = 0});
    v.Field("holdout", holdout,
            {.help = "share of data.files that is kept for evaluation: the last of a text or of "
                     "lines, lines spread over the file for records; not used beside "
                     "data.eval_files",
             .min = 0,
             .max = 0.9});
    v.Field("context", context,
            {.help = "positions of a sequence", .min = 1, .max = 1'000'000, .unit = "tokens"});
    v.Field("tokenizer", tokenizer,
            {.help = "char: one id per character of the text; byte: 256 ids; model: that of "
                     "data.tokenizer_path, else of model.path"});
    v.Field("tokenizer_path", tokenizer_path,
            {.help = "folder with a tokenizer, as pawl tokenizer train writes one, or a "
                     "tokenizer.json; empty = that of model.path"});
    v.Field("eos_token", eos_token,
            {.help = "the token that ends a text, in place of the tokenizer's, as <|im_end|>; the "
                     "model is written with it and stops at it"});
    VisitRecords(v);
    VisitLimits(v);
    v.Field("separator", separator,
            {.help = "lines: ends the prompt; only what follows it is learned; empty = all of the "
                     "line is"});
    v.Field("queue_batches", queue_batches,
            {.help = "batches that are made ahead of the learner", .min = 1, .max = 1000});
    v.Field("deadline_s", deadline_s,
            {.help = "longest wait for a batch before the run ends with an error",
             .min = 0.1,
             .unit = "s"});
  }
  template <class V>
  void VisitRecords(V& v) {
    v.Field("kind", kind,
            {.help = "records: what they are for; auto: what the columns of the first one say"});
    v.Raw("columns", columns,
          "records: what columns are called in the files where they have other names, as "
          "completion = \"response\"");
    v.Field("loss_on", loss_on,
            {.help = "records: what is learned: the completion (all where there is no prompt), "
                     "what the chat template marks as the assistant's, or all"});
    v.Field("wrap_in_chat", wrap_in_chat,
            {.help = "records: prompts and completions of text become turns of a chat"});
    v.Field("chat_template", chat_template,
            {.help = "records: a Jinja file in place of the tokenizer's chat template; the model "
                     "is written with it"});
    v.Field(
        "chat_date", chat_date,
        {.help = "records: the day, as 2026-07-26, that a chat template asks for; it is part of "
                 "what is learned, so it never comes from the clock"});
    v.Field("thought_open", thought_open,
            {.help = "records of kind thought: stands before the thought"});
    v.Field("thought_close", thought_close, {.help = "stands between the thought and the answer"});
  }
  template <class V>
  void VisitLimits(V& v) {
    v.Field("long", long_lines,
            {.help = "lines and records longer than the context are cut, dropped (both counted), "
                     "or refused"});
    v.Field("min_tokens", min_tokens,
            {.help = "records: shorter sequences are dropped and counted", .min = 0});
    v.Field("max_prompt_tokens", max_prompt_tokens,
            {.help = "records: sequences with longer prompts are dropped and counted; 0 = no limit",
             .min = 0});
    v.Field("packing", packing,
            {.help = "best_fit: train.sequences counts rows of up to context + 1 tokens, each "
                     "filled with whole sequences; they do not see each other"});
    v.Field("bad_records", bad_records,
            {.help = "lines that are no record are refused, or skipped (and counted)"});
    v.Field("invalid_utf8", invalid_utf8,
            {.help = "bytes that are no UTF-8 become U+FFFD (and are counted), or are refused"});
    v.Field("max_line_mb", max_line_mb,
            {.help = "records: longer lines are bad ones", .min = 1, .max = 1000, .unit = "MB"});
    v.Field("check_lines", check_lines,
            {.help = "records: lines of each file that are checked before the run begins, the rest "
                     "when they are drawn; 0 = all",
             .min = 0});
  }
};

// Whether a name says that a file holds a JSON object a line: .jsonl, .json, .ndjson, or those
// with .gz.
bool IsRecordName(std::string_view path);
// Records where the names of data.files or the key say so.
DataFormat FormatOf(const DataConfig& config);
// What the keys demand of each other; throws UserError.
void CheckDataConfig(const DataConfig& config);

}  // namespace pawl::text
