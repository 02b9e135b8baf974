// The choices that [data] offers, with their names in a config.
#pragma once
#include <cstdint>

#include "core/config.h"
#include "text/utf8.h"

namespace pawl::text {

enum class DataFormat : uint8_t { kAuto, kText, kLines, kRecords };
enum class TokenizerKind : uint8_t { kModel, kChar, kByte };
enum class LongLine : uint8_t { kTruncate, kDrop, kRefuse };
enum class BadRecord : uint8_t { kSkip, kRefuse };
enum class LossOn : uint8_t { kCompletion, kAssistant, kAll };
enum class Packing : uint8_t { kNone, kBestFit };

enum class RecordKind : uint8_t {
  kAuto,              // only as a wish: what the columns say
  kLanguage,          // text or messages
  kPrompt,            // prompt
  kPromptCompletion,  // prompt, completion
  kPreference,        // chosen, rejected; the prompt beside them or as what both begin with
  kUnpaired,          // prompt, completion, label
  kThought,           // question, thought, answer
};

}  // namespace pawl::text

template <>
struct pawl::core::EnumNames<pawl::text::DataFormat> {
  using F = pawl::text::DataFormat;
  static constexpr std::pair<const char*, F> kTable[] = {
      {"auto", F::kAuto}, {"text", F::kText}, {"lines", F::kLines}, {"records", F::kRecords}};
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
  static constexpr std::pair<const char*, L> kTable[] = {
      {"truncate", L::kTruncate}, {"drop", L::kDrop}, {"refuse", L::kRefuse}};
};
template <>
struct pawl::core::EnumNames<pawl::text::InvalidUtf8> {
  using I = pawl::text::InvalidUtf8;
  static constexpr std::pair<const char*, I> kTable[] = {{"replace", I::kReplace},
                                                         {"refuse", I::kRefuse}};
};
template <>
struct pawl::core::EnumNames<pawl::text::BadRecord> {
  using B = pawl::text::BadRecord;
  static constexpr std::pair<const char*, B> kTable[] = {{"refuse", B::kRefuse},
                                                         {"skip", B::kSkip}};
};
template <>
struct pawl::core::EnumNames<pawl::text::LossOn> {
  using L = pawl::text::LossOn;
  static constexpr std::pair<const char*, L> kTable[] = {
      {"completion", L::kCompletion}, {"assistant", L::kAssistant}, {"all", L::kAll}};
};
template <>
struct pawl::core::EnumNames<pawl::text::Packing> {
  using P = pawl::text::Packing;
  static constexpr std::pair<const char*, P> kTable[] = {{"none", P::kNone},
                                                         {"best_fit", P::kBestFit}};
};
template <>
struct pawl::core::EnumNames<pawl::text::RecordKind> {
  using K = pawl::text::RecordKind;
  static constexpr std::pair<const char*, K> kTable[] = {
      {"auto", K::kAuto},
      {"language", K::kLanguage},
      {"prompt", K::kPrompt},
      {"prompt_completion", K::kPromptCompletion},
      {"preference", K::kPreference},
      {"unpaired", K::kUnpaired},
      {"thought", K::kThought}};
};
