// The regular expressions of tokenizers: the part of Oniguruma's syntax that their patterns use,
// over UTF-8, backtracking and leftmost-first. A Regex is compiled once; immutable, any thread.
// Every search is bounded: no pattern or text makes it overflow the stack or run for ever.
//
// Syntax: literals and their escapes; \d \s \w \h \D \S \W \H; \p{..} and \P{..} of a category or
// script; classes with ranges, negation, nesting and &&; . | (..) without capture; (?>..);
// (?i) (?m) (?x); ? * + {m,n}, lazy with ?, possessive with + behind ? * +; (?=..) (?!..), (?<=..)
// (?<!..) of a fixed length; ^ $ \A \z \Z \b \B. All else is refused by name and offset. Case is
// ignored one code point to one: (?i) with a letter that also equals two others (U+00DF and "ss")
// does not match those two, as it does in the package.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pawl::text {

namespace internal {
struct RegexProgram;
}

class Regex {
 public:
  struct Match {
    size_t begin = 0, end = 0;  // bytes
    bool operator==(const Match&) const = default;
  };
  // Throws UserError naming `source`, the construct that is not understood and its byte offset.
  static Regex Compile(std::string_view pattern, const std::string& source);
  // Matches exactly `text`.
  static Regex Literal(std::string_view text);

  // The leftmost match at or after byte `from`, a boundary of code points. `text` is valid UTF-8.
  // Throws RunError where the pattern needs more steps on the text than any sane one does.
  std::optional<Match> Find(std::string_view text, size_t from) const;

  // Calls visit(Match) for every match from left to right, none overlapping another, as the package
  // iterates them: after an empty match the search goes on one code point further, and an empty
  // match at the end of the match before is left out.
  template <class Visit>
  void ForEachMatch(std::string_view text, Visit&& visit) const;
  // Calls visit(begin, end, is_match) for every stretch of the text in order: matches, and what
  // lies between them where that is not empty.
  template <class Visit>
  void ForEachPiece(std::string_view text, Visit&& visit) const;

  const std::string& pattern() const { return pattern_; }

 private:
  // Where an iteration stands.
  struct Cursor {
    size_t from = 0;
    size_t last_end = ~size_t{0};  // of the match before
    bool done = false;
  };
  // The next matches, at most out.size(), without the empty ones that ForEachMatch leaves out.
  size_t FindSome(std::string_view text, Cursor& cursor, int64_t& budget,
                  std::span<Match> out) const;
  static int64_t Budget(std::string_view text);  // steps that the searches of a text may take
  Regex(std::string pattern, std::shared_ptr<const internal::RegexProgram> program);
  std::string pattern_;
  std::shared_ptr<const internal::RegexProgram> program_;
};

template <class Visit>
void Regex::ForEachMatch(std::string_view text, Visit&& visit) const {
  std::array<Match, 128> matches;
  Cursor cursor;
  int64_t budget = Budget(text);
  while (!cursor.done) {
    const size_t count = FindSome(text, cursor, budget, matches);
    for (size_t i = 0; i < count; ++i) visit(matches[i]);
  }
}

template <class Visit>
void Regex::ForEachPiece(std::string_view text, Visit&& visit) const {
  size_t done = 0;
  ForEachMatch(text, [&](Match match) {
    if (match.begin > done) visit(done, match.begin, false);
    visit(match.begin, match.end, true);
    done = match.end;
  });
  if (done < text.size()) visit(done, text.size(), false);
}

}  // namespace pawl::text
