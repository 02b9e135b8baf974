// The parser behind ParseRegex, in two files: groups and repeats in regex_syntax.cc, characters,
// escapes and classes in regex_class.cc.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "text/regex_syntax.h"

namespace pawl::text::internal {

class RegexParser {
 public:
  RegexParser(std::string_view pattern, const std::string& source);
  RegexNode Parse();

 private:
  struct Flags {
    bool ignore_case = false;  // (?i)
    bool dot_newline = false;  // (?m), which is Perl's (?s)
    bool extended = false;     // (?x)
  };
  // One member of a class or one atom: a code point, or a set that an escape stands for.
  struct Item {
    char32_t code_point = 0;
    std::optional<CodePointSet> set;
  };

  // regex_syntax.cc
  RegexNode ParseChoice();
  RegexNode ParseSequence();
  RegexNode ParseAtom();
  RegexNode ParseGroup(size_t begin);
  RegexNode ParseFlags(size_t begin);
  RegexNode ParseRepeats(RegexNode atom, size_t begin);
  bool ParseInterval(uint32_t& min, uint32_t& max);
  std::optional<RegexNode::Anchor> ParseAnchor();
  RegexNode Grow(RegexNode node) const;
  void SkipExtended();
  void CheckFolding(const RegexNode& sequence, size_t begin) const;

  // regex_class.cc
  Item ParseEscape(bool in_class);
  char32_t ParseHex(size_t min_digits, size_t max_digits, size_t begin);
  CodePointSet ParseProperty(bool negative, size_t begin);
  CodePointSet ParseClass(size_t begin);
  CodePointSet ParsePosix(size_t begin);
  bool AtPosix() const;
  void ParseRange(Item first, size_t begin, CodePointSet& set);
  Item ParseClassItem();
  CodePointSet WithCases(const CodePointSet& set) const;

  bool AtEnd() const { return at_ >= pattern_.size(); }
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  bool Take(std::string_view text);
  char32_t TakeCodePoint();
  [[noreturn]] void Refuse(size_t begin, const std::string& why) const;

  std::string_view pattern_;
  const std::string& source_;
  size_t at_ = 0;
  int depth_ = 0;  // groups and classes that are open
  Flags flags_;
};

}  // namespace pawl::text::internal
