#include "text/record_encoder.h"

#include <algorithm>

#include "core/error.h"
#include "text/chat_template.h"
#include "text/python_text.h"
#include "text/tokenizer.h"

namespace pawl::text {
namespace {

TextCodec::Rendered Render(const TextCodec& codec, const Record& record, const Json& messages,
                           bool add_generation_prompt, bool continue_final_message = false) {
  if (!codec.render) {
    throw UserError(
        {.what = "messages, but there is no chat template",
         .expected = "a tokenizer with a chat template, data.chat_template, or columns of text"});
  }
  return codec.render({.messages = messages,
                       .tools = record.tools,
                       .template_args = record.template_args,
                       .add_generation_prompt = add_generation_prompt,
                       .continue_final_message = continue_final_message});
}

// 1 for each token of the assistant: from the first that holds the first character of a range to
// the first that holds its last one.
std::vector<uint8_t> AssistantMask(const std::vector<CharRange>& ranges,
                                   const std::vector<CharRange>& offsets) {
  std::vector<uint8_t> mask(offsets.size(), 0);
  const auto token_of = [&](int64_t character) {
    // tokens follow each other in the text: the first that ends behind the character
    const auto token = std::ranges::partition_point(
        offsets, [character](const CharRange& range) { return range.end <= character; });
    return token != offsets.end() && token->begin <= character ? token : offsets.end();
  };
  for (const CharRange& range : ranges) {
    const auto first = token_of(range.begin), last = token_of(range.end - 1);
    if (first == offsets.end()) break;
    // what has no token at its end goes on to the end of all
    const auto end = last == offsets.end() ? last : last + 1;
    for (auto token = first; token < end; ++token) mask[token - offsets.begin()] = 1;
  }
  if (std::ranges::find(mask, 1) == mask.end()) {
    throw UserError(
        {.what = "a record without a token of the assistant",
         .where = "data.loss_on",
         .expected = "a chat template with {% generation %} around the assistant's turns",
         .hint = "\"completion\" or \"all\" needs none"});
  }
  return mask;
}

int64_t CommonPrefix(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

Json Together(const Json& prompt, const Json& completion) {
  Json all = prompt;
  for (const Json& message : completion) all.push_back(message);
  return all;
}

std::string WithEnd(std::string text, const TextCodec& codec) {
  return text.ends_with(codec.end_text) ? text : std::move(text) + codec.end_text;
}

struct Parts {
  bool conversational = false;
  Json prompt, completion;
};

Json Turn(const char* role, const Json& text) {
  return Json::array({Json({{"role", role}, {"content", text}})});
}

// A prompt and what follows it, thoughts put in front of the answer.
Parts PartsOf(const Record& record, const Json& completion, const SequenceOptions& options) {
  Parts parts{record.conversational, record.prompt, completion};
  if (record.kind == RecordKind::kThought && !completion.is_null()) {
    parts.completion = options.thought_open + record.thought + options.thought_close +
                       completion.get<std::string>();
  }
  if (options.wrap_in_chat && !parts.conversational) {
    parts.prompt = Turn("user", parts.prompt);
    if (!parts.completion.is_null()) parts.completion = Turn("assistant", parts.completion);
    parts.conversational = true;
  }
  return parts;
}

std::vector<int32_t> TokensOf(const Record& record, const Parts& parts, const TextCodec& codec) {
  if (parts.conversational) {
    const Json all = Together(parts.prompt, parts.completion);
    return codec.encode(Render(codec, record, all, false).text, false);
  }
  return codec.encode(
      WithEnd(parts.prompt.get<std::string>() + parts.completion.get<std::string>(), codec), true);
}

std::vector<int32_t> PromptTokens(const Record& record, const Parts& parts,
                                  const TextCodec& codec) {
  return parts.conversational ? codec.encode(Render(codec, record, parts.prompt, true).text, false)
                              : codec.encode(parts.prompt.get<std::string>(), true);
}

void SetTargetsFrom(Sequence& sequence, int64_t prompt) {
  sequence.prompt = prompt;
  sequence.is_target.assign(sequence.tokens.size(), 1);
  const int64_t first =
      std::min(std::max<int64_t>(1, prompt), static_cast<int64_t>(sequence.tokens.size()));
  std::fill_n(sequence.is_target.begin(), first, uint8_t{0});
}

void KeepTargets(Sequence& sequence, const std::vector<uint8_t>& mask) {
  for (size_t i = 0; i < mask.size(); ++i) sequence.is_target[i] &= mask[i];
}

void RequireTurns(bool conversational) {
  if (conversational) return;
  throw UserError({.what = "a record of text has no assistant's turns",
                   .where = "data.loss_on",
                   .expected = "\"completion\" or \"all\" for columns of text"});
}

Sequence EncodeLanguage(const Record& record, const TextCodec& codec,
                        const SequenceOptions& options) {
  Sequence sequence;
  const bool assistant = options.loss_on == LossOn::kAssistant;
  if (assistant) RequireTurns(record.conversational);
  if (!record.conversational) {
    sequence.tokens = codec.encode(WithEnd(record.text.get<std::string>(), codec), true);
    SetTargetsFrom(sequence, 0);
    return sequence;
  }
  const auto rendered = Render(codec, record, record.text, false);
  if (!assistant) {
    sequence.tokens = codec.encode(rendered.text, false);
    SetTargetsFrom(sequence, 0);
    return sequence;
  }
  auto tokens = codec.encode_with_offsets(rendered.text);
  sequence.tokens = std::move(tokens.ids);
  SetTargetsFrom(sequence, 0);
  KeepTargets(sequence, AssistantMask(rendered.assistant, tokens.offsets));
  return sequence;
}

Sequence EncodeCompletion(const Record& record, const TextCodec& codec,
                          const SequenceOptions& options) {
  const Parts parts = PartsOf(record, record.completion, options);
  Sequence sequence;
  std::vector<uint8_t> mask;
  if (options.loss_on == LossOn::kAssistant) {
    RequireTurns(parts.conversational);
    const Json all = Together(parts.prompt, parts.completion);
    const auto rendered = Render(codec, record, all, false);
    auto tokens = codec.encode_with_offsets(rendered.text);
    sequence.tokens = std::move(tokens.ids);
    mask = AssistantMask(rendered.assistant, tokens.offsets);
  } else {
    sequence.tokens = TokensOf(record, parts, codec);
  }
  const auto prompt = PromptTokens(record, parts, codec);
  const int64_t common = CommonPrefix(prompt, sequence.tokens);
  SetTargetsFrom(sequence, options.loss_on == LossOn::kAll ? 0 : common);
  sequence.prompt = common;
  sequence.prompt_differs = common < static_cast<int64_t>(prompt.size());
  KeepTargets(sequence, mask);
  return sequence;
}
}  // namespace

TextCodec CodecOf(const Tokenizer& tokenizer, std::shared_ptr<const ChatTemplate> chat,
                  const std::string& date) {
  TextCodec codec;
  if (chat != nullptr) {
    codec.render = [chat, day = ParseDate(date, "data.chat_date")](const TextCodec::Chat& wanted) {
      RenderOptions options;
      options.tools = &wanted.tools;
      options.kwargs = &wanted.template_args;
      options.add_generation_prompt = wanted.add_generation_prompt;
      if (wanted.continue_final_message) options.continue_field = "content";
      options.date = day;
      const Rendered rendered = chat->Render(wanted.messages, options);
      TextCodec::Rendered out{.text = rendered.text};
      const std::string_view text = out.text;
      for (const auto& [begin, end] : rendered.assistant) {
        const auto first = static_cast<int64_t>(python::Length(text.substr(0, begin)));
        const auto count = static_cast<int64_t>(python::Length(text.substr(begin, end - begin)));
        out.assistant.push_back({first, first + count});
      }
      return out;
    };
  }
  codec.encode = [&tokenizer](std::string_view text, bool special_tokens) {
    return tokenizer.Encode(
        text, {.add_special_tokens = special_tokens, .unknown = UnknownText::kRefuse});
  };
  codec.encode_with_offsets = [&tokenizer](std::string_view text) {
    const Encoding encoding = tokenizer.EncodeWithOffsets(text, {.unknown = UnknownText::kRefuse});
    TextCodec::Tokens tokens;
    tokens.ids = encoding.ids;
    for (const auto& offset : encoding.offsets)
      tokens.offsets.push_back({offset.begin, offset.end});
    return tokens;
  };
  const auto end = tokenizer.eos_id();
  const auto token = end ? tokenizer.IdToToken(*end) : std::nullopt;
  codec.end_text = token.value_or("\n");
  return codec;
}

SequenceOptions SequenceOptionsOf(const DataConfig& config) {
  SequenceOptions options;
  options.loss_on = config.loss_on;
  options.wrap_in_chat = config.wrap_in_chat;
  options.thought_open = config.thought_open;
  options.thought_close = config.thought_close;
  options.max_tokens = config.context + 1;
  options.min_tokens = config.min_tokens;
  options.max_prompt_tokens = config.max_prompt_tokens;
  options.long_records = config.long_lines;
  return options;
}

Sequence EncodeSequence(const Record& record, const TextCodec& codec,
                        const SequenceOptions& options) {
  switch (record.kind) {
    case RecordKind::kLanguage:
      return EncodeLanguage(record, codec, options);
    case RecordKind::kPromptCompletion:
    case RecordKind::kUnpaired:
    case RecordKind::kThought:
      return EncodeCompletion(record, codec, options);
    default:
      throw UserError(
          {.what = fmt::format("a record of kind {} is no sequence to learn", NameOf(record.kind)),
           .where = "data.kind",
           .expected = "language, prompt_completion, unpaired or thought"});
  }
}

Fit FitSequence(Sequence& sequence, const SequenceOptions& options) {
  const auto size = static_cast<int64_t>(sequence.tokens.size());
  if (options.max_prompt_tokens > 0 && sequence.prompt > options.max_prompt_tokens)
    return Fit::kLongPrompt;
  if (size < options.min_tokens) return Fit::kTooShort;
  const bool cut = options.max_tokens > 0 && size > options.max_tokens;
  if (cut) {
    if (options.long_records == LongLine::kDrop) return Fit::kTooLong;
    if (options.long_records == LongLine::kRefuse) {
      throw UserError({.what = fmt::format("a record of {} tokens, its end included", size),
                       .expected = fmt::format("at most data.context + 1 = {}", options.max_tokens),
                       .hint = "data.long = \"truncate\" cuts it"});
    }
    sequence.tokens.resize(static_cast<size_t>(options.max_tokens));
    sequence.is_target.resize(static_cast<size_t>(options.max_tokens));
    sequence.prompt = std::min(sequence.prompt, options.max_tokens);
  }
  if (std::ranges::find(sequence.is_target, 1) == sequence.is_target.end())
    return Fit::kNothingToLearn;
  return cut ? Fit::kTruncated : Fit::kKept;
}

SequencePair EncodePair(const Record& record, const TextCodec& codec,
                        const SequenceOptions& options) {
  if (record.kind != RecordKind::kPreference) {
    throw UserError(
        {.what = fmt::format("a record of kind {} is no preference", NameOf(record.kind)),
         .where = "data.kind",
         .expected = "chosen and rejected"});
  }
  SequencePair pair;
  const Parts chosen = PartsOf(record, record.chosen, options);
  pair.chosen.tokens = TokensOf(record, chosen, codec);
  pair.rejected.tokens = TokensOf(record, PartsOf(record, record.rejected, options), codec);
  // an implicit prompt may be empty: the two begin with their difference
  const bool any = !chosen.prompt.empty();
  const auto prompt = any ? PromptTokens(record, chosen, codec) : std::vector<int32_t>();
  const int64_t common = std::min(CommonPrefix(prompt, pair.chosen.tokens),
                                  CommonPrefix(prompt, pair.rejected.tokens));
  for (Sequence* side : {&pair.chosen, &pair.rejected}) {
    SetTargetsFrom(*side, common);
    side->prompt_differs = common < static_cast<int64_t>(prompt.size());
  }
  return pair;
}

std::vector<int32_t> EncodePrompt(const Record& record, const TextCodec& codec,
                                  const SequenceOptions& options) {
  if (record.prompt.is_null()) {
    throw UserError({.what = fmt::format("a record of kind {} has no prompt", NameOf(record.kind)),
                     .where = "data.kind",
                     .expected = "a column 'prompt'"});
  }
  const Parts parts = PartsOf(record, nullptr, options);
  if (!parts.conversational) return codec.encode(parts.prompt.get<std::string>(), true);
  const Json& last = parts.prompt.empty() ? Json() : parts.prompt.back();
  const std::string role = last.is_object() ? last.value("role", "") : "";
  if (role != "user" && role != "tool" && role != "assistant") {
    throw UserError({.what = fmt::format("a prompt that ends with role '{}'", role.substr(0, 40)),
                     .expected = "user or tool, or an assistant's turn to go on with"});
  }
  const bool go_on = role == "assistant";
  return codec.encode(Render(codec, record, parts.prompt, !go_on, go_on).text, false);
}

}  // namespace pawl::text
