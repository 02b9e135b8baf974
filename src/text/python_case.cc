// Case and classes of characters, from tables that Python made.
#include <algorithm>
#include <iterator>

#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text::python {
namespace {

struct CaseRange {
  char32_t first, last;
  int step;  // every code point of the range, or every second one
  int delta;
};
struct CaseText {
  char32_t code_point;
  const char* text;
};
struct ClassRange {
  char32_t first, last;
};
#include "text/python_unicode.inc"

template <class Range, size_t kSize>
const Range* FindRange(const Range (&table)[kSize], char32_t c) {
  const Range* next =
      std::upper_bound(std::begin(table), std::end(table), c,
                       [](char32_t value, const Range& r) { return value < r.first; });
  return next != std::begin(table) && c <= std::prev(next)->last ? std::prev(next) : nullptr;
}

template <size_t kSize>
const char* FindText(const CaseText (&table)[kSize], char32_t c) {
  const auto* at = std::lower_bound(std::begin(table), std::end(table), c,
                                    [](const CaseText& t, char32_t v) { return t.code_point < v; });
  return at != std::end(table) && at->code_point == c ? at->text : nullptr;
}

// Appends the mapping of one code point; `bytes` where it has none.
template <size_t kRanges, size_t kTexts>
void AppendMapped(std::string& out, const CodePoint& c, std::string_view bytes,
                  const CaseRange (&ranges)[kRanges], const CaseText (&texts)[kTexts]) {
  const char* special = c.valid ? FindText(texts, c.value) : nullptr;
  if (special != nullptr) {
    out += special;
  } else if (const CaseRange* range = c.valid ? FindRange(ranges, c.value) : nullptr;
             range != nullptr &&
             (c.value - range->first) % static_cast<char32_t>(range->step) == 0) {
    AppendUtf8(out, static_cast<char32_t>(static_cast<int64_t>(c.value) + range->delta));
  } else {
    out += bytes;
  }
}

void AppendUpper(std::string& out, const CodePoint& c, std::string_view bytes) {
  if (c.value < 0x80) {
    out += static_cast<char>(c.value >= 'a' && c.value <= 'z' ? c.value - 32 : c.value);
  } else {
    AppendMapped(out, c, bytes, kUpper, kUpperSpecial);
  }
}

void AppendTitle(std::string& out, const CodePoint& c, std::string_view bytes) {
  const char* special = c.valid ? FindText(kTitleSpecial, c.value) : nullptr;
  if (special != nullptr) {
    out += special;
  } else {
    AppendUpper(out, c, bytes);
  }
}

bool IsCased(char32_t c) {
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  return FindRange(kUppercase, c) != nullptr || FindRange(kLowercase, c) != nullptr ||
         FindRange(kTitleLetter, c) != nullptr;
}

// Whether the sigma at `at` ends a word: a cased letter before it and none after, not counting what
// case ignores.
bool IsFinalSigma(std::string_view text, size_t at) {
  bool letter_before = false;
  for (size_t i = 0; i < at;) {
    const CodePoint c = CodePointAt(text, i);
    i += c.size;
    if (FindRange(kCaseIgnorable, c.value) == nullptr) letter_before = IsCased(c.value);
  }
  if (!letter_before) return false;
  for (size_t i = at + 2; i < text.size();) {
    const CodePoint c = CodePointAt(text, i);
    i += c.size;
    if (FindRange(kCaseIgnorable, c.value) == nullptr) return !IsCased(c.value);
  }
  return true;
}

// One code point of `text`, at `at`, in lower case. Sigmas of long texts are looked at in their
// surroundings only: a word is not longer than this.
constexpr size_t kSigmaReach = 256;
void AppendLower(std::string& out, std::string_view text, size_t at, const CodePoint& c) {
  if (c.value < 0x80) {
    out += static_cast<char>(c.value >= 'A' && c.value <= 'Z' ? c.value + 32 : c.value);
  } else if (c.value == 0x3A3) {
    size_t begin = at > kSigmaReach ? at - kSigmaReach : 0;
    while (begin < at && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) ++begin;
    out += IsFinalSigma(text.substr(begin, at - begin + 2 + kSigmaReach), at - begin) ? "\xCF\x82"
                                                                                      : "\xCF\x83";
  } else {
    AppendMapped(out, c, text.substr(at, c.size), kLower, kLowerSpecial);
  }
}

// `append(out, at, c)` for every code point.
template <class Append>
std::string Mapped(std::string_view text, const Append& append) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = CodePointAt(text, at);
    append(out, at, c);
    at += c.size;
  }
  return out;
}
}  // namespace

bool IsIn(Class which, char32_t c) {
  switch (which) {
    case Class::kSpace:
      return FindRange(kSpace, c) != nullptr;
    case Class::kDigit:
      return FindRange(kDigit, c) != nullptr;
    case Class::kAlpha:
      return FindRange(kAlpha, c) != nullptr;
    case Class::kNumeric:
      return FindRange(kNumeric, c) != nullptr;
    case Class::kPrintable:
      return FindRange(kPrintable, c) != nullptr;
    case Class::kUpper:
      return FindRange(kUppercase, c) != nullptr;
    case Class::kLower:
      return FindRange(kLowercase, c) != nullptr;
  }
  return false;
}

bool IsAll(Class which, std::string_view text) {
  bool found = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = CodePointAt(text, at);
    at += c.size;
    if (which == Class::kUpper || which == Class::kLower) {
      const Class other = which == Class::kUpper ? Class::kLower : Class::kUpper;
      if (IsIn(other, c.value) || FindRange(kTitleLetter, c.value) != nullptr) return false;
      found |= IsIn(which, c.value);
    } else {
      if (!IsIn(which, c.value)) return false;
      found = true;
    }
  }
  return found;
}

std::string Upper(std::string_view text) {
  return Mapped(text, [&](std::string& out, size_t at, const CodePoint& c) {
    AppendUpper(out, c, text.substr(at, c.size));
  });
}
std::string Lower(std::string_view text) {
  return Mapped(text, [&](std::string& out, size_t at, const CodePoint& c) {
    AppendLower(out, text, at, c);
  });
}
std::string Capitalize(std::string_view text) {
  return Mapped(text, [&](std::string& out, size_t at, const CodePoint& c) {
    if (at == 0) {
      AppendTitle(out, c, text.substr(at, c.size));
    } else {
      AppendLower(out, text, at, c);
    }
  });
}
std::string Title(std::string_view text) {
  bool in_word = false;
  return Mapped(text, [&](std::string& out, size_t at, const CodePoint& c) {
    if (in_word) {
      AppendLower(out, text, at, c);
    } else {
      AppendTitle(out, c, text.substr(at, c.size));
    }
    in_word = IsCased(c.value);
  });
}
std::string SwapCase(std::string_view text) {
  return Mapped(text, [&](std::string& out, size_t at, const CodePoint& c) {
    if (IsIn(Class::kUpper, c.value)) {
      AppendLower(out, text, at, c);
    } else if (IsIn(Class::kLower, c.value)) {
      AppendUpper(out, c, text.substr(at, c.size));
    } else {
      out += text.substr(at, c.size);
    }
  });
}

}  // namespace pawl::text::python
