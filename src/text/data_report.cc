#include "text/data_report.h"

#include <algorithm>

#include "core/error.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
constexpr size_t kMaxColumns = 100;

int64_t CharactersOf(const std::string& text) {
  return std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
}

// Of a text, of the contents of messages, and of the text parts of those.
int64_t CharactersOf(const Json& content) {
  if (content.is_string()) return CharactersOf(content.get_ref<const std::string&>());
  int64_t count = 0;
  if (content.is_array()) {
    for (const Json& item : content) {
      if (!item.is_object()) continue;
      for (const char* key : {"content", "text"}) {
        if (item.contains(key)) count += CharactersOf(item[key]);
      }
    }
  }
  return count;
}

int64_t CharactersOf(const Record& record) {
  return CharactersOf(record.text) + CharactersOf(record.prompt) + CharactersOf(record.completion) +
         CharactersOf(record.chosen) + CharactersOf(record.rejected) + CharactersOf(record.thought);
}

class Inspector {
 public:
  Inspector(const DataConfig& config, const Tokenizer* tokenizer, const TextCodec* codec,
            int64_t show, DataReport& report)
      : options_(SequenceOptionsOf(config)),
        tokenizer_(tokenizer),
        codec_(codec),
        show_(show),
        report_(report) {
    options_.long_records =
        options_.long_records == LongLine::kRefuse ? LongLine::kDrop : options_.long_records;
  }

  void Add(const Record& record, const std::string& place) {
    report_.conversational += record.conversational ? 1 : 0;
    report_.characters.Add(CharactersOf(record));
    for (const auto& [name, unused] : record.extra.items()) {
      const auto found = report_.extra_columns.find(name.substr(0, 80));
      if (found != report_.extra_columns.end()) {
        ++found->second;
      } else if (report_.extra_columns.size() < kMaxColumns) {
        report_.extra_columns[name.substr(0, 80)] = 1;
      }
    }
    const bool shown = static_cast<int64_t>(report_.shown.size()) < show_;
    if (codec_ == nullptr) {
      if (shown) ShowPlain(record, place);
      return;
    }
    try {
      Encode(record, place, shown);
    } catch (const Error& error) {
      if (report_.not_encoded++ == 0) report_.first_refusal = place + ": " + error.what();
      if (shown) ShowPlain(record, place);
    }
  }

 private:
  void Encode(const Record& record, const std::string& place, bool shown) {
    if (record.kind == RecordKind::kPreference) {
      SequencePair pair = EncodePair(record, *codec_, options_);
      Count(pair.chosen, place, "chosen", shown);
      Count(pair.rejected, place, "rejected", shown);
    } else if (record.kind == RecordKind::kPrompt) {
      Sequence prompt;
      prompt.tokens = EncodePrompt(record, *codec_, options_);
      prompt.is_target.assign(prompt.tokens.size(), 0);
      prompt.prompt = static_cast<int64_t>(prompt.tokens.size());
      report_.prompt_tokens.Add(prompt.prompt);
      if (shown) Show(prompt, place, "");
    } else {
      Sequence sequence = EncodeSequence(record, *codec_, options_);
      Count(sequence, place, "", shown);
    }
  }
  void Count(Sequence& sequence, const std::string& place, const char* title, bool shown) {
    report_.tokens.Add(static_cast<int64_t>(sequence.tokens.size()));
    if (sequence.prompt > 0) report_.prompt_tokens.Add(sequence.prompt);
    report_.learned_tokens.Add(std::ranges::count(sequence.is_target, 1));
    report_.prompt_differs += sequence.prompt_differs ? 1 : 0;
    if (shown) Show(sequence, place, title);
    ++report_.fits[static_cast<size_t>(FitSequence(sequence, options_))];
  }
  void Show(const Sequence& sequence, const std::string& place, const char* title) {
    ShownRecord shown{place, title, {}};
    for (size_t begin = 0; begin < sequence.tokens.size();) {
      size_t end = begin;
      while (end < sequence.tokens.size() && sequence.is_target[end] == sequence.is_target[begin])
        ++end;
      shown.pieces.push_back(
          {tokenizer_->Decode(std::span(sequence.tokens).subspan(begin, end - begin)),
           sequence.is_target[begin] != 0});
      begin = end;
    }
    report_.shown.push_back(std::move(shown));
  }
  // The texts as they stand in the record.
  void ShowPlain(const Record& record, const std::string& place) {
    ShownRecord shown{place, "", {}};
    const auto add = [&shown](const Json& content, bool learned) {
      if (content.is_string()) shown.pieces.push_back({content.get<std::string>(), learned});
      if (!content.is_array()) return;
      for (const Json& message : content) {
        if (!message.is_object() || !message.contains("content")) continue;
        const Json& inner = message["content"];
        shown.pieces.push_back({"<" + message.value("role", "?") + "> ", false});
        shown.pieces.push_back(
            {inner.is_string() ? inner.get<std::string>() : inner.dump(), learned});
        shown.pieces.push_back({"\n", false});
      }
    };
    add(record.prompt, false);
    add(record.text, true);
    if (!record.thought.empty())
      shown.pieces.push_back(
          {options_.thought_open + record.thought + options_.thought_close, true});
    add(record.completion, true);
    add(record.chosen, true);
    report_.shown.push_back(shown);
    if (record.rejected.is_null()) return;
    shown = {place, "rejected", {}};
    add(record.prompt, false);
    add(record.rejected, true);
    report_.shown.back().title = "chosen";
    report_.shown.push_back(std::move(shown));
  }

  SequenceOptions options_;
  const Tokenizer* tokenizer_;
  const TextCodec* codec_;
  int64_t show_;
  DataReport& report_;
};

// Files that are no records: each line that is not empty as a text, or as prompt and completion.
void InspectLines(const DataConfig& config, Inspector& inspector, DataReport& report) {
  report.kind = config.separator.empty() ? RecordKind::kLanguage : RecordKind::kPromptCompletion;
  for (const std::string& path : config.files) {
    const DataFile file(path, "FILE");
    report.counts.bytes += file.size();
    LineReader reader(file, config.max_line_mb * 1'000'000);
    LineReader::Line line;
    while (reader.Next(line)) {
      ++report.counts.lines;
      if (line.text.empty()) {
        ++(line.too_long ? report.counts.bad_lines : report.counts.empty_lines);
        continue;
      }
      Record record;
      const std::string text = ReplaceInvalidUtf8(line.text, report.counts.replaced_utf8);
      if (!ReadLine(text, config.separator, record)) {
        ++report.counts.bad_lines;
        continue;
      }
      record.extra = Json::object();
      ++report.counts.records;
      inspector.Add(record, fmt::format("{}:{}", path, line.number));
    }
  }
}
}  // namespace

DataReport InspectData(const DataConfig& config, const Tokenizer* tokenizer, const TextCodec* codec,
                       int64_t show) {
  DataReport report;
  Inspector inspector(config, tokenizer, codec, show, report);
  if (FormatOf(config) != DataFormat::kRecords) {
    InspectLines(config, inspector, report);
    return report;
  }
  RecordOptions options = RecordOptionsOf(config);
  options.bad_records = BadRecord::kSkip;
  options.holdout = 0;
  const RecordSet records(config.files, "FILE", options,
                          [&](const Record& record, size_t file, int64_t line) {
                            inspector.Add(record, fmt::format("{}:{}", config.files[file], line));
                          });
  report.counts = records.counts();
  report.kind = records.kind();
  return report;
}

}  // namespace pawl::text
