// A template's text as tokens, with Jinja's rules of white space as chat templates are read:
// trim_blocks and lstrip_blocks on, no trailing line break kept. Used by the parser only.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::text::jinja {

enum class TokenKind : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 1;
  std::string_view text;  // data, name, operator, the string without quotes and escapes
  int64_t integer = 0;
  double real = 0;
};

// `texts` owns what the tokens' text points to. Throws UserError "<what> [at <name>:<line>]" for
// text that is no UTF-8, an open comment, string or tag, unbalanced brackets, characters that no
// tag can hold.
std::vector<Token> Tokenize(std::string_view source, const std::string& name,
                            std::deque<std::string>& texts);

}  // namespace pawl::text::jinja
