// What a text becomes where more than its ids are asked for.
#pragma once
#include <cstdint>
#include <vector>

namespace pawl::text {

// Code points of the original text, as Python counts them. Of a token that a template added: 0, 0.
struct TokenOffsets {
  int64_t begin = 0, end = 0;
  bool operator==(const TokenOffsets&) const = default;
};

struct Encoding {
  std::vector<int32_t> ids;           // [S]
  std::vector<TokenOffsets> offsets;  // [S]
  std::vector<uint8_t> is_special;    // [S] 1: added by the tokenizer's template
  int64_t replaced_utf8 = 0;          // stretches of bytes that were no UTF-8
};

}  // namespace pawl::text
