#include "text/jinja_lexer.h"

#include <charconv>

#include "core/error.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text::jinja {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// \r\n and \r as \n; one line break at the end is dropped.
std::string WithLineFeeds(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& name, std::deque<std::string>& texts)
      : name_(name), texts_(texts) {
    int64_t replaced = 0;
    size_t first = 0;
    ReplaceInvalidUtf8(source, replaced, &first);
    if (replaced > 0) {
      throw UserError(
          {.what = fmt::format("a byte that is no UTF-8 at offset {}", first), .where = name});
    }
    texts_.push_back(WithLineFeeds(source));
    text_ = texts_.back();
  }

  std::vector<Token> Run() {
    while (at_ < text_.size()) Root();
    tokens_.push_back({.kind = TokenKind::kEnd, .line = line_});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what, const std::string& hint = "") const {
    throw UserError({.what = what, .where = fmt::format("{}:{}", name_, line_), .hint = hint});
  }
  bool StartsWith(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  // Moves on, counting lines.
  void Skip(size_t bytes) {
    for (size_t i = at_; i < at_ + bytes; ++i) line_ += text_[i] == '\n';
    at_ += bytes;
  }
  void SkipSpace() {
    const size_t kept = python::LeftStrip(text_.substr(at_)).size();
    Skip(text_.size() - at_ - kept);
  }
  void Add(TokenKind kind, std::string_view text = {}) {
    tokens_.push_back({.kind = kind, .line = line_, .text = text});
  }

  // Template data up to the next tag, and that tag.
  void Root() {
    size_t tag = at_;
    while (true) {
      tag = text_.find('{', tag);
      if (tag == text_.npos || tag + 1 >= text_.size()) {
        Add(TokenKind::kData, text_.substr(at_));
        return Skip(text_.size() - at_);
      }
      const char next = text_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++tag;
    }
    const char kind = text_[tag + 1];
    const char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
    AddData(tag, sign, kind != '{');
    const size_t signs = sign == '-' || sign == '+' ? 1 : 0;
    if (kind == '#') return Comment(2 + signs);
    if (kind == '%') {
      if (const size_t raw = RawBegin(2 + signs); raw > 0) return Raw(raw);
    }
    const int begin = line_;
    Add(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin);
    Skip(2 + signs);
    Tag(kind == '{', begin);
  }

  // The data before a tag at `end`, stripped as the tag's sign and lstrip_blocks want it.
  void AddData(size_t end, char sign, bool strips_line) {
    std::string_view data = text_.substr(at_, end - at_);
    if (sign == '-') {
      data = python::RightStrip(data);
    } else if (sign != '+' && strips_line) {
      const size_t line = data.rfind('\n') + 1;  // 0 where there is none
      if ((line > 0 || line_starting_) && line < data.size() &&
          python::LeftStrip(data.substr(line)).empty()) {
        data = data.substr(0, line);
      }
    }
    if (!data.empty()) Add(TokenKind::kData, data);
    Skip(end - at_);
  }

  // After a comment, a block or a raw block: "%}", "-%}" or "+%}" and the white space it takes.
  // 0 where none stands here.
  size_t EndLength(std::string_view end, bool is_block) const {
    size_t length = 0;
    if (StartsWith(end)) {
      length = end.size();
      if (is_block && at_ + length < text_.size() && text_[at_ + length] == '\n') ++length;
    } else if (StartsWith("-") && text_.substr(at_ + 1, end.size()) == end) {
      const std::string_view rest = text_.substr(at_ + 1 + end.size());
      length = 1 + end.size() + (rest.size() - python::LeftStrip(rest).size());
    } else if (is_block && StartsWith("+") && text_.substr(at_ + 1, end.size()) == end) {
      length = 1 + end.size();
    }
    return length;
  }
  void SkipEnd(size_t length) {
    Skip(length);
    line_starting_ = at_ > 0 && text_[at_ - 1] == '\n';
  }

  void Comment(size_t begin) {
    Skip(begin);
    const size_t end = text_.find("#}", at_);
    if (end == text_.npos) Fail("a comment without its end '#}'");
    // the sign before the end belongs to it
    const bool has_sign = end > at_ && (text_[end - 1] == '-' || text_[end - 1] == '+');
    Skip(end - at_ - (has_sign ? 1 : 0));
    SkipEnd(EndLength("#}", true));
  }

  // The length of "{%- raw %}" here; 0 where it is another block.
  size_t RawBegin(size_t begin) const {
    std::string_view rest = python::LeftStrip(text_.substr(at_ + begin));
    if (rest.substr(0, 3) != "raw") return 0;
    rest = python::LeftStrip(rest.substr(3));
    const bool strips = rest.substr(0, 3) == "-%}";
    if (!strips && rest.substr(0, 2) != "%}") return 0;
    rest = strips ? python::LeftStrip(rest.substr(3)) : rest.substr(2);
    return text_.size() - at_ - rest.size();
  }

  void Raw(size_t begin) {
    Skip(begin);
    line_starting_ = at_ > 0 && text_[at_ - 1] == '\n';
    for (size_t end = text_.find("{%", at_); end != text_.npos; end = text_.find("{%", end + 2)) {
      const char sign = end + 2 < text_.size() ? text_[end + 2] : '\0';
      std::string_view rest = text_.substr(end + (sign == '-' || sign == '+' ? 3 : 2));
      rest = python::LeftStrip(rest);
      if (rest.substr(0, 6) != "endraw") continue;
      rest = python::LeftStrip(rest.substr(6));
      if (rest.substr(0, 2) != "%}" && rest.substr(0, 3) != "-%}" && rest.substr(0, 3) != "+%}") {
        continue;
      }
      AddData(end, sign, true);
      Skip(text_.size() - at_ - rest.size());
      return SkipEnd(EndLength("%}", true));
    }
    Fail("a raw block without its end '{% endraw %}'");
  }

  void Tag(bool is_variable, int begin_line) {
    const std::string_view end = is_variable ? "}}" : "%}";
    std::string brackets;
    while (true) {
      if (at_ >= text_.size()) {
        line_ = begin_line;
        Fail(fmt::format("a tag without its end '{}'", end));
      }
      if (brackets.empty()) {
        if (const size_t length = EndLength(end, !is_variable); length > 0) {
          Add(is_variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd);
          return SkipEnd(length);
        }
      }
      const size_t before = at_;
      SkipSpace();
      if (at_ == before) TagToken(brackets);
    }
  }

  void TagToken(std::string& brackets) {
    const char c = text_[at_];
    if (IsDigit(c)) return Number();
    if (c == '\'' || c == '"') return String(c);
    if (const size_t length = NameLength(); length > 0) {
      Add(TokenKind::kName, text_.substr(at_, length));
      return Skip(length);
    }
    static constexpr std::string_view kOperators[] = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (const std::string_view op : kOperators) {
      if (!StartsWith(op)) continue;
      if (c == '(' || c == '[' || c == '{') {
        brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
      } else if (c == ')' || c == ']' || c == '}') {
        if (brackets.empty()) Fail(fmt::format("an unexpected '{}'", c));
        if (brackets.back() != c) {
          Fail(fmt::format("an unexpected '{}' where '{}' is open", c, brackets.back()));
        }
        brackets.pop_back();
      }
      Add(TokenKind::kOperator, op);
      return Skip(op.size());
    }
    const CodePoint point = CodePointAt(text_, at_);
    Fail(fmt::format("an unexpected character '{}' in a tag", text_.substr(at_, point.size)));
  }

  // Letters, digits and '_', and beyond ASCII whatever is not white space.
  size_t NameLength() const {
    size_t end = at_;
    while (end < text_.size()) {
      const char c = text_[end];
      if (c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c)) {
        ++end;
        continue;
      }
      if (static_cast<uint8_t>(c) < 0x80) break;
      const CodePoint point = CodePointAt(text_, end);
      if (python::IsSpace(point.value)) break;
      end += point.size;
    }
    return end - at_;
  }

  // Digits with single '_' between them.
  size_t Digits(size_t from, bool (*is_digit)(char)) const {
    size_t end = from;
    while (end < text_.size() &&
           (is_digit(text_[end]) || (text_[end] == '_' && end > from && end + 1 < text_.size() &&
                                     is_digit(text_[end + 1])))) {
      ++end;
    }
    return end;
  }

  void Number() {
    const char second = at_ + 1 < text_.size() ? static_cast<char>(text_[at_ + 1] | 0x20) : '\0';
    if (text_[at_] == '0' && (second == 'x' || second == 'o' || second == 'b')) {
      const int base = second == 'x' ? 16 : second == 'o' ? 8 : 2;
      const size_t end = Digits(
          at_ + 2, [](char c) { return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); });
      if (end > at_ + 2) return Integer(at_ + 2, end, base);
    }
    size_t end = Digits(at_, IsDigit);
    const size_t integer_end = end;
    const bool after_dot = at_ > 0 && text_[at_ - 1] == '.';
    bool is_float = false;
    if (!after_dot && end + 1 < text_.size() && text_[end] == '.' && IsDigit(text_[end + 1])) {
      end = Digits(end + 1, IsDigit);
      is_float = true;
    }
    if (!after_dot && end < text_.size() && (text_[end] | 0x20) == 'e') {
      const size_t sign =
          end + 1 < text_.size() && (text_[end + 1] == '+' || text_[end + 1] == '-');
      if (end + 1 + sign < text_.size() && IsDigit(text_[end + 1 + sign])) {
        end = Digits(end + 1 + sign, IsDigit);
        is_float = true;
      }
    }
    if (!is_float) return Integer(at_, integer_end, 10);
    const std::string digits = WithoutUnderscores(at_, end);
    Token token{.kind = TokenKind::kFloat, .line = line_, .text = text_.substr(at_, end - at_)};
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), token.real);
    if (result.ec != std::errc()) token.real = std::strtod(digits.c_str(), nullptr);
    tokens_.push_back(token);
    Skip(end - at_);
  }
  std::string WithoutUnderscores(size_t begin, size_t end) const {
    std::string digits(text_.substr(begin, end - begin));
    std::erase(digits, '_');
    return digits;
  }
  void Integer(size_t begin, size_t end, int base) {
    const std::string digits = WithoutUnderscores(begin, end);
    Token token{.kind = TokenKind::kInteger, .line = line_, .text = text_.substr(at_, end - at_)};
    const auto [last, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), token.integer, base);
    if (error != std::errc() || last != digits.data() + digits.size()) {
      Fail(fmt::format("the integer {} that has no place in 64 bits", token.text.substr(0, 40)));
    }
    if (base == 10 && digits[0] == '0' && token.integer != 0) {
      Fail(fmt::format("the integer {} with leading zeros", token.text.substr(0, 40)));
    }
    tokens_.push_back(token);
    Skip(end - at_);
  }

  void String(char quote) {
    size_t end = at_ + 1;
    bool has_escapes = false;
    while (end < text_.size() && text_[end] != quote) {
      has_escapes |= text_[end] == '\\';
      end += text_[end] == '\\' ? 2 : 1;
    }
    if (end >= text_.size()) Fail(fmt::format("a string without its end {}", quote));
    std::string_view content = text_.substr(at_ + 1, end - at_ - 1);
    if (has_escapes) {
      std::string error;
      texts_.push_back(python::Unescape(content, error));
      if (!error.empty()) Fail(error);
      content = texts_.back();
    }
    Add(TokenKind::kString, content);
    Skip(end + 1 - at_);
  }

  const std::string& name_;
  std::deque<std::string>& texts_;
  std::string_view text_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the last tag ended with a line break
};
}  // namespace

std::vector<Token> Tokenize(std::string_view source, const std::string& name,
                            std::deque<std::string>& texts) {
  return Lexer(source, name, texts).Run();
}

}  // namespace pawl::text::jinja
