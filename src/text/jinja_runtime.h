// The state of one rendering that every operation shares: its memory, its budget, the line that
// runs. A hostile template ends in an error: steps, bytes of memory and of output, and the depth of
// calls are all bounded. One thread.
#pragma once
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/jinja_arena.h"
#include "text/jinja_value.h"

namespace pawl::text::jinja {

struct Limits {
  int64_t steps = 100'000'000;      // of the evaluator; seconds of work
  size_t memory_bytes = 1UL << 30;  // of values that are alive or were
  size_t output_bytes = 256UL << 20;
  int depth = 200;  // of calls of macros, and of values inside values
};

struct Named {
  std::string_view name;
  Value value;
};
struct Args {
  std::span<const Value> positional;
  std::span<const Named> named;
};

class Runtime {
 public:
  Runtime(const std::string& name, const Limits& limits, const std::optional<std::tm>& now)
      : arena_(limits.memory_bytes), name_(name), limits_(limits), now_(now) {}

  // Throws UserError "<what> [at <template>:<line>]".
  [[noreturn]] void Fail(const std::string& what, const std::string& hint = "") const;
  // The use of an undefined value.
  [[noreturn]] void FailUndefined(const Value& value) const;
  // `count` steps of work; throws where the budget is spent.
  void Step(int64_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) [[unlikely]]
      FailSteps();
  }
  // Work on so many bytes.
  void StepBytes(size_t bytes) { Step(1 + static_cast<int64_t>(bytes / 64)); }
  void CheckDepth(int depth) const {
    if (depth > limits_.depth) [[unlikely]]
      Fail("values or calls nested too deep");
  }
  void CheckOutput(size_t bytes) const {
    if (bytes > limits_.output_bytes) [[unlikely]]
      Fail("a template that writes too much");
  }
  // Throws where a text of so many bytes can have no place.
  void CheckText(size_t bytes) const {
    if (bytes > limits_.memory_bytes || bytes > UINT32_MAX) FailMemory();
  }

  void* Take(size_t bytes) {
    void* memory = arena_.Take(bytes);
    if (memory == nullptr) [[unlikely]]
      FailMemory();
    return memory;
  }
  template <class T>
  std::span<T> New(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    if (count > UINT32_MAX) FailMemory();
    T* first = static_cast<T*>(Take(count * sizeof(T)));
    for (size_t i = 0; i < count; ++i) new (first + i) T();
    Step(1 + static_cast<int64_t>(count / 8));
    return {first, count};
  }
  Value Text(std::string_view copied, bool markup = false);
  Value Concat(std::string_view a, std::string_view b, bool markup = false);
  Value List(std::span<const Value> copied);
  Value Tuple(std::span<const Value> copied);
  Value Generator(std::span<const Value> copied);
  Value NewNamespace();

  // From now on writing an undefined value throws (Jinja's StrictUndefined); else it writes
  // nothing.
  void RefuseUndefined() { refuses_undefined_ = true; }
  bool refuses_undefined() const { return refuses_undefined_; }
  const std::optional<std::tm>& now() const { return now_; }
  void set_line(int line) { line_ = line; }
  int line() const { return line_; }

 private:
  [[noreturn]] void FailSteps() const;
  [[noreturn]] void FailMemory() const;

  Arena arena_;
  const std::string& name_;
  Limits limits_;
  std::optional<std::tm> now_;
  int64_t steps_ = 0;
  int line_ = 1;
  bool refuses_undefined_ = false;
};

// Arguments by the names of the parameters: positional ones first. `given[i]` is false where the
// parameter keeps its default.
template <size_t kCount>
struct Bound {
  Value values[kCount];
  bool given[kCount] = {};
  const Value& operator[](size_t i) const { return values[i]; }
};
// Throws for too many arguments, unknown names and repeated ones, and for missing ones of the first
// `required`.
void BindArgs(Runtime& runtime, std::string_view function, const Args& args,
              std::span<const std::string_view> names, size_t required, Value* values, bool* given);
template <size_t kCount>
Bound<kCount> Bind(Runtime& runtime, std::string_view function, const Args& args,
                   const std::string_view (&names)[kCount], size_t required = 0) {
  Bound<kCount> bound;
  BindArgs(runtime, function, args, names, required, bound.values, bound.given);
  return bound;
}

}  // namespace pawl::text::jinja
