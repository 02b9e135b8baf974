// Jinja's tests and global functions.
#include <algorithm>

#include "core/error.h"
#include "text/jinja_filters.h"
#include "text/jinja_operators.h"
#include "text/python_text.h"

namespace pawl::text::jinja {
namespace {

template <Kind kKind>
bool IsKind(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "test", args, {}, 0, nullptr, nullptr);
  return value.Is(kKind);
}
template <bool kValue>
bool IsBool(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "test", args, {}, 0, nullptr, nullptr);
  return value.Is(Kind::kBool) && (value.integer() != 0) == kValue;
}
bool IsDefined(Runtime& runtime, const Value& value, const Args& args) {
  return !IsKind<Kind::kUndefined>(runtime, value, args);
}
bool IsNumber(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "number", args, {}, 0, nullptr, nullptr);
  return value.is_number();
}
bool IsSequence(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "sequence", args, {}, 0, nullptr, nullptr);
  return value.Is(Kind::kString) || value.Is(Kind::kList) || value.Is(Kind::kTuple) ||
         value.Is(Kind::kDict) || value.Is(Kind::kRange) || value.Is(Kind::kUndefined);
}
bool IsIterable(Runtime& runtime, const Value& value, const Args& args) {
  return IsSequence(runtime, value, args) || value.Is(Kind::kView) || value.Is(Kind::kIterator) ||
         value.Is(Kind::kLoop);
}
bool IsCallable(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "callable", args, {}, 0, nullptr, nullptr);
  return value.Is(Kind::kMacro) || value.Is(Kind::kFunction) || value.Is(Kind::kMethod) ||
         value.Is(Kind::kUndefined);
}
template <python::Class kClass>
bool IsCase(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "test", args, {}, 0, nullptr, nullptr);
  return python::IsAll(kClass, TextOf(runtime, value));
}
bool IsEscaped(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "escaped", args, {}, 0, nullptr, nullptr);
  return value.is_markup();
}
template <Comparison kComparison>
bool Compared(Runtime& runtime, const Value& value, const Args& args) {
  return Compare(runtime, kComparison, value, Bind(runtime, "test", args, {"other"}, 1)[0]);
}
bool IsSameAs(Runtime& runtime, const Value& value, const Args& args) {
  const Value other = Bind(runtime, "sameas", args, {"other"}, 1)[0];
  if (value.kind() != other.kind()) return false;
  if (value.Is(Kind::kNone)) return true;
  if (value.is_integral()) return value.integer() == other.integer();
  return !value.Is(Kind::kFloat) && value.pointer() == other.pointer() &&
         value.size() == other.size();
}
// value % divisor == rest
bool HasRest(Runtime& runtime, const Value& value, const Value& divisor, int64_t rest) {
  const Value found = Arithmetic(runtime, Op::kModulo, value, divisor);
  return Equal(runtime, found, Value::Int(rest));
}
template <int kRest>
bool IsParity(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "test", args, {}, 0, nullptr, nullptr);
  return HasRest(runtime, value, Value::Int(2), kRest);
}
bool IsDivisibleBy(Runtime& runtime, const Value& value, const Args& args) {
  return HasRest(runtime, value, Bind(runtime, "divisibleby", args, {"num"}, 1)[0], 0);
}
bool IsFilter(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "filter", args, {}, 0, nullptr, nullptr);
  return value.Is(Kind::kString) && FindFilter(value.text()) != nullptr;
}
bool IsTest(Runtime& runtime, const Value& value, const Args& args) {
  BindArgs(runtime, "test", args, {}, 0, nullptr, nullptr);
  return value.Is(Kind::kString) && FindTest(value.text()) != nullptr;
}

constexpr Test kTests[] = {
    {"!=", Compared<Comparison::kNe>},
    {"<", Compared<Comparison::kLt>},
    {"<=", Compared<Comparison::kLe>},
    {"==", Compared<Comparison::kEq>},
    {">", Compared<Comparison::kGt>},
    {">=", Compared<Comparison::kGe>},
    {"boolean", IsKind<Kind::kBool>},
    {"callable", IsCallable},
    {"defined", IsDefined},
    {"divisibleby", IsDivisibleBy},
    {"eq", Compared<Comparison::kEq>},
    {"equalto", Compared<Comparison::kEq>},
    {"escaped", IsEscaped},
    {"even", IsParity<0>},
    {"false", IsBool<false>},
    {"filter", IsFilter},
    {"float", IsKind<Kind::kFloat>},
    {"ge", Compared<Comparison::kGe>},
    {"greaterthan", Compared<Comparison::kGt>},
    {"gt", Compared<Comparison::kGt>},
    {"in", Compared<Comparison::kIn>},
    {"integer", IsKind<Kind::kInt>},
    {"iterable", IsIterable},
    {"le", Compared<Comparison::kLe>},
    {"lessthan", Compared<Comparison::kLt>},
    {"lower", IsCase<python::Class::kLower>},
    {"lt", Compared<Comparison::kLt>},
    {"mapping", IsKind<Kind::kDict>},
    {"ne", Compared<Comparison::kNe>},
    {"none", IsKind<Kind::kNone>},
    {"number", IsNumber},
    {"odd", IsParity<1>},
    {"sameas", IsSameAs},
    {"sequence", IsSequence},
    {"string", IsKind<Kind::kString>},
    {"test", IsTest},
    {"true", IsBool<true>},
    {"undefined", IsKind<Kind::kUndefined>},
    {"upper", IsCase<python::Class::kUpper>},
};
static_assert(std::is_sorted(std::begin(kTests), std::end(kTests),
                             [](const Test& a, const Test& b) { return a.name < b.name; }));

// ---- globals ------------------------------------------------------------------------------------

Value RangeOf(Runtime& runtime, const Args& args) {
  if (!args.named.empty()) runtime.Fail("range() with named arguments");
  const auto bound = Bind(runtime, "range", args, {"start", "stop", "step"}, 1);
  int64_t numbers[3] = {0, 0, 1};
  for (size_t i = 0; i < args.positional.size(); ++i) {
    if (bound[i].Is(Kind::kUndefined)) runtime.FailUndefined(bound[i]);
    if (!bound[i].is_integral()) {
      runtime.Fail(fmt::format("range() of {}", TypeName(bound[i].kind())));
    }
    numbers[i] = bound[i].integer();
  }
  if (args.positional.size() == 1) std::swap(numbers[0], numbers[1]);
  if (numbers[2] == 0) runtime.Fail("range() with step 0");
  Range& range = runtime.New<Range>(1)[0];
  range = {numbers[0], numbers[1], numbers[2]};
  constexpr int64_t kLongest = 100'000;  // as Jinja's sandbox
  if (range.size() > kLongest) runtime.Fail("range() of more than 100000 numbers");
  return Value::Object(Kind::kRange, &range);
}

// dict(..) of a mapping or pairs and of named values, as entries.
std::vector<Entry> DictEntries(Runtime& runtime, const Args& args) {
  std::vector<Entry> entries;
  const auto put = [&](const Value& key, const Value& value) {
    for (Entry& entry : entries) {
      if (Equal(runtime, entry.key, key)) {
        entry.value = value;
        return;
      }
    }
    entries.push_back({key, value});
  };
  if (args.positional.size() > 1) runtime.Fail("dict() of more than one value");
  if (!args.positional.empty()) {
    const Value& from = args.positional[0];
    if (from.Is(Kind::kDict)) {
      for (const Entry& entry : from.entries()) put(entry.key, entry.value);
    } else {
      for (const Value& pair : ItemsOf(runtime, from)) {
        const auto items = ItemsOf(runtime, pair);
        if (items.size() != 2) runtime.Fail("dict() of what are no pairs");
        put(items[0], items[1]);
      }
    }
  }
  for (const Named& named : args.named) put(Value::String(named.name), named.value);
  return entries;
}

Value DictOf(Runtime& runtime, const Args& args) {
  const std::vector<Entry> entries = DictEntries(runtime, args);
  const std::span<Entry> out = runtime.New<Entry>(entries.size());
  std::copy(entries.begin(), entries.end(), out.begin());
  return Value::Dict(out);
}

Value NamespaceOf(Runtime& runtime, const Args& args) {
  const Value value = runtime.NewNamespace();
  value.name_space().entries = DictEntries(runtime, args);
  for (const Entry& entry : value.name_space().entries) {
    if (entry.key.Is(Kind::kString) && entry.key.text().starts_with('_')) {
      runtime.Fail("a namespace with a name that begins with '_'");
    }
  }
  runtime.New<Entry>(value.name_space().entries.size());  // its memory counts
  return value;
}

Value RaiseException(Runtime& runtime, const Args& args) {
  const auto bound = Bind(runtime, "raise_exception", args, {"message"}, 1);
  runtime.Fail(fmt::format("the template refuses the conversation: {}", TextOf(runtime, bound[0])));
}

Value FormatNow(Runtime& runtime, const Args& args) {
  const auto bound = Bind(runtime, "strftime_now", args, {"format"}, 1);
  if (!bound[0].Is(Kind::kString)) runtime.Fail("strftime_now() of what is no string");
  if (!runtime.now()) {
    runtime.Fail("a template that writes the date, which is not given",
                 "give the date of the prompts");
  }
  const std::string format(bound[0].text());
  if (format.empty() || format.size() > 1000) return Value::String("");
  std::string out(64 * format.size() + 64, '\0');
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &*runtime.now()));
  return runtime.Text(out);
}

Value Absent(Runtime& runtime, const Args&) {
  runtime.Fail("lipsum(), cycler() or joiner(), which are not supported");
}

struct Global {
  std::string_view name;
  Value (*call)(Runtime&, const Args&);
};
constexpr Global kGlobals[] = {
    {"range", RangeOf},          {"dict", DictOf},
    {"namespace", NamespaceOf},  {"raise_exception", RaiseException},
    {"strftime_now", FormatNow}, {"lipsum", Absent},
    {"cycler", Absent},          {"joiner", Absent},
};
}  // namespace

const Test* FindTest(std::string_view name) {
  const auto* at = std::lower_bound(std::begin(kTests), std::end(kTests), name,
                                    [](const Test& t, std::string_view n) { return t.name < n; });
  return at != std::end(kTests) && at->name == name ? at : nullptr;
}

Value GlobalNamed(std::string_view name) {
  for (size_t i = 0; i < std::size(kGlobals); ++i) {
    if (kGlobals[i].name == name) return Value::Function(static_cast<int>(i));
  }
  return {};
}

Value CallGlobal(Runtime& runtime, int function, const Args& args) {
  return kGlobals[function].call(runtime, args);
}

}  // namespace pawl::text::jinja
