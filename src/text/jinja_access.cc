// Attributes, subscripts, slices and items of values.
#include <algorithm>

#include "core/error.h"
#include "text/jinja_methods.h"
#include "text/jinja_operators.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text::jinja {
namespace {

std::span<const Value> Characters(Runtime& runtime, std::string_view text) {
  runtime.StepBytes(text.size());
  const std::span<Value> items = runtime.New<Value>(python::Length(text));
  size_t count = 0;
  for (size_t at = 0; at < text.size() && count < items.size();) {
    const size_t size = CodePointAt(text, at).size;
    items[count++] = Value::String(text.substr(at, size));
    at += size;
  }
  return items.first(count);
}

std::span<const Value> ViewItems(Runtime& runtime, const Value& view) {
  const auto entries = view.entries();
  const std::span<Value> items = runtime.New<Value>(entries.size());
  if (view.Is(Kind::kView) && view.view() == ViewKind::kItems) {
    // a tuple of an item is the entry itself: a key and a value side by side
    static_assert(sizeof(Entry) == 2 * sizeof(Value));
    for (size_t i = 0; i < entries.size(); ++i) items[i] = Value::Tuple({&entries[i].key, 2});
    return items;
  }
  const bool values = view.Is(Kind::kView) && view.view() == ViewKind::kValues;
  for (size_t i = 0; i < entries.size(); ++i) items[i] = values ? entries[i].value : entries[i].key;
  return items;
}

std::span<const Value> RangeItems(Runtime& runtime, const Range& range) {
  const std::span<Value> items = runtime.New<Value>(static_cast<size_t>(range.size()));
  for (size_t i = 0; i < items.size(); ++i) {
    items[i] = Value::Int(range.start + static_cast<int64_t>(i) * range.step);
  }
  return items;
}

Value LoopAttribute(const Loop& loop, std::string_view name) {
  const int64_t size = static_cast<int64_t>(loop.items.size()), index = loop.index0;
  if (name == "index") return Value::Int(index + 1);
  if (name == "index0") return Value::Int(index);
  if (name == "first") return Value::Bool(index == 0);
  if (name == "last") return Value::Bool(index + 1 == size);
  if (name == "length") return Value::Int(size);
  if (name == "revindex") return Value::Int(size - index);
  if (name == "revindex0") return Value::Int(size - index - 1);
  if (name == "depth") return Value::Int(loop.depth0 + 1);
  if (name == "depth0") return Value::Int(loop.depth0);
  if (name == "previtem") {
    return index > 0 ? loop.items[static_cast<size_t>(index - 1)]
                     : Value::Undefined(Missing::kHint, "there is no previous item");
  }
  if (name == "nextitem") {
    return index + 1 < size ? loop.items[static_cast<size_t>(index + 1)]
                            : Value::Undefined(Missing::kHint, "there is no next item");
  }
  return Value::Undefined(Missing::kAttribute, name, Kind::kLoop);
}

// What getattr gives; undefined where the object has no such attribute.
Value OwnAttribute(Runtime& runtime, const Value& object, std::string_view name, int method) {
  switch (MethodAccess(method, object.kind())) {
    case Access::kAllowed: {
      BoundMethod& bound = runtime.New<BoundMethod>(1)[0];
      bound = {object, method};
      return Value::Object(Kind::kMethod, &bound);
    }
    case Access::kUnsafe:
      return Value::Undefined(Missing::kUnsafe, name, object.kind());
    case Access::kNone:
      break;
  }
  if (object.Is(Kind::kLoop)) return LoopAttribute(object.loop(), name);
  if (object.Is(Kind::kNamespace)) {
    const Value* found = FindKey(object.name_space().entries, name);
    if (found != nullptr) return *found;
  }
  if (object.Is(Kind::kMacro) && name == "name") return Value::String(object.macro().name);
  if (name.starts_with("__") && name.ends_with("__")) {
    return Value::Undefined(Missing::kUnsafe, name, object.kind());
  }
  return Value::Undefined(Missing::kAttribute, name, object.kind());
}

// The place of index `i` in a sequence of `size`; nothing beyond.
std::optional<size_t> Position(int64_t i, int64_t size) {
  if (i < 0) i += size;
  return i >= 0 && i < size ? std::optional(static_cast<size_t>(i)) : std::nullopt;
}

std::optional<Value> ItemAt(Runtime& runtime, const Value& object, int64_t index) {
  if (object.Is(Kind::kList) || object.Is(Kind::kTuple)) {
    const auto at = Position(index, object.size());
    return at ? std::optional(object.items()[*at]) : std::nullopt;
  }
  if (object.Is(Kind::kString)) {
    runtime.StepBytes(object.size());
    const std::string_view text = object.text();
    const auto at = Position(index, static_cast<int64_t>(python::Length(text)));
    if (!at) return std::nullopt;
    const size_t begin = python::ByteOffset(text, *at);
    if (begin >= text.size()) return std::nullopt;
    return Value::String(text.substr(begin, CodePointAt(text, begin).size), object.is_markup());
  }
  if (object.Is(Kind::kRange)) {
    const auto at = Position(index, object.range().size());
    return at ? std::optional(Value::Int(object.range().start +
                                         static_cast<int64_t>(*at) * object.range().step))
              : std::nullopt;
  }
  return std::nullopt;
}
}  // namespace

std::span<const Value> ItemsOf(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return {};
    case Kind::kList:
    case Kind::kTuple:
      return value.items();
    case Kind::kString:
      return Characters(runtime, value.text());
    case Kind::kDict:
    case Kind::kView:
      return ViewItems(runtime, value);
    case Kind::kRange:
      return RangeItems(runtime, value.range());
    case Kind::kIterator: {
      Iterator& iterator = value.iterator();
      const auto rest = iterator.items.subspan(iterator.next);
      iterator.next = iterator.items.size();
      return rest;
    }
    default:
      runtime.Fail(fmt::format("the items of {}: it has none", TypeName(value.kind())));
  }
}

int64_t LengthOf(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kView:
      return value.size();
    case Kind::kString:
      runtime.StepBytes(value.size());
      return static_cast<int64_t>(python::Length(value.text()));
    case Kind::kRange:
      return value.range().size();
    case Kind::kLoop:
      return static_cast<int64_t>(value.loop().items.size());
    default:
      runtime.Fail(fmt::format("the length of {}: it has none", TypeName(value.kind())));
  }
}

Value Attribute(Runtime& runtime, const Value& object, std::string_view name, int method) {
  if (object.Is(Kind::kDict)) {
    // Python's own attributes come before the keys
    if (method == 0 || MethodAccess(method, Kind::kDict) == Access::kNone) {
      if (object.size() > 16) runtime.Step(object.size() / 16);
      if (const Value* found = FindKey(object.entries(), name)) return *found;
    }
  } else if (object.Is(Kind::kUndefined)) {
    runtime.FailUndefined(object);
  }
  return OwnAttribute(runtime, object, name, method);
}

Value Item(Runtime& runtime, const Value& object, const Value& key) {
  if (object.Is(Kind::kUndefined)) runtime.FailUndefined(object);
  if (object.Is(Kind::kDict)) {
    if (object.size() > 16) runtime.Step(object.size() / 16);
    if (key.Is(Kind::kString)) {
      if (const Value* found = FindKey(object.entries(), key.text())) return *found;
    } else {
      for (const Entry& entry : object.entries()) {
        if (Equal(runtime, entry.key, key)) return entry.value;
      }
    }
  } else if (key.is_integral()) {
    if (const auto found = ItemAt(runtime, object, key.integer())) return *found;
  }
  if (key.Is(Kind::kString)) {
    return OwnAttribute(runtime, object, key.text(), MethodNamed(key.text()));
  }
  return Value::Undefined(Missing::kElement, "", object.kind());
}

Value Slice(Runtime& runtime, const Value& object, const Value (&bounds)[3]) {
  if (object.Is(Kind::kUndefined)) runtime.FailUndefined(object);
  if (!object.Is(Kind::kString) && !object.Is(Kind::kList) && !object.Is(Kind::kTuple) &&
      !object.Is(Kind::kRange)) {
    runtime.Fail(fmt::format("a slice of {}", TypeName(object.kind())));
  }
  for (const Value& bound : bounds) {
    if (bound.Is(Kind::kUndefined)) runtime.FailUndefined(bound);
    if (!bound.Is(Kind::kNone) && !bound.is_integral()) {
      runtime.Fail(fmt::format("{} as a bound of a slice", TypeName(bound.kind())));
    }
  }
  const int64_t step = bounds[2].Is(Kind::kNone) ? 1 : bounds[2].integer();
  if (step == 0) runtime.Fail("a slice with step 0");
  const int64_t size = LengthOf(runtime, object);
  // Python's rule: where negative bounds count from the end and all are cut to the sequence
  const auto bound = [&](const Value& value, int64_t missing) {
    if (value.Is(Kind::kNone)) return missing;
    int64_t at = value.integer();
    if (at < 0) at = at < -size ? -1 : at + size;
    if (at < 0) return step < 0 ? int64_t{-1} : int64_t{0};
    return std::min(at, step < 0 ? size - 1 : size);
  };
  const int64_t start = bound(bounds[0], step < 0 ? size - 1 : 0);
  const int64_t stop = bound(bounds[1], step < 0 ? -1 : size);
  if (object.Is(Kind::kString) && step == 1) {
    runtime.StepBytes(object.size());
    const std::string_view text = object.text();
    if (start >= stop) return Value::String("", object.is_markup());
    const size_t begin = python::ByteOffset(text, static_cast<size_t>(start));
    const size_t length = python::ByteOffset(text.substr(begin), static_cast<size_t>(stop - start));
    return Value::String(text.substr(begin, length), object.is_markup());
  }
  // a step beyond the sequence takes one item
  const int64_t bounded = std::clamp<int64_t>(step, -size - 1, size + 1);
  const Range places{start, stop, bounded};
  const auto items = ItemsOf(runtime, object);
  if (step == 1 && !object.Is(Kind::kRange)) {
    const auto part =
        start < stop ? items.subspan(static_cast<size_t>(start), static_cast<size_t>(stop - start))
                     : items.first(0);
    return object.Is(Kind::kList) ? Value::List(part) : Value::Tuple(part);
  }
  const std::span<Value> out = runtime.New<Value>(static_cast<size_t>(places.size()));
  std::string text;
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t place = static_cast<size_t>(start + static_cast<int64_t>(i) * bounded);
    if (place >= items.size()) continue;  // text that is no UTF-8
    out[i] = items[place];
    if (object.Is(Kind::kString)) text += out[i].text();
  }
  if (object.Is(Kind::kString)) return runtime.Text(text, object.is_markup());
  return object.Is(Kind::kTuple) ? Value::Tuple(out) : Value::List(out);
}

}  // namespace pawl::text::jinja
