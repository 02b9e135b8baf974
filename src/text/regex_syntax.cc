#include "text/regex_syntax.h"

#include <algorithm>

#include "core/error.h"
#include "text/regex_parser.h"
#include "text/utf8.h"

namespace pawl::text::internal {
namespace {
using Node = RegexNode;
using Kind = RegexNode::Kind;

constexpr int kMaxDepth = 200;
constexpr size_t kMaxPattern = 1 << 16;   // bytes
constexpr uint32_t kMaxRepeat = 100'000;  // Oniguruma's own
constexpr int64_t kMaxFixed = 1 << 20;    // code points

Node SetNode(CodePointSet set) {
  Node node;
  node.kind = Kind::kSet;
  node.set = std::move(set);
  return node;
}
}  // namespace

RegexNode ParseRegex(std::string_view pattern, const std::string& source) {
  return RegexParser(pattern, source).Parse();
}

RegexParser::RegexParser(std::string_view pattern, const std::string& source)
    : pattern_(pattern), source_(source) {
  if (pattern.size() > kMaxPattern) {
    throw UserError({.what = fmt::format("regular expression of {} bytes", pattern.size()),
                     .where = source,
                     .expected = fmt::format("at most {}", kMaxPattern)});
  }
  for (size_t i = 0; i < pattern.size();) {
    const CodePoint point = CodePointAt(pattern, i);
    if (!point.valid) Refuse(i, "bytes that are not UTF-8");
    i += point.size;
  }
}

void RegexParser::Refuse(size_t begin, const std::string& why) const {
  // what stands there, cut at a boundary of code points
  size_t end = std::min(std::max(at_, begin), pattern_.size());
  end = std::min(end, begin + 40);
  while (end > begin && end < pattern_.size() && (pattern_[end] & 0xC0) == 0x80) --end;
  const std::string there(pattern_.substr(begin, end - begin));
  int64_t replaced = 0;
  const std::string text = ReplaceInvalidUtf8(there, replaced);
  std::string what = fmt::format("regular expression: {} at byte {}", why, begin);
  if (!text.empty()) what += fmt::format(" ('{}')", text);
  throw UserError({.what = what, .where = source_});
}

bool RegexParser::Take(std::string_view text) {
  if (!pattern_.substr(std::min(at_, pattern_.size())).starts_with(text)) return false;
  at_ += text.size();
  return true;
}

char32_t RegexParser::TakeCodePoint() {
  const CodePoint point = CodePointAt(pattern_, at_);
  at_ += point.size;
  return point.value;
}

// The node with its depth, which what walks the tree relies on to be small.
RegexNode RegexParser::Grow(Node node) const {
  for (const Node& child : node.children) node.depth = std::max(node.depth, child.depth + 1);
  if (node.depth > kMaxDepth) Refuse(at_, "it is nested too deep");
  return node;
}

RegexNode RegexParser::Parse() {
  Node node = ParseChoice();
  if (!AtEnd()) Refuse(at_, "a ')' that closes nothing");
  return node;
}

// Up to a ')' or the end. Flags that are set inside hold to its end.
RegexNode RegexParser::ParseChoice() {
  if (++depth_ > kMaxDepth) Refuse(at_, "it is nested too deep");
  const Flags outer = flags_;
  Node choice;
  choice.kind = Kind::kChoice;
  choice.children.push_back(ParseSequence());
  while (Take("|")) choice.children.push_back(ParseSequence());
  flags_ = outer;
  --depth_;
  return choice.children.size() == 1 ? std::move(choice.children[0]) : Grow(std::move(choice));
}

RegexNode RegexParser::ParseSequence() {
  const size_t begin = at_;
  Node sequence;
  for (SkipExtended(); !AtEnd() && Peek() != '|' && Peek() != ')'; SkipExtended()) {
    const size_t atom = at_;
    Node node = ParseAtom();
    sequence.children.push_back(ParseRepeats(std::move(node), atom));
  }
  CheckFolding(sequence, begin);
  return sequence.children.size() == 1 ? std::move(sequence.children[0])
                                       : Grow(std::move(sequence));
}

// Under (?x): white space and comments.
void RegexParser::SkipExtended() {
  while (true) {
    if (Peek() == '(' && Peek(1) == '?' && Peek(2) == '#') {
      const size_t begin = at_;
      while (!AtEnd() && Peek() != ')') at_ += Peek() == '\\' ? 2 : 1;
      if (!Take(")")) Refuse(begin, "a comment without its ')'");
    } else if (flags_.extended && !AtEnd() &&
               std::string_view(" \t\n\r\f\v").find(Peek()) != std::string_view::npos) {
      ++at_;
    } else if (flags_.extended && Peek() == '#') {
      while (!AtEnd() && Peek() != '\n') ++at_;
    } else {
      return;
    }
  }
}

RegexNode RegexParser::ParseAtom() {
  const size_t begin = at_;
  if (const auto anchor = ParseAnchor()) {
    Node node;
    node.kind = Kind::kAnchor;
    node.anchor = *anchor;
    return node;
  }
  if (Take("(")) return ParseGroup(begin);
  if (Take("[")) return SetNode(ParseClass(begin));
  if (Take(".")) {
    const CodePointSet newline = CodePointSet::Of('\n', '\n');
    return SetNode(flags_.dot_newline ? CodePointSet::All() : newline.Complement());
  }
  if (Peek() == '*' || Peek() == '+' || Peek() == '?') {
    ++at_;
    Refuse(begin, "a repeat of nothing");
  }
  if (uint32_t min = 0, max = 0; Peek() == '{' && ParseInterval(min, max)) {
    Refuse(begin, "a repeat of nothing");
  }
  Item item;
  if (Peek() == '\\') {
    item = ParseEscape(/*in_class=*/false);
  } else {
    item.code_point = TakeCodePoint();
  }
  // case makes no difference to an escape that stands for a set
  if (item.set) return SetNode(std::move(*item.set));
  return SetNode(WithCases(CodePointSet::Of(item.code_point, item.code_point)));
}

std::optional<RegexNode::Anchor> RegexParser::ParseAnchor() {
  using Anchor = RegexNode::Anchor;
  if (Take("^")) return Anchor::kLineBegin;
  if (Take("$")) return Anchor::kLineEnd;
  if (Take("\\A")) return Anchor::kTextBegin;
  if (Take("\\z")) return Anchor::kTextEnd;
  if (Take("\\Z")) return Anchor::kTextEndOrLastNewline;
  if (Take("\\b")) return Anchor::kWordEdge;
  if (Take("\\B")) return Anchor::kNoWordEdge;
  return std::nullopt;
}

// After the "(".
RegexNode RegexParser::ParseGroup(size_t begin) {
  Node node;
  if (Take("?>")) {
    node.kind = Kind::kAtomic;
    node.children.push_back(ParseChoice());
  } else if (Peek() == '?' && (Peek(1) == '=' || Peek(1) == '!' ||
                               (Peek(1) == '<' && (Peek(2) == '=' || Peek(2) == '!')))) {
    node.kind = Kind::kLook;
    node.behind = Peek(1) == '<';
    at_ += node.behind ? 2 : 1;
    node.negative = Peek() == '!';
    ++at_;
    node.children.push_back(ParseChoice());
    if (node.behind) {
      // each alternative steps back by its own length
      const Node& body = node.children[0];
      const bool choice = body.kind == Kind::kChoice;
      const auto fixed = [](const Node& n) { return FixedLength(n) >= 0; };
      if (choice ? !std::all_of(body.children.begin(), body.children.end(), fixed) : !fixed(body)) {
        Refuse(begin, "a look-behind of no fixed length");
      }
    }
  } else if (Peek() == '?' && Peek(1) != ':') {
    ++at_;
    return ParseFlags(begin);
  } else {
    Take("?:");
    node = ParseChoice();
  }
  if (!Take(")")) Refuse(begin, "a '(' without its ')'");
  return Grow(std::move(node));
}

// After "(?": (?i), which holds to the end of the group around it, or (?i:...).
RegexNode RegexParser::ParseFlags(size_t begin) {
  Flags flags = flags_;
  bool value = true;
  while (!AtEnd() && Peek() != ':' && Peek() != ')') {
    const char c = Peek();
    ++at_;
    if (c == '-') {
      value = false;
    } else if (c == 'i') {
      flags.ignore_case = value;
    } else if (c == 'm') {
      flags.dot_newline = value;
    } else if (c == 'x') {
      flags.extended = value;
    } else {
      Refuse(begin, "a kind of group that is not supported");
    }
  }
  const Flags outer = flags_;
  flags_ = flags;
  if (Take(":")) {
    Node node = ParseChoice();
    flags_ = outer;
    if (!Take(")")) Refuse(begin, "a '(' without its ')'");
    return node;
  }
  if (!Take(")")) Refuse(begin, "a '(' without its ')'");
  // what follows, with its alternatives, is a group of its own
  Node node = ParseChoice();
  flags_ = outer;
  return node;
}

// The repeats after an atom. Of an interval only the lazy form is known, as in Ruby: "{2,3}+" is
// "(?:{2,3})+" and "{2}?" is "(?:{2})?".
RegexNode RegexParser::ParseRepeats(Node atom, size_t begin) {
  while (true) {
    SkipExtended();
    Node repeat;
    repeat.kind = Kind::kRepeat;
    repeat.max = Node::kNoMax;
    bool interval = false;
    if (Take("*")) {
      repeat.min = 0;
    } else if (Take("+")) {
      repeat.min = 1;
    } else if (Take("?")) {
      repeat.max = 1;
    } else if (Peek() == '{' && ParseInterval(repeat.min, repeat.max)) {
      interval = true;
    } else {
      return atom;
    }
    // in a group of its own it may be repeated
    const bool group = pattern_[begin] == '(' && atom.kind == Kind::kAnchor;
    if ((atom.kind == Kind::kAnchor && !group) || atom.kind == Kind::kLook) {
      Refuse(begin, "a repeat of an anchor");
    }
    if ((!interval || repeat.min != repeat.max) && Take("?")) {
      repeat.greed = Node::Greed::kLazy;
    } else if (!interval && Take("+")) {
      repeat.greed = Node::Greed::kPossessive;
    }
    // an empty body is the empty text however often it is repeated
    if (atom.kind == Kind::kSequence && atom.children.empty()) continue;
    repeat.children.push_back(std::move(atom));
    atom = Grow(std::move(repeat));
  }
}

// {m}, {m,}, {,n}, {m,n}. Anything else that begins with a '{' is that character.
bool RegexParser::ParseInterval(uint32_t& min, uint32_t& max) {
  const size_t begin = at_;
  ++at_;
  const auto number = [&](uint32_t& value) {
    const size_t first = at_;
    value = 0;
    for (; Peek() >= '0' && Peek() <= '9'; ++at_) {
      value = std::min(value * 10 + static_cast<uint32_t>(Peek() - '0'), kMaxRepeat + 1);
    }
    return at_ > first;
  };
  const bool has_min = number(min);
  bool has_max = has_min;
  max = min;
  if (Take(",")) {
    has_max = number(max);
    if (!has_max) max = Node::kNoMax;
  }
  if (!Take("}") || (!has_min && !has_max)) {
    at_ = begin;
    return false;
  }
  if (min > kMaxRepeat || (max != Node::kNoMax && max > kMaxRepeat))
    Refuse(begin, "a repeat of more than 100000");
  if (max < min) Refuse(begin, "a repeat whose ends are swapped");
  return true;
}

// Two characters that together equal one other when case is ignored ("ss" and U+00DF): such a match
// is not known here.
void RegexParser::CheckFolding(const Node& sequence, size_t begin) const {
  if (!flags_.ignore_case) return;
  const auto begins = [](const Node& node, char32_t c) {
    return node.kind == Kind::kSet && node.set.Contains(c) && node.set.ranges().size() < 5;
  };
  for (size_t i = 0; i + 1 < sequence.children.size(); ++i) {
    for (const std::string_view pair : {"ss", "ff", "fi", "fl", "st"}) {
      if (begins(sequence.children[i], static_cast<char32_t>(pair[0])) &&
          begins(sequence.children[i + 1], static_cast<char32_t>(pair[1]))) {
        Refuse(begin, fmt::format("'{}' with case ignored", pair));
      }
    }
  }
}

int64_t FixedLength(const RegexNode& node) {
  switch (node.kind) {
    case Kind::kSet:
      return 1;
    case Kind::kLook:
    case Kind::kAnchor:
      return 0;
    case Kind::kAtomic:
      return FixedLength(node.children[0]);
    case Kind::kRepeat: {
      const int64_t length = FixedLength(node.children[0]);
      const bool fixed = length >= 0 && node.min == node.max && length * node.min <= kMaxFixed;
      return fixed ? length * node.min : -1;
    }
    case Kind::kChoice:
    case Kind::kSequence:
      break;
  }
  int64_t total = 0;
  for (size_t i = 0; i < node.children.size(); ++i) {
    const int64_t length = FixedLength(node.children[i]);
    if (length < 0) return -1;
    if (node.kind == Kind::kSequence) {
      total += length;
    } else if (i > 0 && length != total) {
      return -1;
    } else {
      total = length;
    }
    if (total > kMaxFixed) return -1;
  }
  return total;
}

}  // namespace pawl::text::internal
