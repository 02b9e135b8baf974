#include "text/jinja_runtime.h"

#include <algorithm>

#include "core/error.h"
#include "text/jinja_operators.h"

namespace pawl::text::jinja {

void* Arena::Take(size_t bytes) {
  if (bytes > limit_) {
    taken_ = limit_ + 1;
    return nullptr;
  }
  if (bytes == 0) bytes = 1;  // so that null says that there is no memory
  const size_t aligned = (bytes + 7) & ~size_t{7};
  // what a text left over of its last 8 bytes
  const size_t slack = -reinterpret_cast<uintptr_t>(next_) & 7;
  if (aligned + slack > left_) {
    constexpr size_t kBlock = 32 << 10;
    const size_t block = std::max(aligned, kBlock << std::min<size_t>(blocks_.size(), 8));
    if (taken_ + aligned > limit_) return nullptr;
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(block));
    next_ = blocks_.back().get();
    left_ = block;
  } else {
    next_ += slack;
    left_ -= slack;
  }
  taken_ += aligned;
  if (taken_ > limit_) return nullptr;
  void* memory = next_;
  // texts may grow into what alignment would waste
  next_ += bytes;
  left_ -= bytes;
  return memory;
}

bool Arena::TryExtend(const char* end, size_t bytes) {
  if (end != next_ || bytes > left_ || taken_ + bytes > limit_) return false;
  next_ += bytes;
  left_ -= bytes;
  taken_ += bytes;
  return true;
}

Namespace& Arena::MakeNamespace() {
  taken_ += sizeof(Namespace) + 8 * sizeof(Entry);
  namespaces_.push_back(std::make_unique<Namespace>());
  return *namespaces_.back();
}

void Runtime::Fail(const std::string& what, const std::string& hint) const {
  // one line, of a length that can be read
  std::string line = what.substr(0, 1000);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<uint8_t>(c) < 0x20; }, ' ');
  throw UserError({.what = line, .where = fmt::format("{}:{}", name_, line_), .hint = hint});
}

void Runtime::FailUndefined(const Value& value) const {
  const std::string name(value.text().substr(0, 200));
  switch (value.missing()) {
    case Missing::kVariable:
      Fail(fmt::format("'{}' is undefined", name));
    case Missing::kAttribute:
      Fail(fmt::format("{} has no attribute '{}'", TypeName(value.owner()), name));
    case Missing::kElement:
      Fail(fmt::format("{} has no such element", TypeName(value.owner())));
    case Missing::kUnsafe:
      Fail(fmt::format("'{}' of {} may not be used in a template", name, TypeName(value.owner())));
    case Missing::kHint:
      break;
  }
  Fail(name);
}

void Runtime::FailSteps() const { Fail("a template that takes too long"); }
void Runtime::FailMemory() const { Fail("a template that needs too much memory"); }

Value Runtime::Text(std::string_view copied, bool markup) {
  if (copied.empty()) return Value::String("", markup);
  CheckText(copied.size());
  StepBytes(copied.size());
  char* memory = static_cast<char*>(Take(copied.size()));
  std::memcpy(memory, copied.data(), copied.size());
  return Value::String({memory, copied.size()}, markup);
}

Value Runtime::Concat(std::string_view a, std::string_view b, bool markup) {
  if (b.empty()) return Value::String(a, markup);
  if (a.empty()) return Value::String(b, markup);
  CheckText(a.size() + b.size());
  StepBytes(b.size());
  // a text that was made last grows where it lies; those that hold its beginning do not see it
  if (arena_.TryExtend(a.data() + a.size(), b.size())) {
    std::memcpy(const_cast<char*>(a.data()) + a.size(), b.data(), b.size());
    return Value::String({a.data(), a.size() + b.size()}, markup);
  }
  StepBytes(a.size());
  char* memory = static_cast<char*>(Take(a.size() + b.size()));
  std::memcpy(memory, a.data(), a.size());
  std::memcpy(memory + a.size(), b.data(), b.size());
  return Value::String({memory, a.size() + b.size()}, markup);
}

Value Runtime::NewNamespace() {
  const Value value = Value::Object(Kind::kNamespace, &arena_.MakeNamespace());
  if (arena_.IsFull()) FailMemory();
  return value;
}

namespace {
std::span<const Value> Copied(Runtime& runtime, std::span<const Value> items) {
  const std::span<Value> out = runtime.New<Value>(items.size());
  std::copy(items.begin(), items.end(), out.begin());
  return out;
}
}  // namespace

Value Runtime::List(std::span<const Value> copied) { return Value::List(Copied(*this, copied)); }
Value Runtime::Tuple(std::span<const Value> copied) { return Value::Tuple(Copied(*this, copied)); }
Value Runtime::Generator(std::span<const Value> copied) {
  Iterator& iterator = New<Iterator>(1)[0];
  iterator.items = Copied(*this, copied);
  return Value::Object(Kind::kIterator, &iterator);
}

void BindArgs(Runtime& runtime, std::string_view function, const Args& args,
              std::span<const std::string_view> names, size_t required, Value* values,
              bool* given) {
  if (args.positional.size() > names.size()) {
    runtime.Fail(fmt::format("{}() with {} arguments: it takes {}", function,
                             args.positional.size(), names.size()));
  }
  for (size_t i = 0; i < args.positional.size(); ++i) {
    values[i] = args.positional[i];
    given[i] = true;
  }
  for (const Named& named : args.named) {
    const size_t i =
        static_cast<size_t>(std::find(names.begin(), names.end(), named.name) - names.begin());
    if (i == names.size()) {
      runtime.Fail(fmt::format("{}() with an unknown argument '{}'", function, named.name));
    }
    if (given[i]) {
      runtime.Fail(fmt::format("{}() with two values for its argument '{}'", function, named.name));
    }
    values[i] = named.value;
    given[i] = true;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given[i]) runtime.Fail(fmt::format("{}() without its argument '{}'", function, names[i]));
  }
}

}  // namespace pawl::text::jinja
