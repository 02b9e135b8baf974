#include "text/regex.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "text/regex_matcher.h"
#include "text/regex_program.h"

namespace pawl::text {
namespace {
using internal::RegexMatcher;
using internal::RegexProgram;

bool IsTail(char byte) { return (byte & 0xC0) == 0x80; }

bool FindLiteral(const RegexProgram& program, std::string_view text, size_t from,
                 Regex::Match& match) {
  const size_t found = text.find(program.literals, from);
  if (found == std::string_view::npos) return false;
  match = {found, found + program.literals.size()};
  return true;
}

[[noreturn]] void ThrowTooLong(const std::string& pattern) {
  std::string_view shown(pattern);
  shown = shown.substr(0, 200);
  while (shown.size() < pattern.size() && !shown.empty() && IsTail(pattern[shown.size()])) {
    shown.remove_suffix(1);
  }
  throw RunError({.what = fmt::format("regular expression '{}' takes too long on a text", shown),
                  .hint = "repeats inside repeats make it try the same text again and again"});
}
}  // namespace

Regex::Regex(std::string pattern, std::shared_ptr<const RegexProgram> program)
    : pattern_(std::move(pattern)), program_(std::move(program)) {}

Regex Regex::Compile(std::string_view pattern, const std::string& source) {
  auto program = std::make_shared<RegexProgram>(
      internal::CompileRegex(internal::ParseRegex(pattern, source), source));
  return {std::string(pattern), std::move(program)};
}

Regex Regex::Literal(std::string_view text) {
  auto program = std::make_shared<RegexProgram>();
  program->literals = text;
  program->literal_only = true;
  return {std::string(text), std::move(program)};
}

int64_t Regex::Budget(std::string_view text) {
  // more than a sane pattern takes by a wide margin, and some hundredths of a second
  return 3'000'000 + 1000 * static_cast<int64_t>(text.size());
}

std::optional<Regex::Match> Regex::Find(std::string_view text, size_t from) const {
  Cursor cursor;
  cursor.from = from;
  int64_t budget = Budget(text);
  Match match;
  if (FindSome(text, cursor, budget, {&match, 1}) == 0) return std::nullopt;
  return match;
}

size_t Regex::FindSome(std::string_view text, Cursor& cursor, int64_t& budget,
                       std::span<Match> out) const {
  size_t count = 0;
  RegexMatcher matcher(*program_, text, budget);
  while (count < out.size()) {
    Match match;
    const bool found = cursor.from <= text.size() &&
                       (program_->literal_only ? FindLiteral(*program_, text, cursor.from, match)
                                               : matcher.Find(cursor.from, match));
    if (budget < 0) ThrowTooLong(pattern_);
    if (!found) {
      cursor.done = true;
      break;
    }
    cursor.from = match.end;
    if (match.begin == match.end) {
      // on by one code point
      do ++cursor.from;
      while (cursor.from < text.size() && IsTail(text[cursor.from]));
      if (match.end == cursor.last_end) continue;
    }
    cursor.last_end = match.end;
    out[count++] = match;
  }
  return count;
}

}  // namespace pawl::text
