#include "text/utf8.h"

#include <cstring>

namespace pawl::text {
namespace {

// Bytes of the sequence that a first byte announces (0: it can begin none), and the range of the
// second byte, which rules out surrogates, overlong forms and values above U+10FFFF (table 3-7 of
// the Unicode standard).
struct Lead {
  size_t size = 0;
  uint8_t low = 0x80, high = 0xBF;
};

Lead LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {0};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}
}  // namespace

CodePoint CodePointAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const Lead lead = LeadOf(byte(0));
  if (lead.size == 1) return {byte(0), 1};
  if (lead.size == 0) return {kReplacement, 1, false};
  char32_t value = byte(0) & (0x7Fu >> lead.size);
  for (size_t i = 1; i < lead.size; ++i) {
    const uint8_t low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xBF;
    if (at + i >= text.size() || byte(i) < low || byte(i) > high) return {kReplacement, i, false};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  return {value, lead.size};
}

void AppendUtf8(std::string& out, char32_t c) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::string ToUtf8(char32_t code_point) {
  std::string out;
  AppendUtf8(out, code_point);
  return out;
}

size_t FindInvalidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    // eight bytes of ASCII at once
    uint64_t bytes = 0;
    if (at + sizeof(bytes) <= text.size()) {
      std::memcpy(&bytes, text.data() + at, sizeof(bytes));
      if ((bytes & 0x8080808080808080u) == 0) {
        at += sizeof(bytes);
        continue;
      }
    }
    const CodePoint point = CodePointAt(text, at);
    if (!point.valid) return at;
    at += point.size;
  }
  return std::string_view::npos;
}

std::string ReplaceInvalidUtf8(std::string_view text, int64_t& replaced, size_t* first) {
  std::string out;
  size_t kept = 0;  // everything before is in `out`
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = CodePointAt(text, at);
    if (!point.valid) {
      out.append(text.substr(kept, at - kept));
      AppendUtf8(out, kReplacement);
      kept = at + point.size;
      if (replaced++ == 0 && first != nullptr) *first = at;
    }
    at += point.size;
  }
  if (kept == 0) return std::string(text);
  out.append(text.substr(kept));
  return out;
}

std::string PlainText(std::string text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (text.find("\r\n") == std::string::npos) return text;
  size_t kept = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    text[kept++] = text[i];
  }
  text.resize(kept);
  return text;
}

}  // namespace pawl::text
