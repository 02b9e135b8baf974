#include "text/jinja_sequence_filters.h"

#include <algorithm>

#include "core/error.h"
#include "text/jinja_filters.h"
#include "text/jinja_operators.h"
#include "text/python_text.h"

namespace pawl::text::jinja {
namespace {

void NoArgs(Runtime& runtime, std::string_view filter, const Args& args) {
  BindArgs(runtime, filter, args, {}, 0, nullptr, nullptr);
}

// "a.b.0" as the keys 'a', 'b', 0; None gives none.
std::vector<Value> PathOf(const Value& attribute) {
  std::vector<Value> path;
  if (attribute.Is(Kind::kNone) || attribute.Is(Kind::kUndefined)) return path;
  if (!attribute.Is(Kind::kString)) return {attribute};
  for (const std::string_view part : python::Split(attribute.text(), ".", -1, false)) {
    const auto number =
        python::IsAll(python::Class::kDigit, part) ? python::ParseInt(part, 10) : std::nullopt;
    path.push_back(number ? Value::Int(*number) : Value::String(part));
  }
  return path;
}

// `fallback`: in the place of what is undefined on the way, where given.
Value AtPath(Runtime& runtime, Value value, const std::vector<Value>& path,
             const Value* fallback = nullptr) {
  for (const Value& key : path) {
    value = Item(runtime, value, key);
    if (fallback != nullptr && value.Is(Kind::kUndefined)) value = *fallback;
  }
  return value;
}

Value WithoutCase(Runtime& runtime, const Value& value) {
  return value.Is(Kind::kString) ? runtime.Text(python::Lower(value.text())) : value;
}

// What the items are sorted, grouped or compared by: the attributes (a list of several in `sort`),
// without case unless it counts.
std::span<const Value> KeysOf(Runtime& runtime, std::span<const Value> items,
                              const Value& attribute, bool case_sensitive, bool several) {
  std::vector<std::vector<Value>> paths;
  if (several && attribute.Is(Kind::kString)) {
    for (const std::string_view part : python::Split(attribute.text(), ",", -1, false)) {
      paths.push_back(PathOf(Value::String(part)));
    }
  } else {
    paths.push_back(PathOf(attribute));
  }
  const std::span<Value> keys = runtime.New<Value>(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    std::vector<Value> parts;
    for (const auto& path : paths) {
      runtime.Step();
      const Value part = AtPath(runtime, items[i], path);
      parts.push_back(case_sensitive ? part : WithoutCase(runtime, part));
    }
    keys[i] = several ? runtime.List(parts) : parts[0];
  }
  return keys;
}

std::vector<Value> Reordered(std::span<const Value> items, const std::vector<size_t>& order) {
  std::vector<Value> out;
  out.reserve(items.size());
  for (const size_t i : order) out.push_back(items[i]);
  return out;
}

const Filter& FilterNamed(Runtime& runtime, const Value& name) {
  const Filter* filter = name.Is(Kind::kString) ? FindFilter(name.text()) : nullptr;
  if (filter == nullptr) runtime.Fail("map with a filter that does not exist");
  if (filter->apply == nullptr) {
    runtime.Fail(fmt::format("the filter {}, which is not supported", filter->name));
  }
  return *filter;
}
}  // namespace

Value AttributeFilter(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "attr", args, {"name"}, 1);
  if (!bound[0].Is(Kind::kString)) runtime.Fail("attr of what is no name");
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  // attributes only, never the keys of a mapping
  const Value empty = Value::Dict({});
  return Item(runtime, value.Is(Kind::kDict) ? empty : value, bound[0]);
}

Value Batch(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "batch", args, {"linecount", "fill_with"}, 1);
  if (!bound[0].is_integral()) runtime.Fail("batch of a count that is no integer");
  const auto items = ItemsOf(runtime, value);
  const int64_t count = bound[0].integer();
  std::vector<Value> batches, batch;
  const auto flush = [&] {
    batches.push_back(runtime.List(batch));
    batch.clear();
  };
  for (const Value& item : items) {
    if (static_cast<int64_t>(batch.size()) == count) flush();
    batch.push_back(item);
  }
  if (!batch.empty()) {
    if (bound.given[1] && !bound[1].Is(Kind::kNone)) {
      runtime.CheckText(static_cast<size_t>(std::max<int64_t>(count, 0)));
      while (static_cast<int64_t>(batch.size()) < count) {
        runtime.Step();
        batch.push_back(bound[1]);
      }
    }
    flush();
  }
  return runtime.Generator(batches);
}

Value SliceFilter(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "slice", args, {"slices", "fill_with"}, 1);
  if (!bound[0].is_integral() || bound[0].integer() == 0) runtime.Fail("slice into no parts");
  const auto items = ItemsOf(runtime, value);
  const int64_t count = bound[0].integer();
  const int64_t size = static_cast<int64_t>(items.size());
  std::vector<Value> slices;
  int64_t begin = 0;
  for (int64_t i = 0; i < count; ++i) {
    const bool extra = i < size % count;
    const int64_t end = begin + size / count + (extra ? 1 : 0);
    std::vector<Value> slice(items.begin() + begin, items.begin() + end);
    if (!extra && bound.given[1] && !bound[1].Is(Kind::kNone)) slice.push_back(bound[1]);
    slices.push_back(runtime.List(slice));
    begin = end;
  }
  return runtime.Generator(slices);
}

Value DictSort(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string_view by = bound.given[1] ? TextOf(runtime, bound[1]) : "key";
  if (by != "key" && by != "value") runtime.Fail("dictsort by neither 'key' nor 'value'");
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (!value.Is(Kind::kDict)) {
    runtime.Fail(fmt::format("dictsort of {}: it takes a mapping", TypeName(value.kind())));
  }
  const auto items = ItemsOf(runtime, Value::View(ViewKind::kItems, value));
  const std::span<Value> keys = runtime.New<Value>(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const Value key = items[i].items()[by == "key" ? 0 : 1];
    keys[i] = Truthy(bound[0]) ? key : WithoutCase(runtime, key);
  }
  return runtime.List(Reordered(items, SortedOrder(runtime, keys, Truthy(bound[2]))));
}

Value First(Runtime& runtime, const Value& value, const Args& args) {
  NoArgs(runtime, "first", args);
  if (value.Is(Kind::kIterator)) {
    Iterator& iterator = value.iterator();
    if (iterator.next < iterator.items.size()) return iterator.items[iterator.next++];
  } else if (value.Is(Kind::kString) && value.size() > 0) {
    return Value::String(value.text().substr(0, python::ByteOffset(value.text(), 1)));
  } else {
    const auto items = ItemsOf(runtime, value);
    if (!items.empty()) return items[0];
  }
  return Value::Undefined(Missing::kHint, "No first item, sequence was empty.");
}

Value Last(Runtime& runtime, const Value& value, const Args& args) {
  NoArgs(runtime, "last", args);
  if (value.Is(Kind::kIterator) || value.Is(Kind::kUndefined)) {
    runtime.Fail(fmt::format("last of {}: it takes a sequence", TypeName(value.kind())));
  }
  const auto items = ItemsOf(runtime, value);
  return items.empty() ? Value::Undefined(Missing::kHint, "No last item, sequence was empty.")
                       : items.back();
}

Value GroupBy(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const auto items = ItemsOf(runtime, value);
  const auto path = PathOf(bound[0]);
  const Value* fallback = bound.given[1] && !bound[1].Is(Kind::kNone) ? &bound[1] : nullptr;
  const std::span<Value> keys = runtime.New<Value>(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const Value key = AtPath(runtime, items[i], path, fallback);
    keys[i] = Truthy(bound[2]) ? key : WithoutCase(runtime, key);
  }
  const std::vector<size_t> order = SortedOrder(runtime, keys, false);
  std::vector<Value> groups, group;
  for (size_t i = 0; i < order.size(); ++i) {
    group.push_back(items[order[i]]);
    if (i + 1 < order.size() && Equal(runtime, keys[order[i]], keys[order[i + 1]])) continue;
    const Value pair[] = {AtPath(runtime, group[0], path, fallback), runtime.List(group)};
    groups.push_back(runtime.Tuple(pair));
    group.clear();
  }
  return runtime.List(groups);
}

Value ItemsFilter(Runtime& runtime, const Value& value, const Args& args) {
  NoArgs(runtime, "items", args);
  if (value.Is(Kind::kUndefined)) return runtime.Generator({});
  if (!value.Is(Kind::kDict)) {
    runtime.Fail(fmt::format("items of {}: it takes a mapping", TypeName(value.kind())));
  }
  return runtime.Generator(ItemsOf(runtime, Value::View(ViewKind::kItems, value)));
}

Value Join(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "join", args, {"d", "attribute"});
  const std::string_view separator = bound.given[0] ? TextOf(runtime, bound[0]) : "";
  const auto path = PathOf(bound[1]);
  std::string out;
  bool first = true;
  for (const Value& item : ItemsOf(runtime, value)) {
    runtime.Step();
    if (!first) out += separator;
    first = false;
    AppendText(runtime, out, AtPath(runtime, item, path));
    runtime.CheckOutput(out.size());
  }
  return runtime.Text(out);
}

Value LengthFilter(Runtime& runtime, const Value& value, const Args& args) {
  NoArgs(runtime, "length", args);
  return Value::Int(LengthOf(runtime, value));
}

Value ListFilter(Runtime& runtime, const Value& value, const Args& args) {
  NoArgs(runtime, "list", args);
  return Value::List(ItemsOf(runtime, value));
}

Value Map(Runtime& runtime, const Value& value, const Args& args) {
  if (!Truthy(value)) return runtime.Generator({});
  std::vector<Value> out;
  if (args.positional.empty()) {
    const auto bound = Bind(runtime, "map", args, {"attribute", "default"}, 1);
    const auto path = PathOf(bound[0]);
    const Value* fallback = bound.given[1] && !bound[1].Is(Kind::kNone) ? &bound[1] : nullptr;
    for (const Value& item : ItemsOf(runtime, value)) {
      runtime.Step();
      out.push_back(AtPath(runtime, item, path, fallback));
    }
  } else {
    const Filter& filter = FilterNamed(runtime, args.positional[0]);
    const Args rest{args.positional.subspan(1), args.named};
    for (const Value& item : ItemsOf(runtime, value)) {
      runtime.Step();
      out.push_back(filter.apply(runtime, item, rest));
    }
  }
  return runtime.Generator(out);
}

template <bool kLargest>
Value Extreme(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "min", args, {"case_sensitive", "attribute"});
  const auto items = ItemsOf(runtime, value);
  if (items.empty()) {
    return Value::Undefined(Missing::kHint, "No aggregated item, sequence was empty.");
  }
  const auto keys = KeysOf(runtime, items, bound[1], Truthy(bound[0]), false);
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    const bool better = kLargest ? Less(runtime, keys[best], keys[i], false)
                                 : Less(runtime, keys[i], keys[best], false);
    if (better) best = i;
  }
  return items[best];
}
template Value Extreme<true>(Runtime&, const Value&, const Args&);
template Value Extreme<false>(Runtime&, const Value&, const Args&);

Value Reverse(Runtime& runtime, const Value& value, const Args& args) {
  NoArgs(runtime, "reverse", args);
  const auto items = ItemsOf(runtime, value);
  std::vector<Value> out(items.rbegin(), items.rend());
  if (value.Is(Kind::kString)) {
    std::string text;
    for (const Value& character : out) text += character.text();
    return runtime.Text(text, value.is_markup());
  }
  // what can be read once only becomes a list
  const bool once = value.Is(Kind::kIterator) || value.Is(Kind::kUndefined);
  return once ? runtime.List(out) : runtime.Generator(out);
}

template <bool kKeeps, bool kOfAttribute>
Value Select(Runtime& runtime, const Value& value, const Args& args) {
  if (!Truthy(value)) return runtime.Generator({});
  constexpr size_t kOffset = kOfAttribute ? 1 : 0;
  if (args.positional.size() < kOffset) runtime.Fail("selectattr without an attribute");
  const auto path = kOfAttribute ? PathOf(args.positional[0]) : std::vector<Value>();
  const Test* test = nullptr;
  Args rest{{}, args.named};
  if (args.positional.size() > kOffset) {
    const Value& name = args.positional[kOffset];
    test = name.Is(Kind::kString) ? FindTest(name.text()) : nullptr;
    if (test == nullptr) runtime.Fail("select with a test that does not exist");
    rest.positional = args.positional.subspan(kOffset + 1);
  }
  std::vector<Value> out;
  for (const Value& item : ItemsOf(runtime, value)) {
    runtime.Step();
    const Value tested = AtPath(runtime, item, path);
    const bool holds = test == nullptr ? Truthy(tested) : test->apply(runtime, tested, rest);
    if (holds == kKeeps) out.push_back(item);
  }
  return runtime.Generator(out);
}
template Value Select<true, true>(Runtime&, const Value&, const Args&);
template Value Select<true, false>(Runtime&, const Value&, const Args&);
template Value Select<false, true>(Runtime&, const Value&, const Args&);
template Value Select<false, false>(Runtime&, const Value&, const Args&);

Value Sort(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "sort", args, {"reverse", "case_sensitive", "attribute"});
  const auto items = ItemsOf(runtime, value);
  const auto keys = KeysOf(runtime, items, bound[2], Truthy(bound[1]), true);
  return runtime.List(Reordered(items, SortedOrder(runtime, keys, Truthy(bound[0]))));
}

Value Sum(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "sum", args, {"attribute", "start"});
  const auto path = PathOf(bound[0]);
  Value sum = bound.given[1] ? bound[1] : Value::Int(0);
  if (sum.Is(Kind::kString)) runtime.Fail("sum of strings");
  for (const Value& item : ItemsOf(runtime, value)) {
    sum = Arithmetic(runtime, Op::kAdd, sum, AtPath(runtime, item, path));
  }
  return sum;
}

Value Unique(Runtime& runtime, const Value& value, const Args& args) {
  const auto bound = Bind(runtime, "unique", args, {"case_sensitive", "attribute"});
  const auto items = ItemsOf(runtime, value);
  const auto keys = KeysOf(runtime, items, bound[1], Truthy(bound[0]), false);
  std::vector<Value> out, seen;
  for (size_t i = 0; i < items.size(); ++i) {
    if (keys[i].Is(Kind::kList) || keys[i].Is(Kind::kDict)) {
      runtime.Fail(fmt::format("unique of {}", TypeName(keys[i].kind())));
    }
    const bool known = std::any_of(seen.begin(), seen.end(),
                                   [&](const Value& v) { return Equal(runtime, v, keys[i]); });
    if (known) continue;
    seen.push_back(keys[i]);
    out.push_back(items[i]);
  }
  return runtime.Generator(out);
}

}  // namespace pawl::text::jinja
