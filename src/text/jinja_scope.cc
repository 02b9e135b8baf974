#include "text/jinja_scope.h"

#include <map>
#include <set>

#include "core/error.h"

namespace pawl::text::jinja {
namespace {

constexpr size_t kMaxNames = 1000;  // of a scope

// The template or a macro: what has a frame of slots.
struct Function {
  bool is_root = false;
  uint32_t num_slots = 0;
};

// How a name of a scope gets its first value.
enum class Load : uint8_t { kParameter, kContext, kOuter, kNothing };

struct Variable {
  uint32_t slot = 0;
  Load load = Load::kNothing;
};

// The names of one scope. Copied at branches, whose slots are the same.
struct Names {
  std::map<std::string_view, Variable> variables;
  std::set<std::string_view> stored;
};

class Scope {
 public:
  Scope(Scope* parent, Function& function) : parent_(parent), function_(function) {}

  void DeclareParameter(std::string_view name) {
    names_.stored.insert(name);
    Define(name, Load::kParameter);
  }
  uint32_t SlotOf(std::string_view name) { return names_.variables.at(name).slot; }

  void VisitBlock(const Block& block) {
    for (const Stmt* stmt : block) VisitStmt(*stmt);
  }
  void VisitExpr(const Expr* expr) {
    if (expr == nullptr) return;
    if (expr->op == Op::kName && !FindOwner(expr->name)) Define(expr->name, Load::kContext);
    for (const Expr* child : expr->children) VisitExpr(child);
    for (const auto& keyword : expr->keywords) VisitExpr(keyword.second);
  }
  void VisitTarget(const Expr& target, bool as_parameter) {
    if (target.op == Op::kName) {
      if (as_parameter) {
        DeclareParameter(target.name);
      } else {
        Store(target.name);
      }
    } else if (target.op == Op::kNamespaceAttribute) {
      VisitExpr(target.children[0]);
    } else {
      for (const Expr* child : target.children) VisitTarget(*child, as_parameter);
    }
  }

  // The scope of this or an outer one that knows the name; null where none does.
  Scope* FindOwner(std::string_view name) {
    for (Scope* scope = this; scope != nullptr; scope = scope->parent_) {
      if (scope->names_.variables.contains(name)) return scope;
    }
    return nullptr;
  }

  Ref RefOf(Tree& tree, std::string_view name) {
    Scope* owner = FindOwner(name);
    const Variable& variable = owner->names_.variables.at(name);
    if (variable.load == Load::kContext && !owner->names_.stored.contains(name)) {
      return ContextRef(tree, name);
    }
    const bool local = &owner->function_ == &function_;
    return {local ? Ref::kLocal : Ref::kRoot, variable.slot};
  }

  // What entering the scope has to do.
  ScopeInit Init(Tree& tree) {
    ScopeInit init;
    for (const auto& [name, variable] : names_.variables) {
      if (variable.load == Load::kParameter) continue;
      if (variable.load == Load::kNothing) {
        init.slots.push_back({.slot = variable.slot, .from = SlotInit::kUndefined, .source = {}});
      } else if (variable.load == Load::kOuter) {
        init.slots.push_back({variable.slot, SlotInit::kAlias, OuterRef(tree, name)});
      } else if (names_.stored.contains(name)) {
        init.slots.push_back({variable.slot, SlotInit::kAlias, ContextRef(tree, name)});
      }
    }
    return init;
  }

  Function& function() { return function_; }

 private:
  static Ref ContextRef(Tree& tree, std::string_view name) {
    for (uint32_t i = 0; i < tree.context.size(); ++i) {
      if (tree.context[i] == name) return {Ref::kContext, i};
    }
    tree.context.push_back(name);
    return {Ref::kContext, static_cast<uint32_t>(tree.context.size() - 1)};
  }
  Ref OuterRef(Tree& tree, std::string_view name) {
    Ref ref = parent_->RefOf(tree, name);
    if (ref.place == Ref::kLocal && &parent_->function_ != &function_) ref.place = Ref::kRoot;
    return ref;
  }

  void Define(std::string_view name, Load load) {
    const auto [slot, is_new] = slots_.try_emplace(name, function_.num_slots);
    if (is_new) ++function_.num_slots;
    if (slots_.size() > kMaxNames) throw UserError({.what = "a template with too many variables"});
    names_.variables[name] = {slot->second, load};
  }
  void Store(std::string_view name) {
    names_.stored.insert(name);
    if (names_.variables.contains(name)) return;
    const bool outside = parent_ != nullptr && parent_->FindOwner(name) != nullptr;
    Define(name, outside ? Load::kOuter : Load::kNothing);
  }

  void VisitStmt(const Stmt& stmt) {
    switch (stmt.tag) {
      case Tag::kPrint:
      case Tag::kFor:  // its sequence; the rest has scopes of its own
      case Tag::kFilterBlock:
        VisitExpr(stmt.expr);
        break;
      case Tag::kSet:
        VisitExpr(stmt.expr);
        VisitTarget(*stmt.target, false);
        break;
      case Tag::kSetBlock:
        VisitTarget(*stmt.target, false);
        break;
      case Tag::kMacro:
        Store(stmt.definition->name);
        break;
      case Tag::kWith:
        for (const auto& assignment : stmt.assignments) VisitExpr(assignment.second);
        break;
      case Tag::kIf:
        VisitIf(stmt, 0);
        break;
      default:
        break;
    }
  }

  // Branch `index` and what follows it, as Jinja sees an `if`: three ways, of which `elif` is one.
  void VisitIf(const Stmt& stmt, size_t index) {
    VisitExpr(stmt.branches[index].test);
    const Names before = names_;
    VisitBlock(stmt.branches[index].body);
    const Names body = std::exchange(names_, before);
    Names otherwise[2] = {before, before};
    if (index == 0) {
      for (size_t i = 1; i < stmt.branches.size(); ++i) VisitIf(stmt, i);
      otherwise[0] = std::exchange(names_, before);
      VisitBlock(stmt.otherwise);
      otherwise[1] = std::exchange(names_, before);
    }
    MergeBranches({&body, &otherwise[0], &otherwise[1]});
  }

  void MergeBranches(std::initializer_list<const Names*> branches) {
    std::map<std::string_view, size_t> counts;
    for (const Names* branch : branches) {
      for (const std::string_view name : branch->stored) {
        if (!names_.stored.contains(name)) ++counts[name];
      }
    }
    for (const Names* branch : branches) {
      for (const auto& [name, variable] : branch->variables) names_.variables[name] = variable;
      names_.stored.insert(branch->stored.begin(), branch->stored.end());
    }
    for (const auto& [name, count] : counts) {
      if (count == branches.size()) continue;
      // stored on some ways only: on the others it is what it was outside
      const bool outside = parent_ != nullptr && parent_->FindOwner(name) != nullptr;
      names_.variables[name].load = outside ? Load::kOuter : Load::kContext;
    }
  }

  Scope* parent_;
  Function& function_;
  Names names_;
  std::map<std::string_view, uint32_t> slots_;
};

// Second pass: with the names of a scope known, gives the expressions in it their places and enters
// the scopes inside.
class Resolver {
 public:
  explicit Resolver(Tree& tree) : tree_(tree) {}

  void Run() {
    Function root{.is_root = true};
    Scope scope(nullptr, root);
    scope.VisitBlock(tree_.body);
    ResolveBlock(tree_.body, scope);
    tree_.scope = scope.Init(tree_);
    tree_.num_slots = root.num_slots;
  }

 private:
  void ResolveBlock(const Block& block, Scope& scope) {
    for (Stmt* stmt : block) ResolveStmt(*stmt, scope);
  }

  void ResolveExpr(Expr* expr, Scope& scope) {
    if (expr == nullptr) return;
    if (expr->op == Op::kName) {
      static constexpr std::string_view kUnsupported[] = {"varargs", "kwargs", "caller"};
      for (const std::string_view name : kUnsupported) {
        if (expr->name == name && !scope.function().is_root) {
          throw UserError({.what = fmt::format("'{}' in a macro, which is not supported", name),
                           .where = fmt::format("{}:{}", tree_.name, expr->line)});
        }
      }
      if (scope.FindOwner(expr->name) == nullptr) scope.VisitExpr(expr);
      expr->ref = scope.RefOf(tree_, expr->name);
    }
    for (Expr* child : expr->children) ResolveExpr(child, scope);
    for (auto& keyword : expr->keywords) ResolveExpr(keyword.second, scope);
  }

  // A scope inside `outer`, of the same function, with those statements.
  ScopeInit ResolveInner(const Block& block, Scope& outer) {
    Scope inner(&outer, outer.function());
    inner.VisitBlock(block);
    ResolveBlock(block, inner);
    return inner.Init(tree_);
  }

  void ResolveStmt(Stmt& stmt, Scope& scope) {
    switch (stmt.tag) {
      case Tag::kPrint:
        ResolveExpr(stmt.expr, scope);
        break;
      case Tag::kIf:
        for (Branch& branch : stmt.branches) {
          ResolveExpr(branch.test, scope);
          ResolveBlock(branch.body, scope);
        }
        ResolveBlock(stmt.otherwise, scope);
        break;
      case Tag::kFor:
        ResolveFor(stmt, scope);
        break;
      case Tag::kSet:
        ResolveExpr(stmt.expr, scope);
        ResolveExpr(stmt.target, scope);
        break;
      case Tag::kSetBlock:
        ResolveExpr(stmt.expr, scope);
        ResolveExpr(stmt.target, scope);
        stmt.scope = ResolveInner(stmt.body, scope);
        break;
      case Tag::kMacro:
        stmt.macro_ref = scope.RefOf(tree_, stmt.definition->name);
        ResolveMacro(*stmt.definition, scope);
        break;
      case Tag::kFilterBlock:
        ResolveExpr(stmt.expr, scope);
        [[fallthrough]];
      case Tag::kGeneration:
        stmt.scope = ResolveInner(stmt.body, scope);
        break;
      case Tag::kWith:
        ResolveWith(stmt, scope);
        break;
      default:
        break;
    }
  }

  void ResolveFor(Stmt& stmt, Scope& scope) {
    ResolveExpr(stmt.expr, scope);
    Scope body(&scope, scope.function());
    if (stmt.uses_loop) body.DeclareParameter("loop");
    body.VisitTarget(*stmt.target, true);
    body.VisitBlock(stmt.body);
    if (stmt.uses_loop) stmt.loop_slot = body.SlotOf("loop");
    ResolveExpr(stmt.target, body);
    ResolveBlock(stmt.body, body);
    stmt.scope = body.Init(tree_);
    if (stmt.test != nullptr) {
      Scope test(&scope, scope.function());
      test.VisitTarget(*stmt.test_target, true);
      test.VisitExpr(stmt.test);
      ResolveExpr(stmt.test_target, test);
      ResolveExpr(stmt.test, test);
      stmt.test_scope = test.Init(tree_);
    }
    stmt.else_scope = ResolveInner(stmt.otherwise, scope);
  }

  void ResolveWith(Stmt& stmt, Scope& scope) {
    Scope inner(&scope, scope.function());
    for (const auto& [target, value] : stmt.assignments) {
      ResolveExpr(value, scope);
      inner.VisitTarget(*target, true);
    }
    inner.VisitBlock(stmt.body);
    for (const auto& assignment : stmt.assignments) ResolveExpr(assignment.first, inner);
    ResolveBlock(stmt.body, inner);
    stmt.scope = inner.Init(tree_);
  }

  void ResolveMacro(MacroDefinition& macro, Scope& scope) {
    Function function;
    Scope inner(&scope, function);
    for (const auto& parameter : macro.parameters) inner.DeclareParameter(parameter.first);
    for (const auto& parameter : macro.parameters) inner.VisitExpr(parameter.second);
    inner.VisitBlock(macro.body);
    for (const auto& [name, fallback] : macro.parameters) {
      ResolveExpr(fallback, inner);
      macro.slots.push_back(inner.SlotOf(name));
    }
    ResolveBlock(macro.body, inner);
    macro.scope = inner.Init(tree_);
    macro.num_slots = function.num_slots;
  }

  Tree& tree_;
};
}  // namespace

void ResolveNames(Tree& tree) { Resolver(tree).Run(); }

}  // namespace pawl::text::jinja
