#include "text/jinja_parser.h"

#include <algorithm>

#include "core/error.h"
#include "text/jinja_scope.h"

namespace pawl::text::jinja {
namespace {

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;
  Block ParseTemplate() { return ParseBlock({}, ""); }

 private:
  struct BlockEnd {
    std::vector<std::string_view> names;
    bool Has(std::string_view name) const {
      return std::find(names.begin(), names.end(), name) != names.end();
    }
  };

  Stmt* NewStmt(Tag tag, int line) {
    Stmt& stmt = tree_.stmts.emplace_back();
    stmt.tag = tag;
    stmt.line = line;
    return &stmt;
  }

  // Statements up to a tag of one of those names, which becomes the current token.
  Block ParseBlock(const BlockEnd& end, std::string_view inside) {
    const Nesting nesting(*this);
    Block block;
    while (current().kind != TokenKind::kEnd) {
      const Token token = Take();
      if (token.kind == TokenKind::kData) {
        Stmt* text = NewStmt(Tag::kText, token.line);
        text->text = token.text;
        block.push_back(text);
      } else if (token.kind == TokenKind::kVariableBegin) {
        Stmt* print = NewStmt(Tag::kPrint, token.line);
        print->expr = ParseTuple({});
        block.push_back(print);
        if (current().kind != TokenKind::kVariableEnd) FailToken("'}}'");
        Take();
      } else {
        if (current().kind != TokenKind::kName) FailToken("the name of a tag");
        if (end.Has(current().text)) return block;
        ParseStatement(block, inside);
        ExpectBlockEnd();
      }
    }
    if (!end.names.empty()) {
      Fail(fmt::format("a '{}' without its end '{}'", inside, end.names.back()));
    }
    return block;
  }

  void ExpectBlockEnd() {
    if (current().kind != TokenKind::kBlockEnd) FailToken("'%}'");
    Take();
  }
  // The rest of an opening tag, and what stands between it and one of the tags of `end`.
  Block ParseBody(const BlockEnd& end, std::string_view inside) {
    SkipOperator(":");
    ExpectBlockEnd();
    return ParseBlock(end, inside);
  }
  // The same up to `end`, whose name is taken.
  Block ParseBodyTo(std::string_view end, std::string_view inside) {
    Block body = ParseBody({{end}}, inside);
    Take();
    return body;
  }

  void ParseStatement(Block& block, std::string_view inside) {
    const Token tag = Take();
    if (tag.text == "if") return block.push_back(ParseIf(tag.line));
    if (tag.text == "for") return block.push_back(ParseFor(tag.line));
    if (tag.text == "set") return block.push_back(ParseSet(tag.line));
    if (tag.text == "macro") return block.push_back(ParseMacro(tag.line));
    if (tag.text == "generation") return block.push_back(ParseGeneration(tag.line));
    if (tag.text == "filter") return block.push_back(ParseFilterBlock(tag.line));
    if (tag.text == "with") return block.push_back(ParseWith(tag.line));
    if (tag.text == "print") return ParsePrint(block, tag.line);
    if (tag.text == "break" || tag.text == "continue") {
      if (loops_ == 0) FailAt(tag.line, fmt::format("a '{}' outside of a loop", tag.text));
      return block.push_back(NewStmt(tag.text == "break" ? Tag::kBreak : Tag::kContinue, tag.line));
    }
    static constexpr std::string_view kUnsupported[] = {"block", "extends",    "include", "import",
                                                        "from",  "autoescape", "call"};
    if (std::find(std::begin(kUnsupported), std::end(kUnsupported), tag.text) !=
        std::end(kUnsupported)) {
      FailAt(tag.line, fmt::format("the tag '{}', which is not supported", tag.text));
    }
    FailAt(tag.line, inside.empty() ? fmt::format("the unknown tag '{}'", tag.text.substr(0, 40))
                                    : fmt::format("the unknown tag '{}' in a '{}'",
                                                  tag.text.substr(0, 40), inside));
  }

  Stmt* ParseIf(int line) {
    Stmt* stmt = NewStmt(Tag::kIf, line);
    const BlockEnd ends{{"elif", "else", "endif"}};
    ++conditions_;
    while (true) {
      Branch branch;
      branch.test = ParseTuple({.with_condition = false});
      branch.body = ParseBody(ends, "if");
      stmt->branches.push_back(std::move(branch));
      const std::string_view tag = Take().text;
      if (tag == "elif") continue;
      if (tag == "else") stmt->otherwise = ParseBodyTo("endif", "if");
      break;
    }
    --conditions_;
    return stmt;
  }

  // The names of a target again, to have other places in another scope.
  Expr* CloneTarget(const Expr& target) {
    Expr* clone = New(target.op, target.line);
    clone->name = target.name;
    for (const Expr* child : target.children) clone->children.push_back(CloneTarget(*child));
    return clone;
  }

  Stmt* ParseFor(int line) {
    Stmt* stmt = NewStmt(Tag::kFor, line);
    stmt->target = ParseTarget({.targets = true, .end_name = "in"});
    if (stmt->target->op == Op::kNamespaceAttribute) {
      FailAt(line, "an attribute as the variable of a loop");
    }
    if (!SkipName("in")) FailToken("'in'");
    stmt->expr = ParseTuple({.with_condition = false, .end_name = "recursive"});
    if (SkipName("if")) {
      stmt->test = ParseExpression();
      stmt->test_target = CloneTarget(*stmt->target);
    }
    if (IsName("recursive")) Fail("a recursive loop, which is not supported");
    stmt->loop_depth = loops_;
    const int64_t names = loop_names_;
    ++loops_;
    stmt->body = ParseBody({{"else", "endfor"}}, "for");
    --loops_;
    stmt->uses_loop = loop_names_ > names;
    if (Take().text == "else") stmt->otherwise = ParseBodyTo("endfor", "for");
    return stmt;
  }

  Stmt* ParseSet(int line) {
    Stmt* stmt = NewStmt(Tag::kSet, line);
    stmt->target = ParseTarget({.targets = true});
    if (SkipOperator("=")) {
      stmt->expr = ParseTuple({});
      return stmt;
    }
    stmt->tag = Tag::kSetBlock;
    if (IsOperator("|")) stmt->expr = ParseFilters(nullptr);
    stmt->body = ParseBodyTo("endset", "set");
    return stmt;
  }

  Stmt* ParseMacro(int line) {
    if (macros_ > 0) FailAt(line, "a macro inside a macro, which is not supported");
    Stmt* stmt = NewStmt(Tag::kMacro, line);
    stmt->definition = std::make_unique<MacroDefinition>();
    MacroDefinition& macro = *stmt->definition;
    macro.name = ExpectName("the name of the macro");
    ExpectOperator("(");
    while (!IsOperator(")")) {
      if (!macro.parameters.empty()) ExpectOperator(",");
      const std::string_view name = ExpectName("the name of a parameter");
      Expr* fallback = SkipOperator("=") ? ParseExpression() : nullptr;
      if (fallback == nullptr && !macro.parameters.empty() &&
          macro.parameters.back().second != nullptr) {
        Fail("a parameter without a default after one with a default");
      }
      for (const auto& other : macro.parameters) {
        if (other.first == name) Fail(fmt::format("the parameter '{}' twice", name));
      }
      macro.parameters.emplace_back(name, fallback);
    }
    ExpectOperator(")");
    const int loops = std::exchange(loops_, 0);
    ++macros_;
    macro.body = ParseBodyTo("endmacro", "macro");
    --macros_;
    loops_ = loops;
    return stmt;
  }

  Stmt* ParseGeneration(int line) {
    Stmt* stmt = NewStmt(Tag::kGeneration, line);
    // its body is a function of its own to Jinja: no loop can be left from within
    const int loops = std::exchange(loops_, 0);
    stmt->body = ParseBodyTo("endgeneration", "generation");
    loops_ = loops;
    return stmt;
  }

  Stmt* ParseFilterBlock(int line) {
    Stmt* stmt = NewStmt(Tag::kFilterBlock, line);
    stmt->expr = ParseFilters(ParseFilter(nullptr));
    stmt->body = ParseBodyTo("endfilter", "filter");
    return stmt;
  }

  Stmt* ParseWith(int line) {
    Stmt* stmt = NewStmt(Tag::kWith, line);
    while (current().kind != TokenKind::kBlockEnd) {
      if (!stmt->assignments.empty()) ExpectOperator(",");
      Expr* target = ParseTarget({.targets = true});
      ExpectOperator("=");
      stmt->assignments.emplace_back(target, ParseExpression());
    }
    stmt->body = ParseBodyTo("endwith", "with");
    return stmt;
  }

  void ParsePrint(Block& block, int line) {
    while (current().kind != TokenKind::kBlockEnd) {
      Stmt* print = NewStmt(Tag::kPrint, line);
      print->expr = ParseExpression();
      block.push_back(print);
      if (current().kind != TokenKind::kBlockEnd) ExpectOperator(",");
    }
  }

  int loops_ = 0, macros_ = 0;
};
}  // namespace

std::unique_ptr<const Tree> Parse(std::string_view source, const std::string& name) {
  constexpr size_t kMaxBytes = 4 << 20;
  if (source.size() > kMaxBytes) {
    throw UserError({.what = fmt::format("a template of {} bytes", source.size()),
                     .where = name,
                     .expected = fmt::format("at most {}", kMaxBytes)});
  }
  auto tree = std::make_unique<Tree>();
  tree->name = name;
  std::vector<Token> tokens = Tokenize(source, name, tree->texts);
  tree->body = Parser(*tree, std::move(tokens)).ParseTemplate();
  ResolveNames(*tree);
  return tree;
}

}  // namespace pawl::text::jinja
