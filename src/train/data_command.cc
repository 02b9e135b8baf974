#include "train/data_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "text/chat_template.h"
#include "text/data_report.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "track/number_text.h"
#include "train/language_setup.h"

namespace pawl::train {
namespace {
using Json = nlohmann::ordered_json;
constexpr int kBars = 12, kBarWidth = 40;
constexpr size_t kShownBytes = 2000;  // of a piece of a shown record

const char* NameOf(text::Fit fit) {
  switch (fit) {
    case text::Fit::kKept:
      return "whole";
    case text::Fit::kTruncated:
      return "cut to the context";
    case text::Fit::kTooLong:
      return "dropped: longer than the context";
    case text::Fit::kTooShort:
      return "dropped: shorter than min_tokens";
    case text::Fit::kLongPrompt:
      return "dropped: prompt longer than max_prompt_tokens";
    case text::Fit::kNothingToLearn:
      return "dropped: nothing left to learn";
  }
  return "?";
}

Json ToJson(const text::LengthHistogram& lengths) {
  return {{"count", lengths.count()},      {"sum", lengths.sum()},
          {"min", lengths.least()},        {"mean", lengths.mean()},
          {"p50", lengths.Quantile(0.5)},  {"p95", lengths.Quantile(0.95)},
          {"p99", lengths.Quantile(0.99)}, {"max", lengths.most()}};
}

Json ToJson(const text::DataReport& report) {
  const text::RecordCounts& counts = report.counts;
  Json json = {{"kind", text::NameOf(report.kind)},
               {"records", counts.records},
               {"conversational", report.conversational},
               {"lines", counts.lines},
               {"empty_lines", counts.empty_lines},
               {"bad_lines", counts.bad_lines},
               {"bytes", counts.bytes},
               {"replaced_utf8", counts.replaced_utf8}};
  json["extra_columns"] = report.extra_columns;
  json["characters"] = ToJson(report.characters);
  if (report.tokens.count() + report.prompt_tokens.count() > 0) {
    json["tokens"] = ToJson(report.tokens);
    json["prompt_tokens"] = ToJson(report.prompt_tokens);
    json["learned_tokens"] = ToJson(report.learned_tokens);
    Json fits = Json::object();
    for (int i = 0; i < text::kNumFits; ++i)
      fits[NameOf(static_cast<text::Fit>(i))] = report.fits[static_cast<size_t>(i)];
    json["under_the_limits"] = std::move(fits);
    json["prompt_differs"] = report.prompt_differs;
    json["not_encoded"] = report.not_encoded;
  }
  json["problems"] = Json::array();
  for (const auto& bad : counts.problems) {
    json["problems"].push_back(
        {{"file", bad.file}, {"line", bad.line}, {"what", bad.problem.what}});
  }
  return json;
}

void PrintLengths(const char* name, const text::LengthHistogram& lengths) {
  if (lengths.count() == 0) return;
  std::printf("  %-14s mean %.1f, half up to %lld, 95 %% up to %lld, longest %lld\n", name,
              lengths.mean(), static_cast<long long>(lengths.Quantile(0.5)),
              static_cast<long long>(lengths.Quantile(0.95)),
              static_cast<long long>(lengths.most()));
}

// Bars over equal stretches up to the 99th percentile, and one for the rest.
void PrintBars(const char* name, const text::LengthHistogram& lengths) {
  if (lengths.count() < 2) return;
  std::printf("\n  %s\n", name);
  const int64_t step = std::max<int64_t>(1, (lengths.Quantile(0.99) + kBars) / kBars);
  std::vector<int64_t> counts;
  for (int i = 0; i < kBars; ++i)
    counts.push_back(lengths.CountWithin(i * step, (i + 1) * step - 1));
  counts.push_back(lengths.CountWithin(kBars * step, lengths.most()));
  const int64_t largest = std::max<int64_t>(1, *std::ranges::max_element(counts));
  for (int i = 0; i <= kBars; ++i) {
    const int64_t count = counts[static_cast<size_t>(i)];
    if (i == kBars && count == 0) break;
    const std::string range = i == kBars ? fmt::format("{} and more", i * step)
                                         : fmt::format("{} to {}", i * step, (i + 1) * step - 1);
    std::printf("  %18s %8lld  %s\n", range.c_str(), static_cast<long long>(count),
                std::string(static_cast<size_t>(count * kBarWidth / largest), '#').c_str());
  }
}

// Control characters made visible: a record must not move the terminal's cursor.
std::string Printable(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size() && out.size() < kShownBytes;) {
    const text::CodePoint point = text::CodePointAt(text, at);
    const bool control = (point.value < 0x20 && point.value != '\n' && point.value != '\t') ||
                         (point.value >= 0x7F && point.value < 0xA0);
    out += control ? fmt::format("\\x{:02x}", static_cast<uint32_t>(point.value))
                   : text::ToUtf8(point.value);
    at += point.size;
  }
  return out.size() < kShownBytes ? out : out + " ...";
}

void PrintShown(const text::ShownRecord& shown, bool color) {
  std::printf("\n--- %s%s%s\n", shown.place.c_str(), shown.title.empty() ? "" : ", ",
              shown.title.c_str());
  for (const auto& piece : shown.pieces) {
    const char* open = !piece.learned ? "" : color ? "\x1B[32m" : "[[";
    const char* close = !piece.learned ? "" : color ? "\x1B[0m" : "]]";
    std::printf("%s%s%s", open, Printable(piece.text).c_str(), close);
  }
  std::printf("\n");
}

void PrintTable(const text::DataReport& report, const text::DataConfig& config) {
  const text::RecordCounts& counts = report.counts;
  std::printf("%lld records of kind %s in %zu file%s, %s\n", static_cast<long long>(counts.records),
              text::NameOf(report.kind), config.files.size(), config.files.size() == 1 ? "" : "s",
              track::SizeText(static_cast<uint64_t>(counts.bytes)).c_str());
  const auto line = [](int64_t count, const char* what) {
    if (count > 0) std::printf("  %lld %s\n", static_cast<long long>(count), what);
  };
  line(report.conversational, "are messages");
  line(counts.empty_lines, "empty lines");
  line(counts.bad_lines, "bad lines");
  line(counts.replaced_utf8, "stretches that are no UTF-8");
  line(report.prompt_differs,
       "with a prompt whose last tokens differ from those of the prompt alone");
  if (!report.extra_columns.empty()) {
    std::printf("  other columns  ");
    const char* between = "";
    for (const auto& [name, count] : report.extra_columns) {
      std::printf("%s%s", between, Printable(name).c_str());
      if (count < counts.records) std::printf(" (in %lld)", static_cast<long long>(count));
      between = ", ";
    }
    std::printf("\n");
  }
  PrintLengths("characters", report.characters);
  PrintLengths("tokens", report.tokens);
  PrintLengths("prompt tokens", report.prompt_tokens);
  PrintLengths("learned tokens", report.learned_tokens);
  for (int i = 0; i < text::kNumFits && report.tokens.count() > 0; ++i)
    line(report.fits[static_cast<size_t>(i)], NameOf(static_cast<text::Fit>(i)));
  PrintBars(report.tokens.count() > 0 ? "tokens" : "characters",
            report.tokens.count() > 0 ? report.tokens : report.characters);
}
}  // namespace

int InspectCommand(const InspectOptions& options) {
  OpenedTokenizer opened;
  if (options.tokenizer == "byte") {
    opened.tokenizer = std::make_unique<text::Tokenizer>(text::MakeByteTokenizer());
  } else if (const std::string& own = options.data.tokenizer_path;
             !options.tokenizer.empty() || !own.empty()) {
    opened = OpenTokenizer(options.tokenizer.empty() ? own : options.tokenizer,
                           options.data.chat_template, options.data.eos_token);
  }
  const auto& [tokenizer, chat] = opened;
  text::TextCodec codec;
  if (tokenizer != nullptr) codec = text::CodecOf(*tokenizer, chat, options.data.chat_date);
  // a text is one stream: its lines, which are shown, end in what they end in
  if (text::FormatOf(options.data) == text::DataFormat::kText) codec.end_text = "\n";
  const text::DataReport report =
      text::InspectData(options.data, tokenizer.get(), tokenizer != nullptr ? &codec : nullptr,
                        options.json ? 0 : options.show);
  const bool bad = report.counts.bad_lines > 0 || report.not_encoded > 0;
  if (options.json) {
    std::printf("%s\n",
                ToJson(report).dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return bad ? 1 : 0;
  }
  PrintTable(report, options.data);
  const bool color = ::isatty(STDOUT_FILENO) == 1;
  for (const auto& shown : report.shown) PrintShown(shown, color);
  for (const auto& problem : report.counts.problems) {
    std::printf("%s:%lld: %s\n", problem.file.c_str(), static_cast<long long>(problem.line),
                Printable(problem.problem.what).c_str());
  }
  if (report.not_encoded > 0) {
    std::printf("%lld records cannot be encoded; the first: %s\n",
                static_cast<long long>(report.not_encoded), report.first_refusal.c_str());
  }
  return bad ? 1 : 0;
}

}  // namespace pawl::train
