#include "text/regex_matcher.h"

#include <algorithm>

#include "text/utf8.h"

namespace pawl::text::internal {
namespace {
using Op = RegexInst::Op;
using Anchor = RegexNode::Anchor;

bool IsTail(char byte) { return (byte & 0xC0) == 0x80; }

// The code point at `at` (< end), valid or not: `size` is never more than there is.
char32_t Decode(const char* at, const char* end, size_t& size) {
  const auto byte = [&](int i) { return static_cast<uint8_t>(at[i]); };
  const char32_t lead = byte(0);
  if (lead >= 0xE0 && lead < 0xF0 && end - at >= 3) {
    size = 3;
    return (lead & 0xF) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
  }
  if (lead >= 0xC0 && lead < 0xE0 && end - at >= 2) {
    size = 2;
    return (lead & 0x1F) << 6 | (byte(1) & 0x3Fu);
  }
  if (lead >= 0xF0 && lead < 0xF8 && end - at >= 4) {
    size = 4;
    return std::min<char32_t>(
        (lead & 7) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu),
        kMaxCodePoint);
  }
  size = 1;
  return lead < 0x80 ? lead : kReplacement;
}
}  // namespace

RegexMatcher::RegexMatcher(const RegexProgram& program, std::string_view text, int64_t& budget)
    : program_(program),
      begin_(text.data()),
      end_(text.data() + text.size()),
      budget_(budget),
      marks_(program.marks),
      loops_(program.loops, nullptr) {
  stack_ = in_place_.data();
}

// False where it is as large as it may be, which ends the search.
bool RegexMatcher::GrowStack() {
  if (capacity_ >= kMaxFrames) {
    budget_ = -1;
    return false;
  }
  if (heap_.empty()) heap_.assign(in_place_.begin(), in_place_.end());
  capacity_ *= 2;
  heap_.resize(capacity_);
  stack_ = heap_.data();
  return true;
}

// The code point before `at` begins here.
const char* RegexMatcher::Back(const char* at, const char* limit) const {
  do --at;
  while (at > limit && IsTail(*at));
  return at;
}

inline bool RegexMatcher::TakeOne(const CharClass& chars, const char*& at) const {
  if (at == end_) return false;
  const uint8_t known = chars.bytes()[static_cast<uint8_t>(*at)];
  if (known != CharClass::kLookUp) {
    at += known;
    return known != 0;
  }
  size_t size = 0;
  if (!chars.Contains(Decode(at, end_, size))) return false;
  at += size;
  return true;
}

inline const char* RegexMatcher::TakeAll(const CharClass& chars, const char* at) const {
  const uint8_t* const bytes = chars.bytes();
  while (true) {
    while (at < end_ && bytes[static_cast<uint8_t>(*at)] == CharClass::kYes) ++at;
    if (at == end_) return at;
    if (bytes[static_cast<uint8_t>(*at)] == CharClass::kNo) return at;
    size_t size = 0;
    if (!chars.Contains(Decode(at, end_, size))) return at;
    at += size;
  }
}

// As many as there are, `max` at most.
inline const char* RegexMatcher::TakeRun(const CharClass& chars, const char* at, uint32_t max) {
  if (max != RegexNode::kNoMax) {
    while (max-- > 0 && TakeOne(chars, at)) {
    }
    return at;
  }
  const char* const first = at;
  at = TakeAll(chars, at);
  budget_ -= at - first;
  return at;
}

// A run of a class: takes it, and puts what may be given back on the stack.
inline bool RegexMatcher::RunSet(const RegexInst& inst, uint32_t pc, const char*& at) {
  const CharClass& chars = program_.classes[inst.a];
  const char* limit = at;
  if (inst.min == 1) {
    if (!TakeOne(chars, limit)) return false;
  } else {
    for (uint32_t i = 0; i < inst.min; ++i) {
      if (!TakeOne(chars, limit)) return false;
    }
  }
  const uint32_t more = inst.max == RegexNode::kNoMax ? inst.max : inst.max - inst.min;
  if (inst.op == Op::kRunLazy) {
    at = limit;
    return more == 0 || Push({FrameKind::kLazy, pc, at, {.count = more}});
  }
  at = TakeRun(chars, limit, more);
  return inst.op != Op::kRunGreedy || at == limit ||
         Push({FrameKind::kGreedy, pc + 1, at, {.limit = limit}});
}

bool RegexMatcher::Anchored(Anchor anchor, const char* at) const {
  const auto word = [&](const char* place) {
    size_t size = 0;
    return IsRegexWord(Decode(place, end_, size));
  };
  switch (anchor) {
    case Anchor::kLineBegin:
      return at == begin_ || (at[-1] == '\n' && at < end_);
    case Anchor::kLineEnd:
      return at == end_ || *at == '\n';
    case Anchor::kTextBegin:
      return at == begin_;
    case Anchor::kTextEnd:
      return at == end_;
    case Anchor::kTextEndOrLastNewline:
      return at == end_ || (at + 1 == end_ && *at == '\n');
    case Anchor::kWordEdge:
    case Anchor::kNoWordEdge: {
      const bool before = at > begin_ && word(Back(at, begin_)), after = at < end_ && word(at);
      return (before != after) == (anchor == Anchor::kWordEdge);
    }
  }
  return false;
}

// Takes up what was left for later. False where nothing is left.
bool RegexMatcher::Backtrack(uint32_t& inst, const char*& at) {
  while (height_ > 0) {
    if (--budget_ < 0) return false;
    Frame& frame = stack_[height_ - 1];
    switch (frame.kind) {
      case FrameKind::kBranch:
        inst = frame.inst;
        at = frame.at;
        --height_;
        return true;
      case FrameKind::kGreedy:
        frame.at = Back(frame.at, frame.limit);
        inst = frame.inst;
        at = frame.at;
        if (frame.at == frame.limit) --height_;
        return true;
      case FrameKind::kLazy: {
        const RegexInst& run = program_.insts[frame.inst];
        if (!TakeOne(program_.classes[run.a], frame.at)) {
          --height_;
          break;
        }
        inst = frame.inst + 1;
        at = frame.at;
        if (frame.count != RegexNode::kNoMax && --frame.count == 0) --height_;
        return true;
      }
      case FrameKind::kLook: {
        const RegexInst& look = program_.insts[frame.inst];
        --height_;
        if (look.min == 0) break;
        // nothing of a negative look matched
        inst = look.b;
        at = frame.at;
        return true;
      }
      case FrameKind::kAtomic:
        --height_;
        break;
      case FrameKind::kLoop:
        loops_[frame.inst] = frame.at;
        --height_;
        break;
    }
  }
  return false;
}

bool RegexMatcher::Find(size_t from, Regex::Match& match) {
  const uint32_t* const entries = program_.start_entries.data();
  for (const char* at = begin_ + from;;) {
    const RegexProgram::Starts starts =
        program_.starts[at == end_ ? 256 : static_cast<uint8_t>(*at)];
    for (uint32_t i = starts.begin; i < starts.end; ++i) {
      if (const char* const end = MatchAt(entries[i], at)) {
        match = {static_cast<size_t>(at - begin_), static_cast<size_t>(end - begin_)};
        return true;
      }
      if (budget_ < 0) return false;
    }
    if (at == end_) return false;
    do ++at;
    while (at < end_ && IsTail(*at));
  }
}

const char* RegexMatcher::MatchAt(uint32_t pc, const char* at) {
  height_ = 0;
  while (true) {
    const RegexInst& inst = program_.insts[pc];
    bool matched = true;
    switch (inst.op) {
      case Op::kAccept:
        return at;
      case Op::kLiteral:
        matched = static_cast<size_t>(end_ - at) >= inst.b &&
                  std::memcmp(at, program_.literals.data() + inst.a, inst.b) == 0;
        if (matched) at += inst.b;
        break;
      case Op::kSet:
        matched = TakeOne(program_.classes[inst.a], at);
        break;
      case Op::kOption:
        TakeOne(program_.classes[inst.a], at);
        break;
      case Op::kRun: {
        const char* const first = at;
        at = TakeAll(program_.classes[inst.a], at);
        budget_ -= at - first;
        matched = at > first || inst.min == 0;
        break;
      }
      case Op::kRunPossessive:
      case Op::kRunGreedy:
      case Op::kRunLazy:
        matched = RunSet(inst, pc, at);
        break;
      case Op::kSplit:
        if (!Push({FrameKind::kBranch, inst.a, at, {}})) return nullptr;
        break;
      case Op::kJump:
        pc = inst.a;
        if (--budget_ < 0) return nullptr;
        continue;
      case Op::kJumpUnless: {
        const char* next = at;
        if (TakeOne(program_.classes[inst.a], next)) break;
        pc = inst.b;
        continue;
      }
      case Op::kAheadSet:
      case Op::kNotAheadSet: {
        const char* next = at;
        matched = TakeOne(program_.classes[inst.a], next) == (inst.op == Op::kAheadSet);
        break;
      }
      case Op::kLookBegin:
        marks_[inst.a] = height_;
        if (!Push({FrameKind::kLook, pc, at, {}})) return nullptr;
        break;
      case Op::kLookEnd:
        // what the look left for later goes, and it consumed nothing
        height_ = marks_[inst.a];
        at = stack_[height_].at;
        matched = inst.min == 0;
        break;
      case Op::kAtomicBegin:
        marks_[inst.a] = height_;
        if (!Push({FrameKind::kAtomic, pc, at, {}})) return nullptr;
        break;
      case Op::kAtomicEnd:
        height_ = marks_[inst.a];
        break;
      case Op::kStepBack:
        for (uint32_t i = 0; i < inst.a && matched; ++i) {
          matched = at > begin_;
          if (matched) at = Back(at, begin_);
        }
        break;
      case Op::kAnchor:
        matched = Anchored(static_cast<Anchor>(inst.a), at);
        break;
      case Op::kLoopBegin:
        if (!Push({FrameKind::kLoop, inst.a, loops_[inst.a], {}})) return nullptr;
        loops_[inst.a] = at;
        break;
      case Op::kLoopEnd:
        if (loops_[inst.a] == at) {
          pc = inst.b;
          continue;
        }
        break;
    }
    if (matched) {
      ++pc;
    } else if (!Backtrack(pc, at)) {
      return nullptr;
    }
  }
}

}  // namespace pawl::text::internal
