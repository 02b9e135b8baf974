#include "text/tokenizer.h"

#include "core/error.h"
#include "text/text_encoder.h"
#include "text/tokenizer_parts.h"

namespace pawl::text {
namespace {
// The text itself where it is UTF-8, else `replaced`, which holds it with U+FFFD.
std::string_view ValidText(std::string_view text, const EncodeOptions& options,
                           std::string& replaced, int64_t& count) {
  if (text.size() >= UINT32_MAX) {
    throw UserError({.what = fmt::format("a text of {} bytes to encode at once", text.size()),
                     .expected = "less than 4 GiB"});
  }
  const size_t first = FindInvalidUtf8(text);
  if (first == std::string_view::npos) return text;
  if (options.invalid_utf8 == InvalidUtf8::kRefuse) {
    throw UserError(
        {.what = fmt::format("byte {} of the text is no UTF-8", first), .expected = "UTF-8"});
  }
  replaced = ReplaceInvalidUtf8(text, count);
  if (options.replaced_utf8 != nullptr) *options.replaced_utf8 += count;
  return replaced;
}

// Byte offsets to code points. As in the package an empty range at the end of the text stays.
void CountCodePoints(std::string_view text, std::vector<TokenOffsets>& offsets) {
  std::vector<uint32_t> index(text.size());  // of the code point that a byte belongs to
  uint32_t count = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80) ++count;
    index[at] = count;
  }
  for (TokenOffsets& range : offsets) {
    const auto begin = static_cast<size_t>(range.begin), end = static_cast<size_t>(range.end);
    if (begin >= text.size()) continue;
    range.begin = index[begin];
    range.end = end < text.size()    ? index[end]
                : end == text.size() ? index[end - 1] + 1
                                     : range.begin + 2;
  }
}
}  // namespace

int64_t TokenizerParts::end_id() const {
  int64_t end = model->vocabulary().end_id();
  for (const AddedToken& token : added.tokens()) end = std::max<int64_t>(end, token.id + 1);
  return end;
}

std::optional<std::string_view> TokenizerParts::DecodedToken(int32_t id, bool skip_special) const {
  std::string_view token;
  if (const AddedToken* found = added.Find(id)) {
    token = added.DecodedToken(static_cast<size_t>(found - added.tokens().data()));
  } else if (model->vocabulary().Has(id)) {
    token = model->vocabulary().Token(id);
  } else {
    return std::nullopt;
  }
  if (skip_special && added.IsSpecial(token)) return std::nullopt;
  return token;
}

int64_t Tokenizer::vocab_size() const { return parts_->end_id(); }

std::vector<int32_t> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  std::string replaced;
  int64_t count = 0;
  text = ValidText(text, options, replaced, count);
  EncoderState& state = EncoderStateOf(parts_->instance);
  TextEncoder(*parts_, state, options).Ids(text);
  const std::span<const int32_t> found = state.ids.ids();
  std::vector<int32_t> ids(found.begin(), found.end());
  state.ids.Shrink();
  if (options.add_special_tokens) {
    parts_->post_processor.Wrap(ids);
  } else if (options.add_first_tokens) {
    parts_->post_processor.WrapFront(ids);
  }
  return ids;
}

Encoding Tokenizer::EncodeWithOffsets(std::string_view text, const EncodeOptions& options) const {
  std::string replaced;
  Encoding encoding;
  text = ValidText(text, options, replaced, encoding.replaced_utf8);
  std::vector<TokenSpaces> spaces;
  TextEncoder(*parts_, EncoderStateOf(parts_->instance), options).Offsets(text, encoding, spaces);
  CountCodePoints(text, encoding.offsets);
  encoding.is_special.resize(encoding.ids.size());
  parts_->post_processor.Apply(encoding, std::move(spaces), options.add_special_tokens);
  return encoding;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
  std::string text;
  TokenStream stream(*this, options);
  for (const int32_t id : ids) stream.Push(id, text);
  text += stream.Finish();
  return text;
}

std::optional<int32_t> Tokenizer::TokenToId(std::string_view token) const {
  if (const AddedToken* found = parts_->added.Find(token)) return found->id;
  const int32_t id = parts_->model->vocabulary().Find(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

std::optional<std::string> Tokenizer::IdToToken(int32_t id) const {
  const auto token = parts_->DecodedToken(id, /*skip_special=*/false);
  return token ? std::optional(std::string(*token)) : std::nullopt;
}

std::optional<int32_t> Tokenizer::eos_id() const { return parts_->eos_id; }
std::optional<int32_t> Tokenizer::bos_id() const { return parts_->bos_id; }
std::optional<int32_t> Tokenizer::pad_id() const { return parts_->pad_id; }
const std::vector<std::string>& Tokenizer::warnings() const { return parts_->warnings; }
const std::string& Tokenizer::ToJson() const { return parts_->json; }
const std::string& Tokenizer::chat_template() const { return parts_->chat_template; }

struct TokenStream::State {
  explicit State(const Decoder& decoder) : decoding(decoder) {}
  Decoder::Stream decoding;
  std::string held;  // of a byte-level decoder: the beginning of a character
};

TokenStream::TokenStream(const Tokenizer& tokenizer, const DecodeOptions& options)
    : parts_(tokenizer.parts()),
      options_(options),
      state_(std::make_unique<State>(*parts_.decoder)) {}
TokenStream::TokenStream(TokenStream&&) noexcept = default;
TokenStream::~TokenStream() = default;

void TokenStream::Push(int32_t id, std::string& out) {
  const auto index = static_cast<size_t>(id);
  if (parts_.decoder->is_byte_level() && !options_.skip_special_tokens) {
    // the bytes of each token are at hand
    if (id < 0 || index + 1 >= parts_.token_ends.size()) return;
    const uint32_t begin = parts_.token_ends[index], end = parts_.token_ends[index + 1];
    PushUtf8(std::string_view(parts_.token_bytes).substr(begin, end - begin), state_->held, out);
    return;
  }
  const auto token = parts_.DecodedToken(id, options_.skip_special_tokens);
  if (token) state_->decoding.Push(*token, out);
}

std::string TokenStream::Push(int32_t id) {
  std::string out;
  Push(id, out);
  return out;
}

std::string TokenStream::Finish() {
  std::string out;
  if (!state_->held.empty()) FinishUtf8(state_->held, out);
  state_->decoding.Finish(out);
  return out;
}

std::string DecodeAfter(const Tokenizer& tokenizer, std::span<const int32_t> prompt,
                        std::span<const int32_t> ids, const DecodeOptions& options) {
  TokenStream stream(tokenizer, options);
  for (const int32_t id : prompt) stream.Push(id);
  std::string text;
  for (const int32_t id : ids) text += stream.Push(id);
  return text + stream.Finish();
}

}  // namespace pawl::text
