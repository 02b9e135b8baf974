// Runs a RegexProgram over a text: the loop of the engine and its stack. Beneath regex.h.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/regex_program.h"

namespace pawl::text::internal {

// For searches of one text. What is tried later stands on a stack, which begins in place and grows
// on the heap.
class RegexMatcher {
 public:
  // `budget`: steps that are left; below 0 the search has been given up.
  RegexMatcher(const RegexProgram& program, std::string_view text, int64_t& budget);
  RegexMatcher(const RegexMatcher&) = delete;
  RegexMatcher& operator=(const RegexMatcher&) = delete;
  ~RegexMatcher() = default;

  // The leftmost match at or after byte `from`. False: none, or the budget is spent.
  bool Find(size_t from, Regex::Match& match);

 private:
  // The end of a match of the alternative that begins with instruction `pc`, at `at`; null: none.
  const char* MatchAt(uint32_t pc, const char* at);
  enum class FrameKind : uint32_t { kBranch, kGreedy, kLazy, kLook, kAtomic, kLoop };
  struct Frame {
    FrameKind kind;
    uint32_t inst;   // where to go on; kLoop: the slot
    const char* at;  // place in the text
    union {
      const char* limit;  // kGreedy: where nothing more can be given back
      uint64_t count;     // kLazy: code points that may still be taken
    };
  };

  // False where there is no room: the search must end.
  [[nodiscard]] bool Push(const Frame& frame) {
    if (height_ == capacity_ && !GrowStack()) return false;
    stack_[height_++] = frame;
    return true;
  }
  bool GrowStack();
  bool Backtrack(uint32_t& inst, const char*& at);
  bool RunSet(const RegexInst& inst, uint32_t pc, const char*& at);
  const char* TakeAll(const CharClass& chars, const char* at) const;
  const char* TakeRun(const CharClass& chars, const char* at, uint32_t max);
  bool Anchored(RegexNode::Anchor anchor, const char* at) const;
  const char* Back(const char* at, const char* limit) const;
  bool TakeOne(const CharClass& chars, const char*& at) const;

  static constexpr size_t kInPlace = 32;
  static constexpr size_t kMaxFrames = size_t{1} << 22;
  const RegexProgram& program_;
  const char *begin_, *end_;
  int64_t& budget_;
  Frame* stack_ = nullptr;  // in_place_ or heap_
  size_t height_ = 0, capacity_ = kInPlace;
  std::vector<size_t> marks_;
  std::vector<const char*> loops_;
  std::vector<Frame> heap_;
  std::array<Frame, kInPlace> in_place_;  // not initialised
};

}  // namespace pawl::text::internal
