// [data]: the text that a language model learns, and how it becomes sequences of tokens. Beside
// text_dataset.h, which it drives.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "text/utf8.h"

namespace pawl::text {

enum class DataFormat : uint8_t { kText, kLines };
enum class TokenizerKind : uint8_t { kModel, kChar, kByte };
enum class LongLine : uint8_t { kTruncate, kRefuse };

struct DataConfig {
  std::vector<std::string> files;
  DataFormat format = DataFormat::kText;
  std::vector<std::string> eval_files;
  double holdout = 0.1;
  int64_t context = 256;
  TokenizerKind tokenizer = TokenizerKind::kModel;
  LongLine long_lines = LongLine::kTruncate;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kReplace;
  std::string separator;
  template <class V>
  void Visit(V& v) {
    v.Field("files", files, {.help = "text files, one after the other"});
    v.Field("format", format,
            {.help = "text: one stream, cut into windows; lines: each line is a sequence"});
    v.Field("eval_files", eval_files,
            {.help = "text files to evaluate on; empty = the hold-out of data.files"});
    v.Field("holdout", holdout,
            {.help = "last share of data.files that is kept for evaluation; not used beside "
                     "data.eval_files",
             .min = 0,
             .max = 0.9});
    v.Field("context", context,
            {.help = "positions of a sequence", .min = 1, .max = 1'000'000, .unit = "tokens"});
    v.Field("tokenizer", tokenizer,
            {.help = "char: one id per character of the text; byte: 256 ids; model: that of the "
                     "folder model.path"});
    v.Field("long", long_lines,
            {.help = "lines longer than the context are cut (and counted), or refused"});
    v.Field("invalid_utf8", invalid_utf8,
            {.help = "bytes that are no UTF-8 become U+FFFD (and are counted), or are refused"});
    v.Field("separator", separator,
            {.help = "lines: ends the prompt; only what follows it is learned; empty = all of the "
                     "line is"});
  }
};

// What the keys demand of each other; throws UserError.
void CheckDataConfig(const DataConfig& config);

}  // namespace pawl::text

template <>
struct pawl::core::EnumNames<pawl::text::DataFormat> {
  using F = pawl::text::DataFormat;
  static constexpr std::pair<const char*, F> kTable[] = {{"text", F::kText}, {"lines", F::kLines}};
};
template <>
struct pawl::core::EnumNames<pawl::text::TokenizerKind> {
  using T = pawl::text::TokenizerKind;
  static constexpr std::pair<const char*, T> kTable[] = {
      {"model", T::kModel}, {"char", T::kChar}, {"byte", T::kByte}};
};
template <>
struct pawl::core::EnumNames<pawl::text::LongLine> {
  using L = pawl::text::LongLine;
  static constexpr std::pair<const char*, L> kTable[] = {{"truncate", L::kTruncate},
                                                         {"refuse", L::kRefuse}};
};
template <>
struct pawl::core::EnumNames<pawl::text::InvalidUtf8> {
  using I = pawl::text::InvalidUtf8;
  static constexpr std::pair<const char*, I> kTable[] = {{"replace", I::kReplace},
                                                         {"refuse", I::kRefuse}};
};
