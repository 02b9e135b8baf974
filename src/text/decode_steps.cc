#include "text/decode_steps.h"

#include <algorithm>

#include "text/byte_symbols.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
void ReplaceAll(std::string_view text, std::string_view from, std::string_view to,
                std::string& out) {
  out.clear();
  if (from.empty()) {
    out = text;
    return;
  }
  size_t done = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, done)) {
    out += text.substr(done, at - done);
    out += to;
    done = at + from.size();
  }
  out += text.substr(done);
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte of "<0x..>", or -1. As in the package a sign may stand for the first digit.
int ByteOfToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = token[3] == '+' ? 0 : HexDigit(token[3]), low = HexDigit(token[4]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

void FlushBytes(std::string& held, DecodeSink next) {
  if (held.empty()) return;
  int64_t invalid = 0;
  ReplaceInvalidUtf8(held, invalid);
  if (invalid == 0) {
    next(held);
  } else {
    for (size_t i = 0; i < held.size(); ++i) next("\xEF\xBF\xBD");
  }
  held.clear();
}
}  // namespace

std::string BytesOfToken(std::string_view token) {
  std::string bytes;
  return SymbolsToBytes(token, bytes) ? bytes : std::string(token);
}

void PushUtf8(std::string_view bytes, std::string& held, std::string& out) {
  if (held.empty() &&
      std::all_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<int8_t>(c) >= 0; })) {
    out += bytes;
    return;
  }
  held += bytes;
  size_t at = 0;
  while (at < held.size()) {
    const CodePoint point = CodePointAt(held, at);
    // a beginning that the text's end cuts off: three bytes at most
    if (!point.valid && at + point.size == held.size() && point.size < 4 &&
        static_cast<uint8_t>(held[at]) >= 0xC2 && static_cast<uint8_t>(held[at]) < 0xF5) {
      break;
    }
    if (point.valid) {
      out.append(held, at, point.size);
    } else {
      AppendUtf8(out, kReplacement);
    }
    at += point.size;
  }
  held.erase(0, at);
}

void FinishUtf8(std::string& held, std::string& out) {
  int64_t replaced = 0;
  out += ReplaceInvalidUtf8(held, replaced);
  held.clear();
}

void WholeTokenStep::Push(std::string_view token, Decoder::StepState& state, DecodeSink) const {
  state.held += token;
  ++state.seen;
}

void WholeTokenStep::Finish(Decoder::StepState& state, DecodeSink next) const {
  if (state.seen == 0) return;
  Decoder::StepState inner;
  step_->Push(state.held, inner, next);
  step_->Finish(inner, next);
}

void JoinStep::Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const {
  if (state.seen++ > 0) next(" ");
  next(token);
}

void ByteLevelStep::Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const {
  std::string& text = state.scratch;
  text.clear();
  PushUtf8(BytesOfToken(token), state.held, text);
  if (!text.empty()) next(text);
}

void ByteLevelStep::Finish(Decoder::StepState& state, DecodeSink next) const {
  std::string text;
  FinishUtf8(state.held, text);
  if (!text.empty()) next(text);
}

void ByteFallbackStep::Push(std::string_view token, Decoder::StepState& state,
                            DecodeSink next) const {
  const int byte = ByteOfToken(token);
  if (byte >= 0) {
    state.held += static_cast<char>(byte);
    return;
  }
  FlushBytes(state.held, next);
  next(token);
}

void ByteFallbackStep::Finish(Decoder::StepState& state, DecodeSink next) const {
  FlushBytes(state.held, next);
}

void MetaspaceStep::Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const {
  const bool first = fused_ || state.seen++ == 0;
  ReplaceAll(token, replacement_, first && prepended_ ? "" : " ", state.scratch);
  next(state.scratch);
}

void ReplaceStep::Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const {
  std::string& out = state.scratch;
  out.clear();
  pattern_.ForEachPiece(token, [&](size_t begin, size_t end, bool is_match) {
    out += is_match ? std::string_view(content_) : token.substr(begin, end - begin);
  });
  next(out);
}

void StripStep::Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const {
  if (!fused_) {
    state.seen = 0;
    state.held.clear();
  }
  // leading ones: `seen` counts those taken, and is past start_ when another character has come
  while (state.seen < start_ && token.starts_with(content_)) {
    token.remove_prefix(content_.size());
    ++state.seen;
  }
  if (!token.empty()) state.seen = start_;
  if (stop_ == 0) return next(token);
  // trailing ones are held: none of them is certain
  std::string& all = state.scratch;
  all = state.held;
  all += token;
  size_t end = all.size();
  for (int64_t i = 0; i < stop_ && std::string_view(all).substr(0, end).ends_with(content_); ++i)
    end -= content_.size();
  if (!fused_) return next(std::string_view(all).substr(0, end));
  state.held = all.substr(end);
  next(std::string_view(all).substr(0, end));
}

void StripStep::Finish(Decoder::StepState& state, DecodeSink next) const { state.held.clear(); }

void BpeDecodeStep::Emit(std::string_view token, const char* content, DecodeSink next) const {
  std::string out;
  ReplaceAll(token, suffix_, content, out);
  next(out);
}

void BpeDecodeStep::Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const {
  if (state.seen++ > 0) Emit(state.held, " ", next);
  state.held = token;
}

void BpeDecodeStep::Finish(Decoder::StepState& state, DecodeSink next) const {
  if (state.seen > 0) Emit(state.held, "", next);
}

}  // namespace pawl::text
