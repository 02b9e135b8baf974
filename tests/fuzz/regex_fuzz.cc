// A pattern and a text (split at a 0 byte): either a pawl::Error of one line, or matches that lie
// in the text, at boundaries of code points, one behind the other.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "text/regex.h"
#include "text/utf8.h"

namespace {
using namespace pawl;

void Require(bool condition) {
  if (!condition) std::abort();
}

bool IsBoundary(const std::string& text, size_t at) {
  return at == text.size() || (at < text.size() && (text[at] & 0xC0) != 0x80);
}

void Run(std::string_view pattern, const std::string& text) {
  const text::Regex regex = text::Regex::Compile(pattern, "fuzz");
  size_t end = 0;
  bool first = true;
  regex.ForEachMatch(text, [&](text::Regex::Match match) {
    Require(match.begin >= end && match.begin <= match.end && match.end <= text.size());
    Require(IsBoundary(text, match.begin) && IsBoundary(text, match.end));
    Require(first || match.end > end);
    if (first) Require(regex.Find(text, 0) == match);
    first = false;
    end = match.end;
  });
  size_t covered = 0;
  regex.ForEachPiece(text, [&](size_t begin, size_t piece_end, bool /*is_match*/) {
    Require(begin == covered && piece_end >= begin);
    covered = piece_end;
  });
  Require(covered == text.size());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t split = std::min(input.find('\0'), input.size());
  int64_t replaced = 0;
  const std::string text =
      text::ReplaceInvalidUtf8(input.substr(std::min(split + 1, input.size())), replaced);
  try {
    Run(input.substr(0, split), text);
  } catch (const Error& error) {
    Require(std::string_view(error.what()).find('\n') == std::string_view::npos ||
            input.substr(0, split).find('\n') != std::string_view::npos);
  }
  return 0;
}
