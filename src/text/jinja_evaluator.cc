#include "text/jinja_evaluator.h"

#include <algorithm>

#include "core/error.h"
#include "text/jinja_filters.h"
#include "text/jinja_methods.h"
#include "text/jinja_operators.h"
#include "text/python_text.h"

namespace pawl::text::jinja {
namespace {

enum class Flow : uint8_t { kNext, kBreak, kContinue };

// Evaluations inside each other: what the stack of a thread holds.
constexpr int kMaxDepth = 3000;

class Evaluator {
 public:
  Evaluator(const Tree& tree, Runtime& runtime) : tree_(tree), runtime_(runtime) {}

  Output Run(std::span<const Named> variables) {
    context_.resize(tree_.context.size());
    for (size_t i = 0; i < context_.size(); ++i) {
      context_[i] = GlobalNamed(tree_.context[i]);
      for (const Named& variable : variables) {
        if (variable.name == tree_.context[i]) context_[i] = variable.value;
      }
    }
    root_ = runtime_.New<Value>(tree_.num_slots).data();
    output_.text.reserve(4096);
    out_ = &output_.text;
    Enter(tree_.scope, root_);
    Run(tree_.body, root_);
    return std::move(output_);
  }

 private:
  class Depth {
   public:
    explicit Depth(Evaluator& evaluator) : depth_(evaluator.depth_) {
      if (++depth_ > kMaxDepth) [[unlikely]] {
        --depth_;
        evaluator.runtime_.Fail("a template that nests too deep");
      }
    }
    ~Depth() { --depth_; }

   private:
    int& depth_;
  };
  // Writes to another text while it lives.
  class Redirect {
   public:
    Redirect(Evaluator& evaluator, std::string& to) : out_(evaluator.out_), before_(out_) {
      out_ = &to;
    }
    ~Redirect() { out_ = before_; }

   private:
    std::string*& out_;
    std::string* before_;
  };

  // ---- variables --------------------------------------------------------------------------------

  Value& Slot(const Ref& ref, Value* frame) {
    return ref.place == Ref::kLocal  ? frame[ref.index]
           : ref.place == Ref::kRoot ? root_[ref.index]
                                     : context_[ref.index];
  }
  void Enter(const ScopeInit& scope, Value* frame) {
    for (const SlotInit& init : scope.slots) {
      frame[init.slot] = init.from == SlotInit::kUndefined ? Value() : Slot(init.source, frame);
    }
  }

  void Assign(const Expr& target, const Value& value, Value* frame) {
    if (target.op == Op::kName) {
      Slot(target.ref, frame) = value;
    } else if (target.op == Op::kTuple) {
      const auto items = ItemsOf(runtime_, value);
      if (items.size() != target.children.size()) {
        runtime_.Fail(
            fmt::format("{} values for {} variables", items.size(), target.children.size()));
      }
      for (size_t i = 0; i < items.size(); ++i) Assign(*target.children[i], items[i], frame);
    } else {
      AssignAttribute(target, value, frame);
    }
  }
  void AssignAttribute(const Expr& target, const Value& value, Value* frame) {
    const Value& object = Slot(target.children[0]->ref, frame);
    if (!object.Is(Kind::kNamespace)) {
      runtime_.Fail(fmt::format("an attribute '{}' set on {}: only namespaces have settable ones",
                                target.name, TypeName(object.kind())));
    }
    if (target.name.starts_with('_')) runtime_.Fail("a namespace's name that begins with '_'");
    auto& entries = object.name_space().entries;
    if (const Value* found = FindKey(entries, target.name)) {
      const_cast<Value&>(*found) = value;
      return;
    }
    runtime_.Take(sizeof(Entry));  // its memory counts
    entries.push_back({Value::String(target.name), value});
  }

  // ---- statements -------------------------------------------------------------------------------

  Flow Run(const Block& block, Value* frame) {
    for (const Stmt* stmt : block) {
      const Flow flow = Run(*stmt, frame);
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  void Write(std::string_view text) {
    out_->append(text);
    runtime_.CheckOutput(out_->size());
  }

  Flow Run(const Stmt& stmt, Value* frame) {
    const Depth depth(*this);
    runtime_.Step();
    runtime_.set_line(stmt.line);
    switch (stmt.tag) {
      case Tag::kText:
        Write(stmt.text);
        return Flow::kNext;
      case Tag::kPrint: {
        const Value value = Eval(*stmt.expr, frame);
        AppendText(runtime_, *out_, value);
        return Flow::kNext;
      }
      case Tag::kIf:
        for (const Branch& branch : stmt.branches) {
          if (Truthy(Eval(*branch.test, frame))) return Run(branch.body, frame);
        }
        return Run(stmt.otherwise, frame);
      case Tag::kFor:
        return RunFor(stmt, frame);
      case Tag::kSet:
        Assign(*stmt.target, Eval(*stmt.expr, frame), frame);
        return Flow::kNext;
      case Tag::kMacro:
        Slot(stmt.macro_ref, frame) = Value::Object(Kind::kMacro, stmt.definition.get());
        return Flow::kNext;
      case Tag::kBreak:
        return Flow::kBreak;
      case Tag::kContinue:
        return Flow::kContinue;
      case Tag::kGeneration:
        RunGeneration(stmt, frame);
        return Flow::kNext;
      case Tag::kWith:
        return RunWith(stmt, frame);
      default:
        return RunCaptured(stmt, frame);
    }
  }

  Flow RunFor(const Stmt& stmt, Value* frame) {
    std::span<const Value> items = ItemsOf(runtime_, Eval(*stmt.expr, frame));
    if (stmt.test != nullptr) items = Chosen(stmt, items, frame);
    Loop* loop = nullptr;
    if (stmt.uses_loop) {
      loop = runtime_.New<Loop>(1).data();
      loop->items = items;
      loop->depth0 = stmt.loop_depth;
    }
    bool finished_one = false;
    for (size_t i = 0; i < items.size(); ++i) {
      runtime_.Step();
      Enter(stmt.scope, frame);
      if (loop != nullptr) {
        loop->index0 = static_cast<int64_t>(i);
        frame[stmt.loop_slot] = Value::Object(Kind::kLoop, loop);
      }
      Assign(*stmt.target, items[i], frame);
      const Flow flow = Run(stmt.body, frame);
      if (flow == Flow::kBreak) break;
      // as in Jinja, `else` runs where no pass came to its end
      finished_one |= flow == Flow::kNext;
    }
    if (finished_one || stmt.otherwise.empty()) return Flow::kNext;
    Enter(stmt.else_scope, frame);
    return Run(stmt.otherwise, frame);
  }
  // The items that pass the loop's `if`.
  std::span<const Value> Chosen(const Stmt& stmt, std::span<const Value> items, Value* frame) {
    const std::span<Value> chosen = runtime_.New<Value>(items.size());
    size_t count = 0;
    for (const Value& item : items) {
      runtime_.Step();
      Enter(stmt.test_scope, frame);
      Assign(*stmt.test_target, item, frame);
      if (Truthy(Eval(*stmt.test, frame))) chosen[count++] = item;
    }
    return chosen.first(count);
  }

  Flow RunWith(const Stmt& stmt, Value* frame) {
    std::vector<Value> values;
    for (const auto& assignment : stmt.assignments)
      values.push_back(Eval(*assignment.second, frame));
    Enter(stmt.scope, frame);
    for (size_t i = 0; i < values.size(); ++i) Assign(*stmt.assignments[i].first, values[i], frame);
    return Run(stmt.body, frame);
  }

  // {% set x %} and {% filter %}: what the body writes is a value.
  Flow RunCaptured(const Stmt& stmt, Value* frame) {
    std::string text;
    Flow flow = Flow::kNext;
    {
      const Redirect redirect(*this, text);
      Enter(stmt.scope, frame);
      flow = Run(stmt.body, frame);
    }
    if (flow != Flow::kNext) return flow;
    runtime_.set_line(stmt.line);
    captured_ = runtime_.Text(text);
    const Value value = stmt.expr == nullptr ? captured_ : Eval(*stmt.expr, frame);
    if (stmt.tag == Tag::kSetBlock) {
      Assign(*stmt.target, value, frame);
    } else {
      AppendText(runtime_, *out_, value);
    }
    return Flow::kNext;
  }

  void RunGeneration(const Stmt& stmt, Value* frame) {
    Enter(stmt.scope, frame);
    if (out_ == &output_.text) {
      // a block in here sees the output as it was before this one
      const size_t begin = output_.text.size();
      const bool outermost = !open_generation_;
      if (outermost) open_generation_ = begin;
      Run(stmt.body, frame);
      if (outermost) {
        open_generation_.reset();
        output_.generations.push_back({true, begin, output_.text.size()});
      } else {
        AddShifted(std::string_view(output_.text).substr(begin));
      }
      return;
    }
    std::string text;
    {
      const Redirect redirect(*this, text);
      Run(stmt.body, frame);
    }
    AddShifted(text);
    Write(text);
  }
  void AddShifted(std::string_view text) {
    const size_t bytes = open_generation_.value_or(output_.text.size());
    const size_t begin = python::Length(std::string_view(output_.text).substr(0, bytes));
    runtime_.StepBytes(bytes + text.size());
    output_.generations.push_back({false, begin, begin + python::Length(text)});
  }

  // ---- expressions ------------------------------------------------------------------------------

  Value Eval(const Expr& expr, Value* frame) {
    const Depth depth(*this);
    runtime_.Step();
    switch (expr.op) {
      case Op::kConst:
        return expr.constant;
      case Op::kName: {
        const Value& value = Slot(expr.ref, frame);
        const bool nameless = value.Is(Kind::kUndefined) && value.size() == 0;
        return nameless ? Value::Undefined(Missing::kVariable, expr.name) : value;
      }
      case Op::kAttribute:
        return Attribute(runtime_, Eval(*expr.children[0], frame), expr.name, expr.method);
      case Op::kItem: {
        const Value object = Eval(*expr.children[0], frame);
        return Item(runtime_, object, Eval(*expr.children[1], frame));
      }
      case Op::kNot:
        return Value::Bool(!Truthy(Eval(*expr.children[0], frame)));
      case Op::kNegate:
      case Op::kPlus:
        return Negate(runtime_, Eval(*expr.children[0], frame), expr.op == Op::kPlus);
      case Op::kAnd: {
        const Value left = Eval(*expr.children[0], frame);
        return Truthy(left) ? Eval(*expr.children[1], frame) : left;
      }
      case Op::kOr: {
        const Value left = Eval(*expr.children[0], frame);
        return Truthy(left) ? left : Eval(*expr.children[1], frame);
      }
      case Op::kCompare:
        return EvalCompare(expr, frame);
      case Op::kAdd:
      case Op::kSubtract:
      case Op::kMultiply:
      case Op::kDivide:
      case Op::kFloorDivide:
      case Op::kModulo:
      case Op::kPower: {
        const Value left = Eval(*expr.children[0], frame);
        return Arithmetic(runtime_, expr.op, left, Eval(*expr.children[1], frame));
      }
      case Op::kCondition:
        if (Truthy(Eval(*expr.children[0], frame))) return Eval(*expr.children[1], frame);
        if (expr.children[2] != nullptr) return Eval(*expr.children[2], frame);
        return Value::Undefined(Missing::kHint,
                                "an inline 'if' without 'else' whose test is false");
      case Op::kCall:
        return EvalCall(expr, frame);
      case Op::kFilter:
        return EvalFilter(expr, frame);
      case Op::kTest:
        return EvalTest(expr, frame);
      case Op::kSlice:
        return EvalSlice(expr, frame);
      default:
        return EvalCollection(expr, frame);
    }
  }

  Value EvalCompare(const Expr& expr, Value* frame) {
    Value left = Eval(*expr.children[0], frame);
    for (size_t i = 0; i < expr.comparisons.size(); ++i) {
      const Value right = Eval(*expr.children[i + 1], frame);
      if (!Compare(runtime_, expr.comparisons[i], left, right)) return Value::Bool(false);
      left = right;
    }
    return Value::Bool(true);
  }

  Value EvalSlice(const Expr& expr, Value* frame) {
    const Value object = Eval(*expr.children[0], frame);
    Value bounds[3];
    for (size_t i = 0; i < 3; ++i) {
      const Expr* bound = expr.children[i + 1];
      bounds[i] = bound == nullptr ? Value::None() : Eval(*bound, frame);
    }
    return Slice(runtime_, object, bounds);
  }

  // Lists, tuples, dictionaries and texts put together by '~'.
  Value EvalCollection(const Expr& expr, Value* frame) {
    const std::span<Value> items = runtime_.New<Value>(expr.children.size());
    for (size_t i = 0; i < items.size(); ++i) items[i] = Eval(*expr.children[i], frame);
    if (expr.op == Op::kList) return Value::List(items);
    if (expr.op == Op::kTuple) return Value::Tuple(items);
    if (expr.op == Op::kDict) return MakeDict(items);
    std::string text;
    for (const Value& item : items) AppendText(runtime_, text, item);
    return runtime_.Text(text);
  }
  Value MakeDict(std::span<const Value> items) {
    const std::span<Entry> entries = runtime_.New<Entry>(items.size() / 2);
    size_t count = 0;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      if (items[i].Is(Kind::kList) || items[i].Is(Kind::kDict)) {
        runtime_.Fail(fmt::format("{} as a key of a mapping", TypeName(items[i].kind())));
      }
      const auto known =
          std::find_if(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count),
                       [&](const Entry& entry) { return Equal(runtime_, entry.key, items[i]); });
      if (known == entries.begin() + static_cast<std::ptrdiff_t>(count)) {
        entries[count++] = {items[i], items[i + 1]};
      } else {
        known->value = items[i + 1];
      }
    }
    return Value::Dict(entries.first(count));
  }

  // Evaluated arguments: few of them lie here, more in the arena.
  class ArgList {
   public:
    ArgList(Evaluator& evaluator, const Expr& call, Value* frame) {
      constexpr size_t kFew = 6;
      const size_t count = call.children.size() - 1, names = call.keywords.size();
      Value* values = few_;
      Named* named = few_named_;
      if (count > kFew) values = evaluator.runtime_.New<Value>(count).data();
      if (names > kFew) named = evaluator.runtime_.New<Named>(names).data();
      for (size_t i = 0; i < count; ++i) values[i] = evaluator.Eval(*call.children[i + 1], frame);
      for (size_t i = 0; i < names; ++i) {
        named[i] = {call.keywords[i].first, evaluator.Eval(*call.keywords[i].second, frame)};
      }
      args_ = {{values, count}, {named, names}};
    }
    const Args& args() const { return args_; }

   private:
    Value few_[6];
    Named few_named_[6];
    Args args_;
  };

  Value EvalCall(const Expr& expr, Value* frame) {
    const Expr& callee = *expr.children[0];
    if (callee.op == Op::kAttribute && callee.method != 0) {
      // the method itself is not made
      const Value self = Eval(*callee.children[0], frame);
      if (MethodAccess(callee.method, self.kind()) == Access::kAllowed) {
        const ArgList list(*this, expr, frame);
        runtime_.set_line(expr.line);
        return CallMethod(runtime_, callee.method, self, list.args());
      }
      const Value function = Attribute(runtime_, self, callee.name, callee.method);
      return Call(function, expr, frame);
    }
    return Call(Eval(callee, frame), expr, frame);
  }

  Value Call(const Value& function, const Expr& expr, Value* frame) {
    const ArgList list(*this, expr, frame);
    runtime_.set_line(expr.line);
    switch (function.kind()) {
      case Kind::kMacro:
        return CallMacro(function.macro(), list.args());
      case Kind::kFunction:
        return CallGlobal(runtime_, static_cast<int>(function.integer()), list.args());
      case Kind::kMethod:
        return CallMethod(runtime_, function.method().id, function.method().self, list.args());
      case Kind::kUndefined:
        runtime_.FailUndefined(function);
      default:
        runtime_.Fail(fmt::format("a call of {}", TypeName(function.kind())));
    }
  }

  Value CallMacro(const MacroDefinition& macro, const Args& args) {
    runtime_.CheckDepth(++calls_);
    const int line = runtime_.line();
    const size_t count = macro.parameters.size();
    std::vector<std::string_view> names(count);
    for (size_t i = 0; i < count; ++i) names[i] = macro.parameters[i].first;
    Value* frame = runtime_.New<Value>(macro.num_slots).data();
    const std::span<Value> values = runtime_.New<Value>(count);
    const std::span<bool> given = runtime_.New<bool>(count);
    BindArgs(runtime_, macro.name, args, names, 0, values.data(), given.data());
    Enter(macro.scope, frame);
    for (size_t i = 0; i < count; ++i) {
      if (given[i]) frame[macro.slots[i]] = values[i];
    }
    for (size_t i = 0; i < count; ++i) {
      const Expr* fallback = macro.parameters[i].second;
      if (!given[i] && fallback != nullptr) frame[macro.slots[i]] = Eval(*fallback, frame);
    }
    std::string text;
    {
      const Redirect redirect(*this, text);
      Run(macro.body, frame);
    }
    --calls_;
    runtime_.set_line(line);
    return runtime_.Text(text);
  }

  Value EvalFilter(const Expr& expr, Value* frame) {
    const Value value = expr.children[0] == nullptr ? captured_ : Eval(*expr.children[0], frame);
    if (expr.filter == nullptr || expr.filter->apply == nullptr) {
      runtime_.Fail(fmt::format("the filter '{}', which {}", expr.name,
                                expr.filter == nullptr ? "does not exist" : "is not supported"));
    }
    if (expr.children.size() == 1 && expr.keywords.empty()) {
      return expr.filter->apply(runtime_, value, {});
    }
    const ArgList list(*this, expr, frame);
    return expr.filter->apply(runtime_, value, list.args());
  }

  Value EvalTest(const Expr& expr, Value* frame) {
    const Value value = Eval(*expr.children[0], frame);
    if (expr.test == nullptr) {
      runtime_.Fail(fmt::format("the test '{}', which does not exist", expr.name));
    }
    if (expr.children.size() == 1 && expr.keywords.empty()) {
      return Value::Bool(expr.test->apply(runtime_, value, {}));
    }
    const ArgList list(*this, expr, frame);
    return Value::Bool(expr.test->apply(runtime_, value, list.args()));
  }

  const Tree& tree_;
  Runtime& runtime_;
  Output output_;
  std::string* out_ = nullptr;
  Value* root_ = nullptr;
  std::vector<Value> context_;
  Value captured_;  // the text of the block whose filters run
  std::optional<size_t> open_generation_;
  int depth_ = 0, calls_ = 0;
};
}  // namespace

Output Evaluate(const Tree& tree, Runtime& runtime, std::span<const Named> variables) {
  return Evaluator(tree, runtime).Run(variables);
}

}  // namespace pawl::text::jinja
