// UTF-8 as the Unicode standard and Python read it. Pure functions.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pawl::text {

constexpr char32_t kReplacement = 0xFFFD;

// What becomes of bytes that are no UTF-8.
enum class InvalidUtf8 : uint8_t { kReplace, kRefuse };

struct CodePoint {
  char32_t value = 0;  // kReplacement where the bytes are no UTF-8
  size_t size = 0;     // bytes it takes
  bool valid = true;
};
// The code point that begins at `at` (< text.size()). Bytes that are no UTF-8 are taken in the
// longest stretches that could begin one ("maximal subparts", as Python and Rust do), each one
// replacement character.
CodePoint CodePointAt(std::string_view text, size_t at);

void AppendUtf8(std::string& out, char32_t code_point);
std::string ToUtf8(char32_t code_point);

// Where the first bytes are that are no UTF-8; std::string_view::npos where there are none.
size_t FindInvalidUtf8(std::string_view text);
// The text with every invalid stretch replaced by U+FFFD; `replaced` counts them, `first` (where
// given) is the place of the first one.
std::string ReplaceInvalidUtf8(std::string_view text, int64_t& replaced, size_t* first = nullptr);

// Text of a file without its byte order mark, and with "\n" for "\r\n".
std::string PlainText(std::string text);

}  // namespace pawl::text
