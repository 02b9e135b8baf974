// A template's text as a tree. Statements and expressions are Jinja's; what Pawl does not have is
// refused by name and line.
#pragma once
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_lexer.h"
#include "text/jinja_tree.h"

namespace pawl::text::jinja {

// Throws UserError "<what> [at <name>:<line>]".
std::unique_ptr<const Tree> Parse(std::string_view source, const std::string& name);

// The half of the parser that reads expressions; the other half (jinja_parser.cc) reads statements.
class ExpressionParser {
 public:
  ExpressionParser(Tree& tree, std::vector<Token> tokens)
      : tree_(tree), tokens_(std::move(tokens)) {}

 protected:
  // What may stand in the place of a tuple: see Jinja's grammar.
  struct TupleRules {
    bool targets = false;        // names and ns.name only
    bool with_condition = true;  // "a if b else c" is one expression
    bool parenthesised = false;  // the empty tuple is one
    std::string_view end_name;   // ends the tuple beside the ends of tags
  };
  Expr* ParseTuple(const TupleRules& rules);
  Expr* ParseExpression(bool with_condition = true);
  // A chain of filters on `value`, which is null for the text of a block.
  Expr* ParseFilters(Expr* value);
  // A filter whose name is next, without its '|'.
  Expr* ParseFilter(Expr* value);
  Expr* ParseTarget(const TupleRules& rules);

  const Token& current() const { return tokens_[at_]; }
  const Token& next(size_t ahead = 1) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token Take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool IsName(std::string_view name) const {
    return current().kind == TokenKind::kName && current().text == name;
  }
  bool IsOperator(std::string_view op) const {
    return current().kind == TokenKind::kOperator && current().text == op;
  }
  bool SkipName(std::string_view name);
  bool SkipOperator(std::string_view op);
  void ExpectOperator(std::string_view op);
  std::string_view ExpectName(std::string_view what);
  [[noreturn]] void Fail(const std::string& what) const { FailAt(current().line, what); }
  [[noreturn]] void FailAt(int line, const std::string& what) const;
  [[noreturn]] void FailToken(std::string_view expected) const;
  Expr* New(Op op, int line, std::vector<Expr*> children = {});

  // Counts levels of what the parser calls itself for.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser);
    ~Nesting() { --parser_.nesting_; }

   private:
    ExpressionParser& parser_;
  };

  Tree& tree_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  int conditions_ = 0;      // `if`s around: an unknown filter there fails when it is reached
  int64_t loop_names_ = 0;  // uses of the name `loop` so far

 private:
  struct BinaryOperator {
    std::string_view text;
    Op op;
  };
  // "a op b op c" as "(a op b) op c".
  template <class Operand>
  Expr* ParseFromLeft(std::initializer_list<BinaryOperator> operators, const Operand& operand);
  Expr* ParseCondition();
  Expr* ParseOr();
  Expr* ParseAnd();
  Expr* ParseNot();
  Expr* ParseCompare();
  Expr* ParseSum();
  Expr* ParseConcat();
  Expr* ParseProduct();
  Expr* ParsePower();
  Expr* ParseUnary(bool with_filters);
  Expr* ParsePrimary(bool with_namespace);
  Expr* ParsePostfix(Expr* value);
  Expr* ParseFilterChain(Expr* value);
  Expr* ParseSubscript(Expr* value);
  Expr* ParseSubscripted();
  Expr* ParseTest(Expr* value);
  Expr* ParseList();
  Expr* ParseDict();
  // Adds arguments in parentheses to a call, filter or test.
  void ParseArgs(Expr& call);
  std::string_view ParseDottedName();
  void CheckDepth(const Expr& expr) const;
};

}  // namespace pawl::text::jinja
