// A compiled pattern: what CompileRegex makes and the matcher (regex_matcher.h) runs. Beneath
// regex.h.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "text/code_point_set.h"
#include "text/regex_syntax.h"

namespace pawl::text::internal {

struct RegexInst {
  enum class Op : uint8_t {
    kAccept,
    kLiteral,        // bytes [a, a + b) of literals
    kSet,            // one code point of class a
    kOption,         // one code point of class a, if there is one; never given back
    kRun,            // min (0 or 1) or more of class a, as many as there are; never given back
    kRunPossessive,  // min to max code points of class a, never given back
    kRunGreedy,      // the same, given back one by one
    kRunLazy,        // as few as do
    kSplit,          // goes on; on failure to a
    kJump,           // to a
    kJumpUnless,     // to b unless a code point of class a follows
    kAheadSet,       // a code point of class a follows
    kNotAheadSet,    // none of class a follows, or the text ends
    kLookBegin,      // slot a; b: where it goes on; negative: min = 1
    kLookEnd,        // slot a; negative: min = 1; where it goes on: b
    kAtomicBegin,    // slot a
    kAtomicEnd,      // slot a
    kStepBack,       // a code points; fails where there are fewer
    kAnchor,         // RegexNode::Anchor a
    kLoopBegin,      // slot a = here
    kLoopEnd,        // to b where nothing was matched since slot a was set
  };
  Op op = Op::kAccept;
  uint32_t a = 0, b = 0;
  uint32_t min = 0, max = 0;
};

struct RegexProgram {
  std::vector<RegexInst> insts;
  std::vector<CharClass> classes;
  std::string literals;
  uint32_t marks = 0;  // slots of looks and atomic groups: a height of the stack each
  uint32_t loops = 0;  // slots of loops: a place in the text each
  // Alternatives of the whole pattern, tried in order. `starts`: those that a match beginning with
  // a given byte can take; the last entry: at the end of the text.
  std::vector<uint32_t> entries;  // first instructions
  struct Starts {
    uint32_t begin = 0, end = 0;  // in start_entries
  };
  std::array<Starts, 257> starts;
  std::vector<uint32_t> start_entries;
  bool literal_only = false;  // the pattern is `literals`
};

RegexProgram CompileRegex(RegexNode tree, const std::string& source);

}  // namespace pawl::text::internal
