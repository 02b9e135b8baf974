#include <algorithm>

#include "core/error.h"
#include "text/jinja_filters.h"
#include "text/jinja_methods.h"
#include "text/jinja_parser.h"

namespace pawl::text::jinja {
namespace {
// parentheses and tags inside each other; a pair of parentheses counts three times
constexpr int kMaxNesting = 300;
constexpr int kMaxDepth = 500;  // of an expression; a sum of 500 terms has that
}  // namespace

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.nesting_ > kMaxNesting) {
    --parser_.nesting_;
    parser_.Fail("expressions or tags nested too deep");
  }
}

void ExpressionParser::FailAt(int line, const std::string& what) const {
  throw UserError({.what = what, .where = fmt::format("{}:{}", tree_.name, line)});
}

void ExpressionParser::FailToken(std::string_view expected) const {
  const Token& token = current();
  std::string found;
  switch (token.kind) {
    case TokenKind::kVariableEnd:
    case TokenKind::kBlockEnd:
      found = "the end of the tag";
      break;
    case TokenKind::kEnd:
      found = "the end of the template";
      break;
    case TokenKind::kString:
      found = "a string";
      break;
    default:
      found = fmt::format("'{}'", token.text.substr(0, 40));
  }
  throw UserError({.what = found,
                   .where = fmt::format("{}:{}", tree_.name, token.line),
                   .expected = std::string(expected)});
}

void ExpressionParser::CheckDepth(const Expr& expr) const {
  if (expr.depth > kMaxDepth) FailAt(expr.line, "an expression that is too deep");
}

Expr* ExpressionParser::New(Op op, int line, std::vector<Expr*> children) {
  Expr& expr = tree_.exprs.emplace_back();
  expr.op = op;
  expr.line = line;
  for (const Expr* child : children) {
    if (child != nullptr) expr.depth = std::max(expr.depth, child->depth + 1);
  }
  expr.children = std::move(children);
  CheckDepth(expr);
  return &expr;
}

bool ExpressionParser::SkipName(std::string_view name) {
  if (!IsName(name)) return false;
  Take();
  return true;
}
bool ExpressionParser::SkipOperator(std::string_view op) {
  if (!IsOperator(op)) return false;
  Take();
  return true;
}
void ExpressionParser::ExpectOperator(std::string_view op) {
  if (!SkipOperator(op)) FailToken(fmt::format("'{}'", op));
}
std::string_view ExpressionParser::ExpectName(std::string_view what) {
  if (current().kind != TokenKind::kName) FailToken(what);
  return Take().text;
}

template <class Operand>
Expr* ExpressionParser::ParseFromLeft(std::initializer_list<BinaryOperator> operators,
                                      const Operand& operand) {
  Expr* left = operand();
  while (true) {
    const auto* found = std::ranges::find_if(operators, [this](const BinaryOperator& op) {
      return IsOperator(op.text) || IsName(op.text);
    });
    if (found == operators.end()) return left;
    const int line = Take().line;
    left = New(found->op, line, {left, operand()});
  }
}

Expr* ExpressionParser::ParseTuple(const TupleRules& rules) {
  const int line = current().line;
  std::vector<Expr*> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) ExpectOperator(",");
    const bool ends = current().kind == TokenKind::kVariableEnd ||
                      current().kind == TokenKind::kBlockEnd || IsOperator(")") ||
                      (!rules.end_name.empty() && IsName(rules.end_name));
    if (ends) break;
    items.push_back(rules.targets ? ParsePrimary(true) : ParseExpression(rules.with_condition));
    if (!IsOperator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return items[0];
  if (!is_tuple && !rules.parenthesised) FailToken("an expression");
  return New(Op::kTuple, line, std::move(items));
}

Expr* ExpressionParser::ParseTarget(const TupleRules& rules) {
  Expr* target = ParseTuple(rules);
  const auto check = [&](const Expr& e) {
    if (e.op != Op::kName && e.op != Op::kNamespaceAttribute) {
      FailAt(e.line, "a target that nothing can be assigned to");
    }
    if (e.op == Op::kName && e.name == "loop") FailAt(e.line, "an assignment to 'loop'");
  };
  if (target->op != Op::kTuple) {
    check(*target);
  } else {
    // a tuple inside a tuple needs parentheses, which primaries read
    std::vector<const Expr*> left = {target};
    while (!left.empty()) {
      const Expr* expr = left.back();
      left.pop_back();
      for (const Expr* child : expr->children) {
        if (child->op == Op::kTuple) {
          left.push_back(child);
        } else {
          check(*child);
        }
      }
    }
  }
  return target;
}

Expr* ExpressionParser::ParseExpression(bool with_condition) {
  const Nesting nesting(*this);
  return with_condition ? ParseCondition() : ParseOr();
}

Expr* ExpressionParser::ParseCondition() {
  Expr* expr = ParseOr();
  while (IsName("if")) {
    const int line = Take().line;
    ++conditions_;
    Expr* test = ParseOr();
    Expr* otherwise = SkipName("else") ? ParseExpression() : nullptr;
    --conditions_;
    expr = New(Op::kCondition, line, {test, expr, otherwise});
  }
  return expr;
}

Expr* ExpressionParser::ParseOr() {
  return ParseFromLeft({{"or", Op::kOr}}, [this] { return ParseAnd(); });
}

Expr* ExpressionParser::ParseAnd() {
  return ParseFromLeft({{"and", Op::kAnd}}, [this] { return ParseNot(); });
}

Expr* ExpressionParser::ParseNot() {
  if (!IsName("not")) return ParseCompare();
  const Nesting nesting(*this);
  const int line = Take().line;
  return New(Op::kNot, line, {ParseNot()});
}

Expr* ExpressionParser::ParseCompare() {
  static constexpr std::pair<std::string_view, Comparison> kOperators[] = {
      {"==", Comparison::kEq}, {"!=", Comparison::kNe}, {"<", Comparison::kLt},
      {"<=", Comparison::kLe}, {">", Comparison::kGt},  {">=", Comparison::kGe}};
  const int line = current().line;
  std::vector<Expr*> operands = {ParseSum()};
  std::vector<Comparison> comparisons;
  while (true) {
    const auto* found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [&](const auto& op) { return IsOperator(op.first); });
    if (found != std::end(kOperators)) {
      comparisons.push_back(found->second);
      Take();
    } else if (IsName("in")) {
      comparisons.push_back(Comparison::kIn);
      Take();
    } else if (IsName("not") && next().kind == TokenKind::kName && next().text == "in") {
      comparisons.push_back(Comparison::kNotIn);
      Take();
      Take();
    } else {
      break;
    }
    operands.push_back(ParseSum());
  }
  if (comparisons.empty()) return operands[0];
  Expr* expr = New(Op::kCompare, line, std::move(operands));
  expr->comparisons = std::move(comparisons);
  return expr;
}

Expr* ExpressionParser::ParseSum() {
  return ParseFromLeft({{"+", Op::kAdd}, {"-", Op::kSubtract}}, [this] { return ParseConcat(); });
}

Expr* ExpressionParser::ParseConcat() {
  const int line = current().line;
  std::vector<Expr*> parts = {ParseProduct()};
  while (SkipOperator("~")) parts.push_back(ParseProduct());
  return parts.size() == 1 ? parts[0] : New(Op::kConcat, line, std::move(parts));
}

Expr* ExpressionParser::ParseProduct() {
  return ParseFromLeft(
      {{"*", Op::kMultiply}, {"/", Op::kDivide}, {"//", Op::kFloorDivide}, {"%", Op::kModulo}},
      [this] { return ParsePower(); });
}

Expr* ExpressionParser::ParsePower() {
  return ParseFromLeft({{"**", Op::kPower}}, [this] { return ParseUnary(true); });
}

Expr* ExpressionParser::ParseUnary(bool with_filters) {
  const Nesting nesting(*this);
  Expr* value = nullptr;
  if (IsOperator("-") || IsOperator("+")) {
    const Token sign = Take();
    value = New(sign.text == "-" ? Op::kNegate : Op::kPlus, sign.line, {ParseUnary(false)});
  } else {
    value = ParsePrimary(false);
  }
  value = ParsePostfix(value);
  return with_filters ? ParseFilterChain(value) : value;
}

Expr* ExpressionParser::ParsePrimary(bool with_namespace) {
  const Token token = current();
  const auto constant = [&](const Value& value) {
    Expr* expr = New(Op::kConst, token.line);
    expr->constant = value;
    return expr;
  };
  if (token.kind == TokenKind::kName) {
    Take();
    if (token.text == "true" || token.text == "True") return constant(Value::Bool(true));
    if (token.text == "false" || token.text == "False") return constant(Value::Bool(false));
    if (token.text == "none" || token.text == "None") return constant(Value::None());
    const bool is_attribute = with_namespace && SkipOperator(".");
    Expr* expr = New(is_attribute ? Op::kNamespaceAttribute : Op::kName, token.line);
    expr->name = token.text;
    if (is_attribute) {
      // the namespace is the child, the attribute the name
      expr->children = {New(Op::kName, token.line)};
      expr->children[0]->name = token.text;
      expr->name = ExpectName("the name of an attribute");
    }
    loop_names_ += token.text == "loop" ? 1 : 0;
    return expr;
  }
  if (token.kind == TokenKind::kString) {
    std::string_view text = Take().text;
    if (current().kind == TokenKind::kString) {
      // literals side by side are one
      std::string joined(text);
      while (current().kind == TokenKind::kString) joined += Take().text;
      text = tree_.texts.emplace_back(std::move(joined));
    }
    return constant(Value::String(text));
  }
  if (token.kind == TokenKind::kInteger) {
    Take();
    return constant(Value::Int(token.integer));
  }
  if (token.kind == TokenKind::kFloat) {
    Take();
    return constant(Value::Float(token.real));
  }
  const Nesting nesting(*this);
  if (SkipOperator("(")) {
    Expr* expr = ParseTuple({.targets = false, .parenthesised = true});
    ExpectOperator(")");
    return expr;
  }
  if (IsOperator("[")) return ParseList();
  if (IsOperator("{")) return ParseDict();
  FailToken("an expression");
}

Expr* ExpressionParser::ParseList() {
  const int line = Take().line;
  std::vector<Expr*> items;
  while (!IsOperator("]")) {
    if (!items.empty()) ExpectOperator(",");
    if (IsOperator("]")) break;
    items.push_back(ParseExpression());
  }
  ExpectOperator("]");
  return New(Op::kList, line, std::move(items));
}

Expr* ExpressionParser::ParseDict() {
  const int line = Take().line;
  std::vector<Expr*> items;
  while (!IsOperator("}")) {
    if (!items.empty()) ExpectOperator(",");
    if (IsOperator("}")) break;
    items.push_back(ParseExpression());
    ExpectOperator(":");
    items.push_back(ParseExpression());
  }
  ExpectOperator("}");
  return New(Op::kDict, line, std::move(items));
}

Expr* ExpressionParser::ParsePostfix(Expr* value) {
  while (true) {
    if (IsOperator(".") || IsOperator("[")) {
      value = ParseSubscript(value);
    } else if (IsOperator("(")) {
      Expr* call = New(Op::kCall, current().line, {value});
      ParseArgs(*call);
      value = call;
    } else {
      return value;
    }
  }
}

Expr* ExpressionParser::ParseFilterChain(Expr* value) {
  while (true) {
    if (IsOperator("|")) {
      value = ParseFilters(value);
    } else if (IsName("is")) {
      value = ParseTest(value);
    } else if (IsOperator("(")) {
      Expr* call = New(Op::kCall, current().line, {value});
      ParseArgs(*call);
      value = call;
    } else {
      return value;
    }
  }
}

Expr* ExpressionParser::ParseSubscript(Expr* value) {
  const Token token = Take();
  if (token.text == ".") {
    if (current().kind == TokenKind::kInteger) {
      Expr* index = New(Op::kConst, token.line);
      index->constant = Value::Int(Take().integer);
      return New(Op::kItem, token.line, {value, index});
    }
    Expr* attribute = New(Op::kAttribute, token.line, {value});
    attribute->name = ExpectName("a name or a number");
    attribute->method = MethodNamed(attribute->name);
    return attribute;
  }
  std::vector<Expr*> keys;
  while (!IsOperator("]")) {
    if (!keys.empty()) ExpectOperator(",");
    keys.push_back(ParseSubscripted());
  }
  ExpectOperator("]");
  if (keys.size() == 1 && keys[0]->op == Op::kSlice) {
    keys[0]->children[0] = value;
    keys[0]->depth = std::max(keys[0]->depth, value->depth + 1);
    CheckDepth(*keys[0]);
    return keys[0];
  }
  for (const Expr* key : keys) {
    if (key->op == Op::kSlice && key->children[0] == nullptr) {
      FailAt(key->line, "a slice in a tuple of subscripts, which is not supported");
    }
  }
  Expr* key = keys.size() == 1 ? keys[0] : New(Op::kTuple, token.line, std::move(keys));
  return New(Op::kItem, token.line, {value, key});
}

Expr* ExpressionParser::ParseSubscripted() {
  const int line = current().line;
  Expr* bounds[3] = {};
  if (!IsOperator(":")) {
    bounds[0] = ParseExpression();
    if (!IsOperator(":")) return bounds[0];
  }
  Take();
  const auto ends = [&] { return IsOperator("]") || IsOperator(","); };
  if (!IsOperator(":") && !ends()) bounds[1] = ParseExpression();
  if (SkipOperator(":") && !ends()) bounds[2] = ParseExpression();
  return New(Op::kSlice, line, {nullptr, bounds[0], bounds[1], bounds[2]});
}

void ExpressionParser::ParseArgs(Expr& call) {
  ExpectOperator("(");
  bool first = true;
  while (!IsOperator(")")) {
    if (!first) {
      ExpectOperator(",");
      if (IsOperator(")")) break;
    }
    first = false;
    if (IsOperator("*") || IsOperator("**")) {
      Fail(fmt::format("arguments unpacked with '{}', which are not supported", current().text));
    }
    Expr* value = nullptr;
    const bool is_named = current().kind == TokenKind::kName &&
                          next().kind == TokenKind::kOperator && next().text == "=";
    if (is_named) {
      const std::string_view name = Take().text;
      Take();
      value = ParseExpression();
      for (const auto& keyword : call.keywords) {
        if (keyword.first == name) Fail(fmt::format("the argument '{}' given twice", name));
      }
      call.keywords.emplace_back(name, value);
    } else {
      if (!call.keywords.empty()) Fail("a positional argument after a named one");
      value = ParseExpression();
      call.children.push_back(value);
    }
    call.depth = std::max(call.depth, value->depth + 1);
  }
  ExpectOperator(")");
  CheckDepth(call);
}

std::string_view ExpressionParser::ParseDottedName() {
  std::string_view name = ExpectName("the name of a filter or test");
  while (SkipOperator(".")) {
    name = tree_.texts.emplace_back(fmt::format("{}.{}", name, ExpectName("a name")));
  }
  return name;
}

Expr* ExpressionParser::ParseFilters(Expr* value) {
  while (SkipOperator("|")) value = ParseFilter(value);
  return value;
}

Expr* ExpressionParser::ParseFilter(Expr* value) {
  const int line = current().line;
  const std::string_view name = ParseDottedName();
  Expr* filter = New(Op::kFilter, line, {value});
  filter->name = name;
  filter->filter = FindFilter(name);
  if (filter->filter == nullptr && conditions_ == 0) {
    FailAt(line, fmt::format("the filter '{}', which does not exist", name));
  }
  if (filter->filter != nullptr && filter->filter->apply == nullptr && conditions_ == 0) {
    FailAt(line, fmt::format("the filter '{}', which is not supported", name));
  }
  if (IsOperator("(")) ParseArgs(*filter);
  return filter;
}

Expr* ExpressionParser::ParseTest(Expr* value) {
  const int line = Take().line;
  const bool negated = SkipName("not");
  const std::string_view name = ParseDottedName();
  Expr* test = New(Op::kTest, line, {value});
  test->name = name;
  test->test = FindTest(name);
  if (test->test == nullptr && conditions_ == 0) {
    FailAt(line, fmt::format("the test '{}', which does not exist", name));
  }
  const TokenKind kind = current().kind;
  const bool takes_one =
      kind == TokenKind::kString || kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
      IsOperator("[") || IsOperator("{") ||
      (kind == TokenKind::kName && !IsName("else") && !IsName("or") && !IsName("and"));
  if (IsOperator("(")) {
    ParseArgs(*test);
  } else if (takes_one) {
    if (IsName("is")) Fail("a test of a test");
    Expr* argument = ParsePostfix(ParsePrimary(false));
    test->children.push_back(argument);
    test->depth = std::max(test->depth, argument->depth + 1);
    CheckDepth(*test);
  }
  return negated ? New(Op::kNot, line, {test}) : test;
}

}  // namespace pawl::text::jinja
