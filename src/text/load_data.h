// From [data] to what a run draws its batches from, whatever the format: text and lines in memory
// (text_dataset.h), records from their files (record_source.h). Once, at the start of a run.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "text/record_source.h"
#include "text/shuffled_batches.h"
#include "text/text_dataset.h"

namespace pawl::text {

// What the first records look like as sequences, so that limits that do not fit are seen at once.
struct RecordSample {
  int64_t records = 0, tokens = 0, truncated = 0, dropped = 0, prompt_differs = 0;
};

struct LoadedData {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<RecordSet> records, eval_records;  // null for text and lines
  std::unique_ptr<SequenceSource> train;
  std::unique_ptr<SequenceSource> eval;  // empty() where nothing is held out
  TextCounts counts;                     // truncated and dropped: of text and lines alone
  RecordSample sample;                   // of records
  std::vector<LineProblem> problems;     // the first bad lines that were skipped
  double train_tokens = 0, eval_tokens = 0;
  bool tokens_are_estimates = false;  // records: from the sample
};

// Reads or checks all files of the config. `given`: for tokenizer = "model". Throws UserError
// naming the file and line for what cannot be read, is no record, or cannot be encoded. `chat`: the
// model's template for messages, where it has one.
LoadedData LoadData(const DataConfig& config, std::unique_ptr<Tokenizer> given,
                    std::shared_ptr<const ChatTemplate> chat = nullptr);

// Other files with a tokenizer that is there (`pawl eval --data`): all of them is `eval`.
LoadedData LoadEvalData(const std::vector<std::string>& files, const DataConfig& config,
                        std::unique_ptr<Tokenizer> tokenizer,
                        std::shared_ptr<const ChatTemplate> chat = nullptr);

// The options of a run's batches, `sequences` a batch.
BatchOptions BatchOptionsOf(const DataConfig& config, uint64_t seed, int64_t sequences);

}  // namespace pawl::text
