// Values of a template while it is rendered: what JSON gives (None, booleans, numbers, strings,
// lists, dictionaries in insertion order) and what Jinja adds (undefined, tuples, namespaces,
// macros, loops). A Value is 16 bytes and borrows: text and items lie in the conversation, in the
// template or in the arena of the rendering, which frees all of it at the end. Immutable but for
// namespaces and iterators. One thread per rendering.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace pawl::text::jinja {

struct Entry;
struct Namespace;
struct Iterator;
struct Loop;
struct BoundMethod;
struct MacroDefinition;
struct Range;

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kView,       // keys(), values() or items() of a dictionary
  kRange,      // range(..)
  kIterator,   // what Python's generators give: can be read once
  kNamespace,  // namespace(..)
  kMacro,
  kFunction,  // a global: range, dict, namespace, raise_exception, ...
  kMethod,    // x.strip without its call
  kLoop,      // the loop variable
};

// Of an undefined value: what its text says.
enum class Missing : uint8_t { kVariable, kAttribute, kElement, kHint, kUnsafe };
enum class ViewKind : uint8_t { kKeys, kValues, kItems };

class Value {
 public:
  Value() : Value(Kind::kUndefined, 0, 0) {}
  static Value None() { return {Kind::kNone, 0, 0}; }
  static Value Bool(bool value) { return Whole(Kind::kBool, value ? 1 : 0); }
  static Value Int(int64_t value) { return Whole(Kind::kInt, value); }
  static Value Float(double value) {
    Value v(Kind::kFloat, 0, 0);
    v.real_ = value;
    return v;
  }
  // Borrowed. `markup`: marked by `safe` or `escape`; what is added to it is escaped.
  static Value String(std::string_view text, bool markup = false) {
    Value v(Kind::kString, markup ? 1 : 0, text.size());
    v.pointer_ = text.data();
    return v;
  }
  static Value List(std::span<const Value> items) { return Of(Kind::kList, items); }
  static Value Tuple(std::span<const Value> items) { return Of(Kind::kTuple, items); }
  static Value Dict(std::span<const Entry> entries);
  static Value View(ViewKind kind, const Value& dict) {
    Value v = dict;
    v.kind_ = Kind::kView;
    v.detail_ = static_cast<uint8_t>(kind);
    return v;
  }
  // `text`: the name, or for kHint the whole message. `owner`: of a missing attribute.
  static Value Undefined(Missing missing, std::string_view text, Kind owner = Kind::kUndefined) {
    Value v(Kind::kUndefined, static_cast<uint8_t>(missing), text.size());
    v.owner_ = owner;
    v.pointer_ = text.data();
    return v;
  }
  template <class T>
  static Value Object(Kind kind, T* object) {
    Value v(kind, 0, 0);
    v.pointer_ = object;
    return v;
  }
  static Value Function(int id) { return Whole(Kind::kFunction, id); }

  Kind kind() const { return kind_; }
  bool Is(Kind kind) const { return kind_ == kind; }
  bool is_markup() const { return kind_ == Kind::kString && detail_ != 0; }
  bool is_number() const { return kind_ >= Kind::kBool && kind_ <= Kind::kFloat; }
  bool is_integral() const { return kind_ == Kind::kBool || kind_ == Kind::kInt; }
  int64_t integer() const { return integer_; }  // kBool, kInt, kFunction
  double real() const { return kind_ == Kind::kFloat ? real_ : static_cast<double>(integer_); }
  // Bytes of a string, items of a list, entries of a dictionary.
  uint32_t size() const { return size_; }
  std::string_view text() const { return {static_cast<const char*>(pointer_), size_}; }
  std::span<const Value> items() const { return {static_cast<const Value*>(pointer_), size_}; }
  std::span<const Entry> entries() const;  // kDict and kView
  ViewKind view() const { return static_cast<ViewKind>(detail_); }
  Missing missing() const { return static_cast<Missing>(detail_); }
  Kind owner() const { return owner_; }
  Namespace& name_space() const { return *As<Namespace>(); }
  Iterator& iterator() const { return *As<Iterator>(); }
  Loop& loop() const { return *As<Loop>(); }
  const BoundMethod& method() const { return *As<const BoundMethod>(); }
  const MacroDefinition& macro() const { return *As<const MacroDefinition>(); }
  const Range& range() const { return *As<const Range>(); }
  const void* pointer() const { return pointer_; }

 private:
  Value(Kind kind, uint8_t detail, size_t size)
      : kind_(kind), detail_(detail), size_(static_cast<uint32_t>(size)), integer_(0) {}
  static Value Whole(Kind kind, int64_t integer) {
    Value v(kind, 0, 0);
    v.integer_ = integer;
    return v;
  }
  static Value Of(Kind kind, std::span<const Value> items) {
    Value v(kind, 0, items.size());
    v.pointer_ = items.data();
    return v;
  }
  template <class T>
  T* As() const {
    return static_cast<T*>(const_cast<void*>(pointer_));
  }

  Kind kind_;
  uint8_t detail_;
  Kind owner_ = Kind::kUndefined;
  uint32_t size_;
  // members of the class, in a union: NOLINTBEGIN(readability-identifier-naming)
  union {
    int64_t integer_;
    double real_;
    const void* pointer_;
  };
  // NOLINTEND(readability-identifier-naming)
};
static_assert(sizeof(Value) == 16);

struct Entry {
  Value key, value;
};
inline Value Value::Dict(std::span<const Entry> entries) {
  Value v(Kind::kDict, 0, entries.size());
  v.pointer_ = entries.data();
  return v;
}
inline std::span<const Entry> Value::entries() const {
  return {static_cast<const Entry*>(pointer_), size_};
}

// The value under a string key; nullptr where there is none.
inline const Value* FindKey(std::span<const Entry> entries, std::string_view key) {
  for (const Entry& entry : entries) {
    if (entry.key.Is(Kind::kString) && entry.key.size() == key.size() &&
        std::memcmp(entry.key.pointer(), key.data(), key.size()) == 0) {
      return &entry.value;
    }
  }
  return nullptr;
}

struct Namespace {
  std::vector<Entry> entries;
};
struct Iterator {
  std::span<const Value> items;
  size_t next = 0;
};
struct Loop {
  std::span<const Value> items;
  int64_t index0 = 0;
  int64_t depth0 = 0;
  bool has_changed = false;
  Value last_changed;  // the arguments of the last loop.changed(..), a tuple
};
struct BoundMethod {
  Value self;
  int id = 0;  // jinja_methods.h
};
struct Range {
  int64_t start = 0, stop = 0, step = 1;
  int64_t size() const {
    if (step > 0 ? start >= stop : start <= stop) return 0;
    // unsigned: the distance of two 64-bit integers has its place
    const auto wide = [](int64_t x) { return static_cast<uint64_t>(x); };
    const uint64_t distance = step > 0 ? wide(stop) - wide(start) : wide(start) - wide(stop);
    const uint64_t count = (distance - 1) / (step > 0 ? wide(step) : 0 - wide(step)) + 1;
    return count > INT64_MAX ? INT64_MAX : static_cast<int64_t>(count);
  }
};

}  // namespace pawl::text::jinja
