#include "text/load_data.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
constexpr int64_t kSample = 200;  // records

// A vocabulary of the characters that training and evaluation will ask for: records encoded by a
// codec that only looks.
std::unique_ptr<Tokenizer> CharactersOf(const RecordSet& records, const DataConfig& config) {
  std::set<char32_t> seen;
  TextCodec codec;
  codec.end_text = "\n";
  codec.encode = [&seen](std::string_view text, bool) {
    for (size_t at = 0; at < text.size();) {
      const CodePoint point = CodePointAt(text, at);
      seen.insert(point.value);
      at += point.size;
    }
    return std::vector<int32_t>();
  };
  SequenceOptions options = SequenceOptionsOf(config);
  options.min_tokens = 0;
  for (const Side side : {Side::kTrain, Side::kHeldOut}) {
    const RecordSource source(records, side, codec, options);
    Sequence unused;
    Fit fit = Fit::kKept;
    for (size_t part = 0; part < source.parts(); ++part) {
      for (int64_t i = 0; i < source.part_sequences(part); ++i) source.Encode(part, i, unused, fit);
    }
  }
  std::string text;
  for (const char32_t point : seen) AppendUtf8(text, point);
  const std::string_view texts[] = {text};
  return std::make_unique<Tokenizer>(MakeCharTokenizer(texts));
}

// Records spread over all parts.
RecordSample SampleOf(const RecordSource& source) {
  RecordSample sample;
  const int64_t all = source.sequences(), chosen = std::min(all, kSample);
  for (int64_t i = 0; i < chosen; ++i) {
    int64_t index = i * all / chosen;
    size_t part = 0;
    while (index >= source.part_sequences(part)) index -= source.part_sequences(part++);
    Sequence sequence;
    Fit fit = Fit::kKept;
    if (!source.Encode(part, index, sequence, fit)) continue;
    ++sample.records;
    sample.prompt_differs += sequence.prompt_differs ? 1 : 0;
    sample.truncated += fit == Fit::kTruncated ? 1 : 0;
    sample.dropped += IsKept(fit) ? 0 : 1;
    if (IsKept(fit)) sample.tokens += static_cast<int64_t>(sequence.tokens.size());
  }
  return sample;
}

void AddCounts(const RecordSet& records, LoadedData& data) {
  const RecordCounts& counts = records.counts();
  data.counts.bytes += counts.bytes;
  data.counts.replaced_utf8 += counts.replaced_utf8;
  data.counts.empty_lines += counts.empty_lines;
  data.counts.bad_lines += counts.bad_lines;
  data.problems.insert(data.problems.end(), counts.problems.begin(), counts.problems.end());
}

double MeanTokens(const RecordSample& sample) {
  return sample.records == 0
             ? 0
             : static_cast<double>(sample.tokens) / static_cast<double>(sample.records);
}

// Sizes that a run needs, and an estimate of its tokens.
void CheckRecords(const DataConfig& config, LoadedData& data) {
  if (data.train->empty()) {
    throw UserError({.what = "no record to learn from",
                     .where = "data.files",
                     .expected = "at least one record beside the hold-out"});
  }
  if (data.eval->empty() && (config.holdout > 0 || !config.eval_files.empty())) {
    throw UserError({.what = "nothing to evaluate on",
                     .where = config.eval_files.empty() ? "data.holdout" : "data.eval_files",
                     .expected = "at least one record",
                     .hint = "data.holdout = 0 trains without evaluation"});
  }
  data.sample = SampleOf(static_cast<const RecordSource&>(*data.train));
  // what cannot be encoded is told now and not after hours
  SampleOf(static_cast<const RecordSource&>(*data.eval));
  if (data.sample.dropped == data.sample.records) {
    throw UserError({.what = fmt::format("none of {} records can be used", data.sample.records),
                     .where = "data.files",
                     .expected = "records within data.context, data.min_tokens and "
                                 "data.max_prompt_tokens that leave something to learn",
                     .hint = "pawl data inspect shows their lengths"});
  }
  const double mean = MeanTokens(data.sample);
  data.tokens_are_estimates = true;
  data.train_tokens = mean * static_cast<double>(data.train->sequences());
  data.eval_tokens = mean * static_cast<double>(data.eval->sequences());
}

LoadedData LoadRecords(const DataConfig& config, std::unique_ptr<Tokenizer> given,
                       std::shared_ptr<const ChatTemplate> chat) {
  LoadedData data;
  RecordOptions options = RecordOptionsOf(config);
  data.records = std::make_unique<RecordSet>(config.files, "data.files", options);
  AddCounts(*data.records, data);
  if (config.tokenizer == TokenizerKind::kByte) {
    data.tokenizer = std::make_unique<Tokenizer>(MakeByteTokenizer());
  } else if (config.tokenizer == TokenizerKind::kChar) {
    data.tokenizer = CharactersOf(*data.records, config);
  } else {
    PAWL_CHECK(given != nullptr, "the model's tokenizer is missing");
    data.tokenizer = std::move(given);
  }
  const SequenceOptions encode = SequenceOptionsOf(config);
  const TextCodec codec = CodecOf(*data.tokenizer, std::move(chat), config.chat_date);
  data.train = std::make_unique<RecordSource>(*data.records, Side::kTrain, codec, encode);
  if (config.eval_files.empty()) {
    data.eval = std::make_unique<RecordSource>(*data.records, Side::kHeldOut, codec, encode);
  } else {
    options.holdout = 0;
    options.kind = data.records->kind();
    data.eval_records = std::make_unique<RecordSet>(config.eval_files, "data.eval_files", options);
    AddCounts(*data.eval_records, data);
    data.eval = std::make_unique<RecordSource>(*data.eval_records, Side::kTrain, codec, encode);
  }
  CheckRecords(config, data);
  return data;
}
}  // namespace

LoadedData LoadData(const DataConfig& config, std::unique_ptr<Tokenizer> given,
                    std::shared_ptr<const ChatTemplate> chat) {
  CheckDataConfig(config);
  if (FormatOf(config) == DataFormat::kRecords)
    return LoadRecords(config, std::move(given), std::move(chat));
  LoadedText text = LoadText(config, std::move(given));
  LoadedData data;
  data.tokenizer = std::move(text.tokenizer);
  data.counts = text.counts;
  data.train_tokens = static_cast<double>(text.train.tokens());
  data.eval_tokens = static_cast<double>(text.eval.tokens());
  data.train = std::make_unique<TextDataset>(std::move(text.train));
  data.eval = std::make_unique<TextDataset>(std::move(text.eval));
  return data;
}

LoadedData LoadEvalData(const std::vector<std::string>& files, const DataConfig& config,
                        std::unique_ptr<Tokenizer> tokenizer,
                        std::shared_ptr<const ChatTemplate> chat) {
  LoadedData data;
  data.tokenizer = std::move(tokenizer);
  DataConfig own = config;
  own.files = files;
  own.eval_files.clear();
  own.holdout = 0;
  if (FormatOf(own) != DataFormat::kRecords) {
    auto text =
        std::make_unique<TextDataset>(LoadTextFiles(files, own, *data.tokenizer, data.counts));
    data.eval_tokens = static_cast<double>(text->tokens());
    data.eval = std::move(text);
    return data;
  }
  data.eval_records = std::make_unique<RecordSet>(own.files, "--data", RecordOptionsOf(own));
  AddCounts(*data.eval_records, data);
  data.eval = std::make_unique<RecordSource>(
      *data.eval_records, Side::kTrain, CodecOf(*data.tokenizer, std::move(chat), own.chat_date),
      SequenceOptionsOf(own));
  return data;
}

BatchOptions BatchOptionsOf(const DataConfig& config, uint64_t seed, int64_t sequences) {
  BatchOptions options;
  options.seed = seed;
  options.sequences = sequences;
  options.pack = config.packing == Packing::kBestFit;
  options.weights = config.weights;
  return options;
}

}  // namespace pawl::text
