// A pattern as a tree, and the parser that makes it. Beneath regex.h.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/code_point_set.h"

namespace pawl::text::internal {

struct RegexNode {
  enum class Kind : uint8_t { kSet, kSequence, kChoice, kRepeat, kAtomic, kLook, kAnchor };
  enum class Greed : uint8_t { kGreedy, kLazy, kPossessive };
  enum class Anchor : uint8_t {
    kLineBegin,             // ^
    kLineEnd,               // $
    kTextBegin,             // \A
    kTextEnd,               // \z
    kTextEndOrLastNewline,  // \Z
    kWordEdge,              // \b
    kNoWordEdge,            // \B
  };
  static constexpr uint32_t kNoMax = ~0u;

  Kind kind = Kind::kSequence;  // an empty sequence matches the empty text
  CodePointSet set;             // kSet: one code point of it
  std::vector<RegexNode> children;
  uint32_t min = 0, max = 0;  // kRepeat
  Greed greed = Greed::kGreedy;
  bool negative = false, behind = false;  // kLook
  Anchor anchor = Anchor::kLineBegin;     // kAnchor
  int depth = 0;                          // of the tree below
};

// Throws UserError naming `source`, the construct and its byte offset.
RegexNode ParseRegex(std::string_view pattern, const std::string& source);

// The code points a node matches, where that is a fixed number; else -1.
int64_t FixedLength(const RegexNode& node);

}  // namespace pawl::text::internal
