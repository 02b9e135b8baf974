// From the tree of a pattern to its program. Two passes: Prepare walks from the end of the pattern
// to its beginning and finds the repeats that need never give anything back, because what follows
// them cannot begin with what they take; Emit writes the instructions.
#include <algorithm>
#include <array>
#include <map>

#include "core/error.h"
#include "text/regex_program.h"
#include "text/utf8.h"

namespace pawl::text::internal {
namespace {
using Node = RegexNode;
using Kind = RegexNode::Kind;
using Op = RegexInst::Op;

constexpr size_t kMaxInsts = 20'000;
constexpr size_t kMaxClasses = 500;

// What can be said of the rest of a pattern where a code point follows.
struct Rest {
  CodePointSet first;   // the code points with which it can match
  bool any = false;     // or it may match whatever follows, beyond `first`
  bool always = false;  // it matches, whatever follows
};

Rest Accepting() {
  Rest rest;
  rest.any = rest.always = true;
  return rest;
}

Rest BeforeNode(const Node& node, const Rest& rest);

bool CanBeEmpty(const Node& node) {
  const auto child = [](const Node& n) { return CanBeEmpty(n); };
  const auto begin = node.children.begin(), end = node.children.end();
  switch (node.kind) {
    case Kind::kSet:
      return false;
    case Kind::kSequence:
    case Kind::kAtomic:
      return std::all_of(begin, end, child);
    case Kind::kChoice:
      return std::any_of(begin, end, child);
    case Kind::kRepeat:
      return node.min == 0 || CanBeEmpty(node.children[0]);
    case Kind::kLook:
    case Kind::kAnchor:
      break;
  }
  return true;
}

Rest BeforeSequence(const Node& node, Rest rest) {
  for (size_t i = node.children.size(); i-- > 0;) rest = BeforeNode(node.children[i], rest);
  return rest;
}

Rest BeforeChoice(const Node& node, const Rest& rest) {
  Rest before;
  for (const Node& child : node.children) {
    const Rest one = BeforeNode(child, rest);
    before.first = before.first.Union(one.first);
    before.any = before.any || one.any;
    before.always = before.always || one.always;
  }
  return before;
}

Rest BeforeLook(const Node& node, const Rest& rest) {
  Rest before = rest;
  before.always = false;
  if (node.behind) return before;
  const Node& body = node.children[0];
  if (node.negative) {
    if (body.kind != Kind::kSet) return before;
    const CodePointSet others = body.set.Complement();
    before.first = rest.any ? others : rest.first.Intersection(others);
  } else {
    const Rest inside = BeforeNode(body, Accepting());
    if (inside.any) return before;
    before.first = rest.any ? inside.first : rest.first.Intersection(inside.first);
  }
  before.any = false;
  return before;
}

// Of the node and what follows it.
Rest BeforeNode(const Node& node, const Rest& rest) {
  switch (node.kind) {
    case Kind::kSet: {
      Rest before;
      before.first = node.set;
      return before;
    }
    case Kind::kSequence:
      return BeforeSequence(node, rest);
    case Kind::kChoice:
      return BeforeChoice(node, rest);
    case Kind::kLook:
      return BeforeLook(node, rest);
    case Kind::kAnchor: {
      Rest before = rest;
      before.always = false;
      return before;
    }
    case Kind::kAtomic: {
      Rest before = BeforeNode(node.children[0], rest);
      before.always = false;
      return before;
    }
    case Kind::kRepeat: {
      if (node.max == 0) return rest;
      Rest before = BeforeNode(node.children[0], rest);
      before.always = before.always && node.greed != Node::Greed::kPossessive;
      if (node.min > 0) {
        before.always = before.always && node.min == 1;
        return before;
      }
      before.first = before.first.Union(rest.first);
      before.any = before.any || rest.any;
      before.always = rest.always && node.greed != Node::Greed::kPossessive;
      return before;
    }
  }
  return rest;
}

// Marks the repeats of one set that may be possessive; gives back what can be said in front of the
// node.
Rest Prepare(Node& node, const Rest& rest) {
  switch (node.kind) {
    case Kind::kSequence: {
      Rest before = rest;
      for (size_t i = node.children.size(); i-- > 0;) before = Prepare(node.children[i], before);
      return before;
    }
    case Kind::kChoice:
      for (Node& child : node.children) Prepare(child, rest);
      return BeforeChoice(node, rest);
    case Kind::kLook:
    case Kind::kAtomic:
      Prepare(node.children[0], Accepting());  // its first match is final
      return BeforeNode(node, rest);
    case Kind::kRepeat: {
      Node& body = node.children[0];
      if (body.kind != Kind::kSet) {
        // after a round comes another, or the rest
        Rest after = BeforeNode(body, rest);
        after.first = after.first.Union(rest.first);
        after.any = after.any || rest.any;
        after.always = rest.always && node.min <= 1;
        if (node.greed == Node::Greed::kPossessive) after = Accepting();
        if (node.greed == Node::Greed::kPossessive && node.max > 1) after.always = false;
        Prepare(body, after);
      } else if (node.greed == Node::Greed::kGreedy &&
                 (rest.always || (!rest.any && !rest.first.Intersects(body.set)))) {
        node.greed = Node::Greed::kPossessive;
        Rest before = rest;
        before.first = body.set.Union(node.min == 0 ? rest.first : CodePointSet());
        before.any = node.min == 0 && rest.any;
        before.always = node.min == 0 && rest.always;
        return before;
      }
      return BeforeNode(node, rest);
    }
    case Kind::kSet:
    case Kind::kAnchor:
      break;
  }
  return BeforeNode(node, rest);
}

class Compiler {
 public:
  explicit Compiler(const std::string& source) : source_(source) {}

  RegexProgram Compile(Node tree) {
    Prepare(tree, Accepting());
    const bool choice = tree.kind == Kind::kChoice;
    const size_t count = choice ? tree.children.size() : 1;
    std::vector<Rest> firsts;
    for (size_t i = 0; i < count; ++i) {
      const Node& node = choice ? tree.children[i] : tree;
      program_.entries.push_back(Here());
      firsts.push_back(BeforeNode(node, Accepting()));
      Emit(node);
      Add({.op = Op::kAccept});
    }
    FillStarts(firsts);
    const auto& insts = program_.insts;
    program_.literal_only = insts.size() == 2 && insts[0].op == Op::kLiteral;
    return std::move(program_);
  }

 private:
  uint32_t Here() const { return static_cast<uint32_t>(program_.insts.size()); }

  uint32_t Add(RegexInst inst) {
    if (program_.insts.size() >= kMaxInsts) {
      throw UserError({.what = "regular expression: its repeats make it too large",
                       .where = source_,
                       .expected = fmt::format("at most {} steps", kMaxInsts)});
    }
    program_.insts.push_back(inst);
    return Here() - 1;
  }

  uint32_t ClassOf(const CodePointSet& set) {
    std::string key;
    for (const auto& range : set.ranges()) {
      key.append(reinterpret_cast<const char*>(&range), sizeof(range));
    }
    const auto [found, added] = classes_.try_emplace(key, program_.classes.size());
    if (added) {
      if (program_.classes.size() >= kMaxClasses) {
        throw UserError({.what = "regular expression with more classes of characters than "
                                 "are supported",
                         .where = source_,
                         .expected = fmt::format("at most {}", kMaxClasses)});
      }
      program_.classes.emplace_back(set);
    }
    return static_cast<uint32_t>(found->second);
  }

  void EmitLiteral(char32_t code_point, bool join) {
    const std::string bytes = ToUtf8(code_point);
    // one literal with the one before, which ends where this begins
    if (join) {
      program_.insts.back().b += static_cast<uint32_t>(bytes.size());
    } else {
      Add({.op = Op::kLiteral,
           .a = static_cast<uint32_t>(program_.literals.size()),
           .b = static_cast<uint32_t>(bytes.size())});
    }
    program_.literals += bytes;
  }

  void Emit(const Node& node) {
    switch (node.kind) {
      case Kind::kSet:
        if (node.set.IsSingle() && node.set.ranges()[0].first < 0xD800) {
          EmitLiteral(node.set.ranges()[0].first, false);
        } else {
          Add({.op = Op::kSet, .a = ClassOf(node.set)});
        }
        break;
      case Kind::kSequence: {
        bool join = false;
        for (const Node& child : node.children) {
          const bool single = child.kind == Kind::kSet && child.set.IsSingle() &&
                              child.set.ranges()[0].first < 0xD800;
          if (single) {
            EmitLiteral(child.set.ranges()[0].first, join);
          } else {
            Emit(child);
          }
          join = single;
        }
        break;
      }
      case Kind::kChoice:
        EmitChoice(node, nullptr);
        break;
      case Kind::kRepeat:
        node.children[0].kind == Kind::kSet ? EmitRun(node) : EmitRepeat(node);
        break;
      case Kind::kAtomic:
        EmitAtomic([&] { Emit(node.children[0]); });
        break;
      case Kind::kLook:
        EmitLook(node);
        break;
      case Kind::kAnchor:
        Add({.op = Op::kAnchor, .a = static_cast<uint32_t>(node.anchor)});
        break;
    }
  }

  // `step_back`: of a look-behind, the length of each alternative.
  void EmitChoice(const Node& node, const std::vector<uint32_t>* step_back) {
    std::vector<uint32_t> ends;
    for (size_t i = 0; i < node.children.size(); ++i) {
      const bool last = i + 1 == node.children.size();
      const uint32_t split = last ? 0 : Add({.op = Op::kSplit});
      if (step_back != nullptr) Add({.op = Op::kStepBack, .a = (*step_back)[i]});
      Emit(node.children[i]);
      if (!last) {
        ends.push_back(Add({.op = Op::kJump}));
        program_.insts[split].a = Here();
      }
    }
    for (const uint32_t end : ends) program_.insts[end].a = Here();
  }

  void EmitRun(const Node& node) {
    Op op = Op::kRunGreedy;
    if (node.greed == Node::Greed::kPossessive) {
      op = Op::kRunPossessive;
      if (node.min == 0 && node.max == 1) op = Op::kOption;
      if (node.min <= 1 && node.max == Node::kNoMax) op = Op::kRun;
    }
    if (node.greed == Node::Greed::kLazy) op = Op::kRunLazy;
    if (node.max == 0) return;
    Add({.op = op, .a = ClassOf(node.children[0].set), .min = node.min, .max = node.max});
  }

  void EmitRepeat(const Node& node) {
    const auto repeat = [&] {
      const Node& body = node.children[0];
      const size_t before = program_.insts.size();
      for (uint32_t i = 0; i < node.min; ++i) {
        Emit(body);
        if (program_.insts.size() == before) break;  // a body of nothing
      }
      if (node.max == Node::kNoMax) {
        EmitLoop(node);
        return;
      }
      std::vector<uint32_t> exits;
      for (uint32_t i = node.min; i < node.max; ++i) EmitOption(node, exits);
      for (const uint32_t exit : exits) SetTarget(exit, Here());
    };
    if (node.greed == Node::Greed::kPossessive) {
      EmitAtomic(repeat);
    } else {
      repeat();
    }
  }

  // In front of a round that may be left out.
  void EmitChance(const Node& node, std::vector<uint32_t>& exits) {
    const Rest first = BeforeNode(node.children[0], Accepting());
    if (!first.any) exits.push_back(Add({.op = Op::kJumpUnless, .a = ClassOf(first.first)}));
    if (node.greed == Node::Greed::kLazy) {
      const uint32_t split = Add({.op = Op::kSplit});
      exits.push_back(Add({.op = Op::kJump}));
      program_.insts[split].a = Here();
    } else {
      exits.push_back(Add({.op = Op::kSplit}));
    }
  }

  void EmitOption(const Node& node, std::vector<uint32_t>& exits) {
    EmitChance(node, exits);
    Emit(node.children[0]);
  }

  void EmitLoop(const Node& node) {
    std::vector<uint32_t> exits;
    const uint32_t begin = Here();
    // a round that matches nothing ends the loop
    EmitChance(node, exits);
    if (CanBeEmpty(node.children[0])) {
      const uint32_t slot = program_.loops++;
      Add({.op = Op::kLoopBegin, .a = slot});
      Emit(node.children[0]);
      exits.push_back(Add({.op = Op::kLoopEnd, .a = slot}));
    } else {
      Emit(node.children[0]);
    }
    Add({.op = Op::kJump, .a = begin});
    for (const uint32_t exit : exits) SetTarget(exit, Here());
  }

  void SetTarget(uint32_t inst, uint32_t target) {
    RegexInst& jump = program_.insts[inst];
    (jump.op == Op::kJumpUnless || jump.op == Op::kLoopEnd ? jump.b : jump.a) = target;
  }

  template <class Body>
  void EmitAtomic(Body&& body) {
    const uint32_t slot = program_.marks++;
    Add({.op = Op::kAtomicBegin, .a = slot});
    body();
    Add({.op = Op::kAtomicEnd, .a = slot});
  }

  void EmitLook(const Node& node) {
    const Node& body = node.children[0];
    if (!node.behind && body.kind == Kind::kSet) {
      Add({.op = node.negative ? Op::kNotAheadSet : Op::kAheadSet, .a = ClassOf(body.set)});
      return;
    }
    const uint32_t slot = program_.marks++, negative = node.negative ? 1 : 0;
    const uint32_t begin = Add({.op = Op::kLookBegin, .a = slot, .min = negative});
    const auto length = [](const Node& n) { return static_cast<uint32_t>(FixedLength(n)); };
    if (node.behind && body.kind == Kind::kChoice) {
      std::vector<uint32_t> lengths;
      for (const Node& child : body.children) lengths.push_back(length(child));
      EmitChoice(body, &lengths);
    } else {
      if (node.behind) Add({.op = Op::kStepBack, .a = length(body)});
      Emit(body);
    }
    Add({.op = Op::kLookEnd, .a = slot, .min = negative});
    program_.insts[begin].b = Here();
  }

  void FillStarts(const std::vector<Rest>& firsts) {
    std::vector<std::array<bool, 256>> bytes;
    for (const Rest& rest : firsts) bytes.push_back(rest.first.FirstBytes());
    for (size_t byte = 0; byte < 257; ++byte) {
      auto& starts = program_.starts[byte];
      starts.begin = static_cast<uint32_t>(program_.start_entries.size());
      for (size_t i = 0; i < firsts.size(); ++i) {
        const bool can = byte == 256 || firsts[i].any || bytes[i][byte];
        if (can) program_.start_entries.push_back(program_.entries[i]);
      }
      starts.end = static_cast<uint32_t>(program_.start_entries.size());
    }
  }

  const std::string& source_;
  RegexProgram program_;
  std::map<std::string, size_t> classes_;
};
}  // namespace

RegexProgram CompileRegex(RegexNode tree, const std::string& source) {
  return Compiler(source).Compile(std::move(tree));
}

}  // namespace pawl::text::internal
