// What Python's operators and built-ins do with values: truth, equality, order, arithmetic,
// subscripts, str, repr and json.dumps. Pure but for the memory they take from the runtime; each
// throws UserError where Python raises. Undefined values behave as Jinja's plain Undefined: empty
// when printed, iterated or tested, an error otherwise.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_runtime.h"
#include "text/jinja_tree.h"
#include "text/jinja_value.h"

namespace pawl::text::jinja {

const char* TypeName(Kind kind);
bool Truthy(const Value& value);
bool Equal(Runtime& runtime, const Value& a, const Value& b, int depth = 0);
// a < b (or <= where `or_equal`).
bool Less(Runtime& runtime, const Value& a, const Value& b, bool or_equal, int depth = 0);
bool Compare(Runtime& runtime, Comparison comparison, const Value& a, const Value& b);
bool Contains(Runtime& runtime, const Value& container, const Value& item);
// kAdd .. kPower.
Value Arithmetic(Runtime& runtime, Op op, const Value& a, const Value& b);
Value Negate(Runtime& runtime, const Value& value, bool positive);

// Of what iter() takes; a string's are its characters, a dictionary's its keys. An iterator is used
// up.
std::span<const Value> ItemsOf(Runtime& runtime, const Value& value);
int64_t LengthOf(Runtime& runtime, const Value& value);
// obj.name and obj[key]; undefined where there is none. `method`: MethodNamed(name).
Value Attribute(Runtime& runtime, const Value& object, std::string_view name, int method);
Value Item(Runtime& runtime, const Value& object, const Value& key);
// obj[a:b:c], None where left out.
Value Slice(Runtime& runtime, const Value& object, const Value (&bounds)[3]);

void AppendText(Runtime& runtime, std::string& out, const Value& value);  // str()
void AppendRepr(Runtime& runtime, std::string& out, const Value& value, int depth = 0);
// str(): the string itself, or a copy.
std::string_view TextOf(Runtime& runtime, const Value& value);
// Python's text % value and text.format(..).
std::string PercentFormat(Runtime& runtime, std::string_view format, const Value& value);
std::string BraceFormat(Runtime& runtime, std::string_view format, const Args& args);
std::string EscapedHtml(std::string_view text);

struct JsonStyle {
  bool ensure_ascii = false;
  bool has_indent = false;
  std::string indent;  // of one level
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};
void AppendJson(Runtime& runtime, std::string& out, const Value& value, const JsonStyle& style,
                int depth = 0);

// sorted(items, key=..): stable; `keys` beside the items.
std::vector<size_t> SortedOrder(Runtime& runtime, std::span<const Value> keys, bool reverse);

}  // namespace pawl::text::jinja
