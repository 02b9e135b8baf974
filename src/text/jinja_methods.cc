#include "text/jinja_methods.h"

#include <algorithm>

#include "core/error.h"
#include "text/jinja_operators.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text::jinja {
namespace {

using Function = Value (*)(Runtime&, const Value& self, const Args&);

struct Method {
  std::string_view name;
  Function string = nullptr, dict = nullptr, list = nullptr, tuple = nullptr, loop = nullptr;
};

// Python has it: it may not be called (Unsafe), or Pawl has it not (Absent).
Value Unsafe(Runtime&, const Value&, const Args&) { return {}; }
Value Absent(Runtime& runtime, const Value& self, const Args&) {
  runtime.Fail(fmt::format("a method of {} that is not supported", TypeName(self.kind())));
}

std::string_view TextArg(Runtime& runtime, std::string_view function, const Value& value) {
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (!value.Is(Kind::kString)) {
    runtime.Fail(fmt::format("{}() of {}: it takes a string", function, TypeName(value.kind())));
  }
  return value.text();
}
int64_t IntArg(Runtime& runtime, std::string_view function, const Value& value) {
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (!value.is_integral()) {
    runtime.Fail(fmt::format("{}() of {}: it takes an integer", function, TypeName(value.kind())));
  }
  return value.integer();
}
void NoArgs(Runtime& runtime, std::string_view function, const Args& args) {
  BindArgs(runtime, function, args, {}, 0, nullptr, nullptr);
}
Value Part(const Value& self, std::string_view text) {
  return Value::String(text, self.is_markup());
}

// ---- str ----------------------------------------------------------------------------------------

template <std::string (*kConvert)(std::string_view)>
Value Convert(Runtime& runtime, const Value& self, const Args& args) {
  NoArgs(runtime, "str", args);
  runtime.StepBytes(self.size());
  return runtime.Text(kConvert(self.text()), self.is_markup());
}

template <bool kLeft, bool kRight>
Value StripSides(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "strip", args, {"chars"});
  std::string_view text = self.text();
  runtime.StepBytes(text.size());
  if (!bound.given[0] || bound[0].Is(Kind::kNone)) {
    if (kLeft) text = python::LeftStrip(text);
    if (kRight) text = python::RightStrip(text);
  } else {
    const std::string_view chars = TextArg(runtime, "strip", bound[0]);
    runtime.Step(static_cast<int64_t>(text.size()) * static_cast<int64_t>(chars.size()) / 64);
    if (kLeft) text = python::LeftStrip(text, chars);
    if (kRight) text = python::RightStrip(text, chars);
  }
  return Part(self, text);
}

// self[start:end] of the arguments at `first`, in bytes.
std::string_view Within(Runtime& runtime, const Value& self, const Value& start, const Value& end) {
  const Value none = Value::None();
  const Value bounds[3] = {start.Is(Kind::kUndefined) ? none : start,
                           end.Is(Kind::kUndefined) ? none : end, none};
  return Slice(runtime, self, bounds).text();
}

template <bool kEnd>
Value Affix(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound =
      Bind(runtime, kEnd ? "endswith" : "startswith", args, {"prefix", "start", "end"}, 1);
  std::string_view text = self.text();
  if (bound.given[1]) text = Within(runtime, self, bound[1], bound[2]);
  const auto fits = [&](const Value& affix) {
    const std::string_view wanted = TextArg(runtime, kEnd ? "endswith" : "startswith", affix);
    return kEnd ? text.ends_with(wanted) : text.starts_with(wanted);
  };
  if (!bound[0].Is(Kind::kTuple)) return Value::Bool(fits(bound[0]));
  return Value::Bool(std::any_of(bound[0].items().begin(), bound[0].items().end(), fits));
}

template <bool kPrefix>
Value RemoveAffix(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "removeprefix", args, {"prefix"}, 1);
  const std::string_view affix = TextArg(runtime, "removeprefix", bound[0]), text = self.text();
  if (kPrefix && text.starts_with(affix)) return Part(self, text.substr(affix.size()));
  if (!kPrefix && text.ends_with(affix)) {
    return Part(self, text.substr(0, text.size() - affix.size()));
  }
  return self;
}

Value Parts(Runtime& runtime, const Value& self, const std::vector<std::string_view>& parts) {
  const std::span<Value> items = runtime.New<Value>(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) items[i] = Part(self, parts[i]);
  return Value::List(items);
}

template <bool kRight>
Value SplitText(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "split", args, {"sep", "maxsplit"});
  const int64_t max = bound.given[1] ? IntArg(runtime, "split", bound[1]) : -1;
  runtime.StepBytes(self.size());
  if (!bound.given[0] || bound[0].Is(Kind::kNone)) {
    return Parts(runtime, self, python::Split(self.text(), max, kRight));
  }
  const std::string_view separator = TextArg(runtime, "split", bound[0]);
  if (separator.empty()) runtime.Fail("split() at an empty separator");
  return Parts(runtime, self, python::Split(self.text(), separator, max, kRight));
}

Value SplitLines(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "splitlines", args, {"keepends"});
  runtime.StepBytes(self.size());
  return Parts(runtime, self, python::SplitLines(self.text(), Truthy(bound[0])));
}

template <bool kRight>
Value Partition(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "partition", args, {"sep"}, 1);
  const std::string_view text = self.text(), separator = TextArg(runtime, "partition", bound[0]);
  if (separator.empty()) runtime.Fail("partition() at an empty separator");
  runtime.StepBytes(text.size());
  const size_t at = kRight ? text.rfind(separator) : python::Find(text, separator);
  const std::span<Value> items = runtime.New<Value>(3);
  if (at == text.npos) {
    items[0] = items[1] = items[2] = Part(self, "");
    items[kRight ? 2 : 0] = self;
  } else {
    items[0] = Part(self, text.substr(0, at));
    items[1] = Part(self, text.substr(at, separator.size()));
    items[2] = Part(self, text.substr(at + separator.size()));
  }
  return Value::Tuple(items);
}

Value ReplaceText(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "replace", args, {"old", "new", "count"}, 2);
  const std::string_view old = TextArg(runtime, "replace", bound[0]);
  std::string_view replacement = TextArg(runtime, "replace", bound[1]);
  const int64_t count = bound.given[2] ? IntArg(runtime, "replace", bound[2]) : -1;
  std::string escaped;
  if (self.is_markup() && !bound[1].is_markup()) {
    escaped = EscapedHtml(replacement);
    replacement = escaped;
  }
  // before the work: how long the result may be
  const size_t most = self.size() / std::max<size_t>(old.size(), 1) + 1;
  if (replacement.size() > old.size()) runtime.CheckText(self.size() + most * replacement.size());
  runtime.StepBytes(self.size() +
                    (replacement.size() > old.size() ? most * replacement.size() / 8 : 0));
  return runtime.Text(python::Replace(self.text(), old, replacement, count), self.is_markup());
}

template <bool kRight, bool kFails>
Value FindText(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "find", args, {"sub", "start", "end"}, 1);
  const std::string_view what = TextArg(runtime, "find", bound[0]);
  std::string_view text = self.text();
  if (bound.given[1]) text = Within(runtime, self, bound[1], bound[2]);
  runtime.StepBytes(text.size());
  if (kRight) runtime.Step(static_cast<int64_t>(text.size() / 64 * what.size() / 64));
  const size_t at = kRight ? text.rfind(what) : python::Find(text, what);
  if (at == text.npos) {
    if (kFails) runtime.Fail("index() of a text that is not there");
    return Value::Int(-1);
  }
  const size_t begin = static_cast<size_t>(text.data() - self.text().data());
  return Value::Int(static_cast<int64_t>(python::Length(self.text().substr(0, begin + at))));
}

Value CountText(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "count", args, {"sub", "start", "end"}, 1);
  const std::string_view what = TextArg(runtime, "count", bound[0]);
  std::string_view text = self.text();
  if (bound.given[1]) text = Within(runtime, self, bound[1], bound[2]);
  runtime.StepBytes(text.size());
  if (what.empty()) return Value::Int(static_cast<int64_t>(python::Length(text)) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = python::Find(text, what, at)) != text.npos; at += what.size()) ++count;
  return Value::Int(count);
}

Value JoinText(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "join", args, {"iterable"}, 1);
  std::string out;
  bool first = true;
  for (const Value& item : ItemsOf(runtime, bound[0])) {
    if (!first) out += self.text();
    first = false;
    const std::string_view text = TextArg(runtime, "join", item);
    out += self.is_markup() && !item.is_markup() ? EscapedHtml(text) : text;
    runtime.CheckOutput(out.size());
  }
  return runtime.Text(out, self.is_markup());
}

// -1: to the left, 0: centred, 1: to the right.
template <int kSide>
Value Justify(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "center", args, {"width", "fillchar"}, 1);
  const int64_t width = IntArg(runtime, "center", bound[0]);
  const std::string_view fill = bound.given[1] ? TextArg(runtime, "center", bound[1]) : " ";
  if (python::Length(fill) != 1) runtime.Fail("a fill that is not one character");
  const int64_t missing = width - static_cast<int64_t>(python::Length(self.text()));
  if (missing <= 0) return self;
  runtime.CheckOutput(static_cast<size_t>(missing));
  runtime.StepBytes(static_cast<size_t>(missing));
  // Python puts the odd one to the left of a text of odd width
  const int64_t left = kSide < 0 ? 0 : kSide > 0 ? missing : missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (int64_t i = left; i < missing; ++i) out += fill;
  return runtime.Text(out, self.is_markup());
}

Value ZeroFill(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "zfill", args, {"width"}, 1);
  const int64_t missing =
      IntArg(runtime, "zfill", bound[0]) - static_cast<int64_t>(python::Length(self.text()));
  if (missing <= 0) return self;
  runtime.CheckOutput(static_cast<size_t>(missing));
  runtime.StepBytes(static_cast<size_t>(missing));
  std::string out(self.text());
  const bool has_sign = !out.empty() && (out[0] == '-' || out[0] == '+');
  out.insert(has_sign ? 1 : 0, static_cast<size_t>(missing), '0');
  return runtime.Text(out);
}

template <python::Class kClass>
Value IsClass(Runtime& runtime, const Value& self, const Args& args) {
  NoArgs(runtime, "str", args);
  runtime.StepBytes(self.size());
  return Value::Bool(python::IsAll(kClass, self.text()));
}

Value IsAlphaNumeric(Runtime& runtime, const Value& self, const Args& args) {
  NoArgs(runtime, "isalnum", args);
  runtime.StepBytes(self.size());
  const std::string_view text = self.text();
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = CodePointAt(text, at);
    if (!python::IsIn(python::Class::kAlpha, c.value) &&
        !python::IsIn(python::Class::kNumeric, c.value)) {
      return Value::Bool(false);
    }
    at += c.size;
  }
  return Value::Bool(!text.empty());
}

Value IsAscii(Runtime& runtime, const Value& self, const Args& args) {
  NoArgs(runtime, "isascii", args);
  const std::string_view text = self.text();
  return Value::Bool(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; }));
}

Value FormatText(Runtime& runtime, const Value& self, const Args& args) {
  return runtime.Text(BraceFormat(runtime, self.text(), args));
}

// ---- dict, list, tuple --------------------------------------------------------------------------

Value Get(Runtime& runtime, const Value& self, const Args& args) {
  if (!args.named.empty()) runtime.Fail("get() with a named argument");
  const auto bound = Bind(runtime, "get", args, {"key", "default"}, 1);
  if (bound[0].Is(Kind::kString)) {
    if (self.size() > 16) runtime.Step(self.size() / 16);
    if (const Value* found = FindKey(self.entries(), bound[0].text())) return *found;
  } else if (Contains(runtime, self, bound[0])) {
    return Item(runtime, self, bound[0]);
  }
  return bound.given[1] ? bound[1] : Value::None();
}

template <ViewKind kKind>
Value ViewOf(Runtime& runtime, const Value& self, const Args& args) {
  NoArgs(runtime, "items", args);
  return Value::View(kKind, self);
}

Value Copy(Runtime& runtime, const Value& self, const Args& args) {
  NoArgs(runtime, "copy", args);
  return self;
}

Value CountItems(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "count", args, {"value"}, 1);
  int64_t count = 0;
  for (const Value& item : self.items()) count += Equal(runtime, item, bound[0]) ? 1 : 0;
  return Value::Int(count);
}

Value IndexOf(Runtime& runtime, const Value& self, const Args& args) {
  const auto bound = Bind(runtime, "index", args, {"value"}, 1);
  for (size_t i = 0; i < self.size(); ++i) {
    if (Equal(runtime, self.items()[i], bound[0])) return Value::Int(static_cast<int64_t>(i));
  }
  runtime.Fail("index() of a value that is not there");
}

// ---- loop ---------------------------------------------------------------------------------------

Value Cycle(Runtime& runtime, const Value& self, const Args& args) {
  if (args.positional.empty()) runtime.Fail("loop.cycle() without items");
  return args.positional[static_cast<size_t>(self.loop().index0) % args.positional.size()];
}

Value Changed(Runtime& runtime, const Value& self, const Args& args) {
  Loop& loop = self.loop();
  const Value now = runtime.Tuple(args.positional);
  if (loop.has_changed && Equal(runtime, loop.last_changed, now)) return Value::Bool(false);
  loop.has_changed = true;
  loop.last_changed = now;
  return Value::Bool(true);
}

using python::Class;
// In the order of the names.
constexpr Method kMethods[] = {
    {"append", nullptr, nullptr, Unsafe},
    {"capitalize", Convert<python::Capitalize>},
    {"casefold", Absent},
    {"center", Justify<0>},
    {"changed", nullptr, nullptr, nullptr, nullptr, Changed},
    {"clear", nullptr, Unsafe, Unsafe},
    {"copy", nullptr, Copy, Copy},
    {"count", CountText, nullptr, CountItems, CountItems},
    {"cycle", nullptr, nullptr, nullptr, nullptr, Cycle},
    {"encode", Absent},
    {"endswith", Affix<true>},
    {"expandtabs", Absent},
    {"extend", nullptr, nullptr, Unsafe},
    {"find", FindText<false, false>},
    {"format", FormatText},
    {"format_map", Absent},
    {"fromkeys", nullptr, Absent},
    {"get", nullptr, Get},
    {"index", FindText<false, true>, nullptr, IndexOf, IndexOf},
    {"insert", nullptr, nullptr, Unsafe},
    {"isalnum", IsAlphaNumeric},
    {"isalpha", IsClass<Class::kAlpha>},
    {"isascii", IsAscii},
    {"isdecimal", Absent},
    {"isdigit", IsClass<Class::kDigit>},
    {"isidentifier", Absent},
    {"islower", IsClass<Class::kLower>},
    {"isnumeric", IsClass<Class::kNumeric>},
    {"isprintable", Absent},
    {"isspace", IsClass<Class::kSpace>},
    {"istitle", Absent},
    {"isupper", IsClass<Class::kUpper>},
    {"items", nullptr, ViewOf<ViewKind::kItems>},
    {"join", JoinText},
    {"keys", nullptr, ViewOf<ViewKind::kKeys>},
    {"ljust", Justify<-1>},
    {"lower", Convert<python::Lower>},
    {"lstrip", StripSides<true, false>},
    {"maketrans", Absent},
    {"partition", Partition<false>},
    {"pop", nullptr, Unsafe, Unsafe},
    {"popitem", nullptr, Unsafe},
    {"remove", nullptr, nullptr, Unsafe},
    {"removeprefix", RemoveAffix<true>},
    {"removesuffix", RemoveAffix<false>},
    {"replace", ReplaceText},
    {"reverse", nullptr, nullptr, Unsafe},
    {"rfind", FindText<true, false>},
    {"rindex", FindText<true, true>},
    {"rjust", Justify<1>},
    {"rpartition", Partition<true>},
    {"rsplit", SplitText<true>},
    {"rstrip", StripSides<false, true>},
    {"setdefault", nullptr, Unsafe},
    {"sort", nullptr, nullptr, Unsafe},
    {"split", SplitText<false>},
    {"splitlines", SplitLines},
    {"startswith", Affix<false>},
    {"strip", StripSides<true, true>},
    {"swapcase", Convert<python::SwapCase>},
    {"title", Convert<python::Title>},
    {"translate", Absent},
    {"update", nullptr, Unsafe},
    {"upper", Convert<python::Upper>},
    {"values", nullptr, ViewOf<ViewKind::kValues>},
    {"zfill", ZeroFill},
};
static_assert(std::is_sorted(std::begin(kMethods), std::end(kMethods),
                             [](const Method& a, const Method& b) { return a.name < b.name; }));

Function FunctionOf(int method, Kind kind) {
  if (method <= 0) return nullptr;
  const Method& m = kMethods[method - 1];
  switch (kind) {
    case Kind::kString:
      return m.string;
    case Kind::kDict:
      return m.dict;
    case Kind::kList:
      return m.list;
    case Kind::kTuple:
      return m.tuple;
    case Kind::kLoop:
      return m.loop;
    default:
      return nullptr;
  }
}
}  // namespace

int MethodNamed(std::string_view name) {
  const auto* at = std::lower_bound(std::begin(kMethods), std::end(kMethods), name,
                                    [](const Method& m, std::string_view n) { return m.name < n; });
  return at != std::end(kMethods) && at->name == name ? static_cast<int>(at - kMethods) + 1 : 0;
}

Access MethodAccess(int method, Kind kind) {
  const Function function = FunctionOf(method, kind);
  return function == nullptr  ? Access::kNone
         : function == Unsafe ? Access::kUnsafe
                              : Access::kAllowed;
}

Value CallMethod(Runtime& runtime, int method, const Value& self, const Args& args) {
  const Function function = FunctionOf(method, self.kind());
  if (function == Absent) {
    runtime.Fail(fmt::format("the method {}() of {}, which is not supported",
                             kMethods[method - 1].name, TypeName(self.kind())));
  }
  return function(runtime, self, args);
}

}  // namespace pawl::text::jinja
