// From files to tokens: reading, invalid bytes, line breaks, lines with prompts, the hold-out.
#include <algorithm>

#include "core/error.h"
#include "text/data_file.h"
#include "text/record_encoder.h"
#include "text/text_dataset.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
// text is encoded in pieces, so that the ids in 4 bytes never stand there for a whole file
constexpr size_t kPieceBytes = size_t{4} << 20;

struct TextFile {
  std::string path, text;
};

int64_t LineOf(std::string_view text, size_t at) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<int64_t>(at), '\n');
}

TextFile ReadOne(const std::string& path, const DataConfig& config, const char* key,
                 TextCounts& counts) {
  const DataFile file(path, key);
  std::string raw(static_cast<size_t>(file.size()), '\0');
  raw.resize(file.ReadAt(0, raw));
  if (raw.empty() || raw == "\xEF\xBB\xBF") {
    throw UserError({.what = fmt::format("'{}' is empty", path),
                     .where = key,
                     .expected = "text to learn from"});
  }
  counts.bytes += static_cast<int64_t>(raw.size());
  int64_t replaced = 0;
  size_t first = 0;
  std::string text = ReplaceInvalidUtf8(raw, replaced, &first);
  if (replaced > 0 && config.invalid_utf8 == InvalidUtf8::kRefuse) {
    throw UserError({.what = fmt::format("{} stretch{} of bytes {} no UTF-8", replaced,
                                         replaced == 1 ? "" : "es", replaced == 1 ? "is" : "are"),
                     .where = fmt::format("{}:{}", path, LineOf(raw, first)),
                     .expected = "UTF-8",
                     .hint = "data.invalid_utf8 = \"replace\" makes U+FFFD of them"});
  }
  counts.replaced_utf8 += replaced;
  return {path, PlainText(std::move(text))};
}

std::vector<TextFile> ReadFiles(const std::vector<std::string>& paths, const DataConfig& config,
                                const char* key, TextCounts& counts) {
  std::vector<TextFile> files;
  for (const std::string& path : paths) files.push_back(ReadOne(path, config, key, counts));
  return files;
}

std::vector<int32_t> EncodeAt(const Tokenizer& tokenizer, std::string_view text,
                              const std::string& where) {
  try {
    return tokenizer.Encode(text, {.unknown = UnknownText::kRefuse});
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", where, error.what()), error.exit_code());
  }
}

// The end of a piece that starts at `begin`: after a line break that no white space follows, where
// byte-level tokenizers start anew. Those that put a space in front of a text add one here.
size_t PieceEnd(std::string_view text, size_t begin) {
  size_t end = begin + kPieceBytes;
  while (end < text.size()) {
    end = text.find('\n', end);
    if (end == std::string_view::npos) break;
    ++end;
    if (end < text.size() && std::string_view(" \t\n\r").find(text[end]) == std::string_view::npos)
      return end;
  }
  return text.size();
}

TokenArray EncodeStream(std::vector<TextFile> files, const Tokenizer& tokenizer) {
  TokenArray tokens(tokenizer.vocab_size());
  for (TextFile& file : files) {
    for (size_t begin = 0; begin < file.text.size();) {
      const size_t end = PieceEnd(file.text, begin);
      tokens.Append(
          EncodeAt(tokenizer, std::string_view(file.text).substr(begin, end - begin), file.path));
      begin = end;
    }
    if (const auto eos = tokenizer.eos_id()) tokens.Append(std::span(&*eos, 1));
    file.text = {};  // freed as soon as it is ids
  }
  return tokens;
}

struct Lines {
  TokenArray tokens;
  std::vector<TextDataset::Line> lines;
};

// Adds one line that is not empty.
void AddLine(std::string_view line, const std::string& where, const DataConfig& config,
             const Tokenizer& tokenizer, Lines& out, TextCounts& counts) {
  Record record;
  if (!ReadLine(line, config.separator, record)) {
    throw UserError({.what = fmt::format("a line without the separator '{}'", config.separator),
                     .where = where,
                     .expected = "prompt, data.separator, completion"});
  }
  const SequenceOptions options = SequenceOptionsOf(config);
  Sequence sequence;
  Fit fit = Fit::kKept;
  try {
    sequence = EncodeSequence(record, CodecOf(tokenizer), options);
    counts.truncated_lines +=
        static_cast<int64_t>(sequence.tokens.size()) > options.max_tokens ? 1 : 0;
    fit = FitSequence(sequence, options);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", where, error.what()), error.exit_code());
  }
  if (!IsKept(fit)) {
    ++counts.dropped_lines;
    return;
  }
  const auto first = std::ranges::find(sequence.is_target, 1) - sequence.is_target.begin();
  out.lines.push_back({out.tokens.size(), first, fit == Fit::kTruncated});
  out.tokens.Append(sequence.tokens);
}

Lines EncodeLines(std::vector<TextFile> files, const DataConfig& config, const Tokenizer& tokenizer,
                  TextCounts& counts) {
  Lines out{TokenArray(tokenizer.vocab_size()), {}};
  for (TextFile& file : files) {
    std::string_view rest = file.text;
    for (int64_t number = 1; !rest.empty(); ++number) {
      const size_t end = rest.find('\n');
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (line.empty()) {
        ++counts.empty_lines;
        continue;
      }
      AddLine(line, fmt::format("{}:{}", file.path, number), config, tokenizer, out, counts);
    }
    file.text = {};
  }
  return out;
}

TextDataset ToDataset(std::vector<TextFile> files, const DataConfig& config,
                      const Tokenizer& tokenizer, TextCounts& counts) {
  if (FormatOf(config) == DataFormat::kText)
    return {EncodeStream(std::move(files), tokenizer), config.context};
  Lines lines = EncodeLines(std::move(files), config, tokenizer, counts);
  return {std::move(lines.tokens), std::move(lines.lines), config.context};
}

struct Split {
  TextDataset train, eval;
};

// The last share of the tokens, or of the lines.
Split SplitText(std::vector<TextFile> files, const DataConfig& config, const Tokenizer& tokenizer,
                TextCounts& counts, double holdout) {
  const auto share = [holdout](int64_t count) {
    const auto held = static_cast<int64_t>(static_cast<double>(count) * holdout);
    return holdout > 0 ? std::max<int64_t>(1, held) : 0;
  };
  if (FormatOf(config) == DataFormat::kText) {
    TokenArray tokens = EncodeStream(std::move(files), tokenizer);
    TokenArray held = tokens.SplitOff(tokens.size() - share(tokens.size()));
    return {TextDataset(std::move(tokens), config.context),
            TextDataset(std::move(held), config.context)};
  }
  Lines all = EncodeLines(std::move(files), config, tokenizer, counts);
  const auto count = static_cast<int64_t>(all.lines.size());
  const int64_t kept = std::max<int64_t>(0, count - share(count));
  if (kept == count) {
    return {TextDataset(std::move(all.tokens), std::move(all.lines), config.context),
            TextDataset(TokenArray(), config.context)};
  }
  const int64_t cut = all.lines[static_cast<size_t>(kept)].begin;
  TokenArray held = all.tokens.SplitOff(cut);
  std::vector<TextDataset::Line> held_lines(all.lines.begin() + kept, all.lines.end());
  for (auto& line : held_lines) line.begin -= cut;
  all.lines.resize(static_cast<size_t>(kept));
  return {TextDataset(std::move(all.tokens), std::move(all.lines), config.context),
          TextDataset(std::move(held), std::move(held_lines), config.context)};
}

// A run must have a whole window to learn from, and a token to evaluate on where it is to.
void CheckSizes(const DataConfig& config, const TextDataset& train, const TextDataset& eval) {
  const bool text = FormatOf(config) == DataFormat::kText;
  if (train.empty() || (text && train.tokens() < config.context + 1)) {
    throw UserError({.what = text
                                 ? fmt::format("{} tokens to learn from, fewer than a window of {}",
                                               train.tokens(), config.context + 1)
                                 : "no line to learn from",
                     .where = "data.files",
                     .expected = text ? "at least data.context + 1 tokens beside the hold-out"
                                      : "at least one line beside the hold-out",
                     .hint = text ? "a smaller data.context, or more text" : ""});
  }
  if (eval.empty() && (config.holdout > 0 || !config.eval_files.empty())) {
    throw UserError({.what = "nothing to evaluate on",
                     .where = config.eval_files.empty() ? "data.holdout" : "data.eval_files",
                     .expected = text ? "at least 2 tokens" : "at least one line",
                     .hint = "data.holdout = 0 trains without evaluation"});
  }
}

std::unique_ptr<Tokenizer> MakeTokenizer(const DataConfig& config,
                                         const std::vector<TextFile>& files,
                                         std::unique_ptr<Tokenizer> given) {
  if (config.tokenizer == TokenizerKind::kByte)
    return std::make_unique<Tokenizer>(MakeByteTokenizer());
  if (config.tokenizer == TokenizerKind::kModel) {
    PAWL_CHECK(given != nullptr, "the model's tokenizer is missing");
    return given;
  }
  std::vector<std::string_view> texts;
  for (const TextFile& file : files) texts.emplace_back(file.text);
  if (FormatOf(config) == DataFormat::kLines) texts.emplace_back("\n");  // ends a sequence
  return std::make_unique<Tokenizer>(MakeCharTokenizer(texts));
}
}  // namespace

LoadedText LoadText(const DataConfig& config, std::unique_ptr<Tokenizer> given) {
  CheckDataConfig(config);
  TextCounts counts;
  auto files = ReadFiles(config.files, config, "data.files", counts);
  auto tokenizer = MakeTokenizer(config, files, std::move(given));
  const double holdout = config.eval_files.empty() ? config.holdout : 0;
  Split split = SplitText(std::move(files), config, *tokenizer, counts, holdout);
  if (!config.eval_files.empty()) {
    split.eval = ToDataset(ReadFiles(config.eval_files, config, "data.eval_files", counts), config,
                           *tokenizer, counts);
  }
  CheckSizes(config, split.train, split.eval);
  return {std::move(tokenizer), std::move(split.train), std::move(split.eval), counts};
}

TextDataset LoadTextFiles(const std::vector<std::string>& files, const DataConfig& config,
                          const Tokenizer& tokenizer, TextCounts& counts) {
  return ToDataset(ReadFiles(files, config, "--data", counts), config, tokenizer, counts);
}

}  // namespace pawl::text
