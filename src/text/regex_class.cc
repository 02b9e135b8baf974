// Escapes and classes of a pattern: the part of RegexParser that reads characters.
#include <algorithm>
#include <iterator>
#include <span>

#include "core/error.h"
#include "text/regex_parser.h"
#include "text/utf8.h"

namespace pawl::text::internal {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

CodePointSet HexDigits() {
  return CodePointSet::Of('0', '9')
      .Union(CodePointSet::Of('A', 'F'))
      .Union(CodePointSet::Of('a', 'f'));
}

// Of the letter of \d \s \w \h, small; nothing for another letter.
std::optional<CodePointSet> ShorthandSet(char letter) {
  switch (letter) {
    case 'd':
      return CodePointSet::OfCategories(CategoriesNamed("Nd"));
    case 's':
      return CodePointSet::OfRanges(SpaceRanges());
    case 'w':
      return CodePointSet::OfCategories(kWordCategories)
          .Union(CodePointSet::OfRanges(WordExtras()));
    case 'h':
      return HexDigits();
    default:
      return std::nullopt;
  }
}
}  // namespace

// What stands for a set (\d, \p{L}) or for one code point, after a backslash.
RegexParser::Item RegexParser::ParseEscape(bool in_class) {
  const size_t begin = at_;
  ++at_;
  if (AtEnd()) Refuse(begin, "a '\\' that nothing follows");
  const char letter = Peek();
  const auto one = [](char32_t c) {
    Item item;
    item.code_point = c;
    return item;
  };
  if ((letter & 0x80) != 0) return one(TakeCodePoint());
  ++at_;
  Item item;
  const char small = static_cast<char>(letter | 0x20);
  if (std::string_view("dDsSwWhH").find(letter) != std::string_view::npos) {
    item.set = *ShorthandSet(small);
    if (letter != small) item.set = item.set->Complement();
    return item;
  }
  if (small == 'p') {
    item.set = ParseProperty(letter == 'P', begin);
    return item;
  }
  switch (letter) {
    case 't':
      return one('\t');
    case 'n':
      return one('\n');
    case 'v':
      return one('\v');
    case 'f':
      return one('\f');
    case 'r':
      return one('\r');
    case 'a':
      return one('\a');
    case 'e':
      return one(0x1B);
    case 'u':
      return one(ParseHex(4, 4, begin));
    case 'x': {
      if (Take("{")) {
        const char32_t c = ParseHex(1, 8, begin);
        if (!Take("}")) Refuse(begin, "a \\x{ without its '}'");
        return one(c);
      }
      const char32_t c = ParseHex(1, 2, begin);
      // a byte, which above ASCII is part of a character only
      if (c >= 0x80) Refuse(begin, "a byte that is no character");
      return one(c);
    }
    case 'b':
      if (in_class) return one('\b');
      break;
    case '0':
      if (Peek() < '0' || Peek() > '7') return one(0);
      break;
    default:
      break;
  }
  const bool alphanumeric = (small >= 'a' && small <= 'z') || (letter >= '0' && letter <= '9');
  if (alphanumeric) Refuse(begin, "an escape that is not supported");
  return one(static_cast<char32_t>(letter));
}

char32_t RegexParser::ParseHex(size_t min_digits, size_t max_digits, size_t begin) {
  char32_t value = 0;
  size_t digits = 0;
  for (; digits < max_digits && !AtEnd() && HexValue(Peek()) >= 0; ++digits, ++at_) {
    value = value << 4 | static_cast<char32_t>(HexValue(Peek()));
  }
  if (digits < min_digits) Refuse(begin, "a character's number that is too short");
  if (value > kMaxCodePoint || (value >= 0xD800 && value < 0xE000)) {
    Refuse(begin, "the number of no character");
  }
  return value;
}

// After \p or \P: {Name} or {^Name}.
CodePointSet RegexParser::ParseProperty(bool negative, size_t begin) {
  std::string_view name;
  if (Take("{")) {
    if (Take("^")) negative = !negative;
    const size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos) Refuse(begin, "a property without its '}'");
    name = pattern_.substr(at_, end - at_);
    at_ = end + 1;
  } else {
    Refuse(begin, "a property without its '{'");
  }
  CodePointSet set;
  if (const CategorySet categories = CategoriesNamed(name); categories != 0) {
    set = CodePointSet::OfCategories(categories);
  } else if (const auto ranges = ScriptRanges(name); !ranges.empty()) {
    set = CodePointSet::OfRanges(ranges);
  } else {
    Refuse(begin, "a property that is not known");
  }
  return negative ? set.Complement() : set;
}

// After the '[': up to its ']'.
CodePointSet RegexParser::ParseClass(size_t begin) {
  if (++depth_ > 100) Refuse(begin, "it is nested too deep");
  const bool negative = Take("^");
  CodePointSet set;
  std::optional<CodePointSet> left;  // of a "&&"
  for (bool first = true;; first = false) {
    if (AtEnd()) Refuse(begin, "a '[' without its ']'");
    if (Peek() == ']') {
      if (!first) break;
      // a ']' in front is a character, if another one closes the class
      if (pattern_.find(']', at_ + 1) == std::string_view::npos) {
        ++at_;
        Refuse(begin, "an empty class");
      }
    }
    if (Take("&&")) {
      left = left ? left->Intersection(set) : set;
      set = CodePointSet();
      continue;
    }
    const size_t item_begin = at_;
    if (Peek() == '[' && AtPosix()) {
      set = set.Union(ParsePosix(item_begin));
    } else if (Take("[")) {
      set = set.Union(ParseClass(item_begin));
    } else {
      ParseRange(ParseClassItem(), item_begin, set);
    }
  }
  ++at_;
  --depth_;
  if (left) set = left->Intersection(set);
  set = WithCases(set);
  return negative ? set.Complement() : set;
}

RegexParser::Item RegexParser::ParseClassItem() {
  if (Peek() == '\\') return ParseEscape(/*in_class=*/true);
  Item item;
  item.code_point = TakeCodePoint();
  return item;
}

// Adds the item, or the range that it begins.
void RegexParser::ParseRange(Item first, size_t begin, CodePointSet& set) {
  const bool range = Peek() == '-' && Peek(1) != ']' && at_ + 1 < pattern_.size() &&
                     !(Peek(1) == '&' && Peek(2) == '&');
  if (first.set) {
    if (range) Refuse(begin, "a range that begins with a class");
    set = set.Union(*first.set);
    return;
  }
  char32_t last = first.code_point;
  if (range) {
    ++at_;
    if (Peek() == '[') Refuse(begin, "a range that ends with a class");
    const Item item = ParseClassItem();
    if (item.set) Refuse(begin, "a range that ends with a class");
    last = item.code_point;
    if (last < first.code_point) Refuse(begin, "a range whose ends are swapped");
    if (Peek() == '-' && Peek(1) != ']') {
      at_ += 1;
      Refuse(begin, "a '-' behind a range");
    }
  }
  set = set.Union(CodePointSet::Of(first.code_point, last));
}

bool RegexParser::AtPosix() const {
  return Peek(1) == ':' && pattern_.find(":]", at_ + 2) != std::string_view::npos;
}

// [:alpha:] and [:^alpha:], at the '['.
CodePointSet RegexParser::ParsePosix(size_t begin) {
  at_ += 2;
  const bool negative = Take("^");
  const size_t end = pattern_.find(":]", at_);
  const std::string_view name = pattern_.substr(at_, end - at_);
  at_ = end + 2;
  CodePointSet set;
  if (name == "digit") {
    set = *ShorthandSet('d');
  } else if (name == "space") {
    set = *ShorthandSet('s');
  } else if (name == "word") {
    set = *ShorthandSet('w');
  } else if (name == "xdigit") {
    set = *ShorthandSet('h');
  } else {
    Refuse(begin, "a POSIX class that is not known");
  }
  return negative ? set.Complement() : set;
}

// Under (?i): the set and what differs from its members in case only.
CodePointSet RegexParser::WithCases(const CodePointSet& set) const {
  if (!flags_.ignore_case) return set;
  CodePointSet all = set;
  const std::span<const char32_t> groups = CaseGroups();
  for (auto group = groups.begin(); group != groups.end();) {
    const auto end = std::find(group, groups.end(), char32_t{0});
    if (std::any_of(group, end, [&](char32_t c) { return set.Contains(c); })) {
      for (auto c = group; c != end; ++c) all = all.Union(CodePointSet::Of(*c, *c));
    }
    group = std::next(end);
  }
  return all;
}

}  // namespace pawl::text::internal
