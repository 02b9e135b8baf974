// A parsed template: expressions and statements that own each other through the tree, immutable
// once jinja_scope.h has given every variable its place. Read by any number of renderings at once.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace pawl::text::jinja {

struct Filter;
struct Test;

// Where a variable lies: in the frame of the function that runs (the template or a macro), in the
// template's, or among the values that the caller gave.
struct Ref {
  enum Place : uint8_t { kLocal, kRoot, kContext };
  Place place = kContext;
  uint32_t index = 0;
};

enum class Op : uint8_t {
  kConst,
  kName,
  kAttribute,  // a.name
  kItem,       // a[b]
  kSlice,      // a[b:c:d]; missing parts are null
  kCall,
  kFilter,  // children: value (null in a filter block), arguments
  kTest,    // children: value, arguments
  kNot,
  kNegate,
  kPlus,
  kAnd,
  kOr,
  kCompare,  // children: the operands; comparisons between them
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kConcat,     // ~
  kCondition,  // children: test, then, else or null
  kList,
  kTuple,
  kDict,                // children: key, value, key, value, ...
  kNamespaceAttribute,  // only as a target: a.name
};
enum class Comparison : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

struct Expr {
  Op op = Op::kConst;
  int line = 0;
  int depth = 1;                   // levels below and with this one
  Value constant;                  // kConst
  std::string_view name;           // kName, kAttribute, kFilter, kTest, kNamespaceAttribute
  int method = 0;                  // kAttribute: the method of that name, 0 if there is none
  Ref ref;                         // kName, and the namespace of kNamespaceAttribute
  const Filter* filter = nullptr;  // null: there is no such filter
  const Test* test = nullptr;
  std::vector<Expr*> children;                               // positional arguments last
  std::vector<std::pair<std::string_view, Expr*>> keywords;  // kCall, kFilter, kTest
  std::vector<Comparison> comparisons;
};

struct Stmt;
using Block = std::vector<Stmt*>;

// What entering a scope does to the slots of its variables.
struct SlotInit {
  enum From : uint8_t { kUndefined, kAlias };
  uint32_t slot = 0;
  From from = kUndefined;
  Ref source;
};
struct ScopeInit {
  std::vector<SlotInit> slots;
};

enum class Tag : uint8_t {
  kText,
  kPrint,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kGeneration,
  kFilterBlock,
  kWith,
  kBreak,
  kContinue,
};

struct Branch {
  Expr* test = nullptr;
  Block body;
};

struct MacroDefinition {
  std::string_view name;
  std::vector<std::pair<std::string_view, Expr*>> parameters;  // name, default or null
  std::vector<uint32_t> slots;                                 // of the parameters
  uint32_t num_slots = 0;
  ScopeInit scope;
  Block body;
};

struct Stmt {
  Tag tag = Tag::kText;
  int line = 0;
  std::string_view text;         // kText
  Expr* expr = nullptr;          // kPrint, kSet's value, kFor's sequence, the filters of blocks
  Expr* target = nullptr;        // kSet, kSetBlock, kFor: a name, a tuple of names, ns.name
  Expr* test = nullptr;          // kFor
  std::vector<Branch> branches;  // kIf
  Block body, otherwise;         // otherwise: else of kIf and kFor
  std::vector<std::pair<Expr*, Expr*>> assignments;  // kWith
  bool uses_loop = false;                            // kFor
  uint32_t loop_slot = 0;
  int loop_depth = 0;                           // kFor: loops around it
  ScopeInit scope, test_scope, else_scope;      // of the body, of kFor's test and else
  Expr* test_target = nullptr;                  // kFor: the target in the scope of the test
  std::unique_ptr<MacroDefinition> definition;  // kMacro
  Ref macro_ref;
};

struct Tree {
  std::deque<Expr> exprs;
  std::deque<Stmt> stmts;
  std::deque<std::string> texts;
  std::string name;  // of the template, for messages
  Block body;
  ScopeInit scope;
  uint32_t num_slots = 0;
  std::vector<std::string_view> context;  // names that are taken from the caller's values
};

}  // namespace pawl::text::jinja
