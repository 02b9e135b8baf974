#include "text/jinja_operators.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "text/jinja_methods.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text::jinja {

const char* TypeName(Kind kind) {
  static constexpr const char* kNames[] = {"an undefined value",
                                           "none",
                                           "a boolean",
                                           "an integer",
                                           "a float",
                                           "a string",
                                           "a list",
                                           "a tuple",
                                           "a mapping",
                                           "a view",
                                           "a range",
                                           "an iterator",
                                           "a namespace",
                                           "a macro",
                                           "a function",
                                           "a method",
                                           "a loop"};
  return kNames[static_cast<size_t>(kind)];
}

bool Truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.real() != 0;
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kView:
      return value.size() != 0;
    case Kind::kRange:
      return value.range().size() != 0;
    default:
      return true;
  }
}

namespace {

// Whether a key of a dictionary it may be.
bool IsHashable(const Value& value) {
  if (value.Is(Kind::kTuple)) {
    return std::all_of(value.items().begin(), value.items().end(), IsHashable);
  }
  return !value.Is(Kind::kList) && !value.Is(Kind::kDict) && !value.Is(Kind::kView);
}

const Value* FindEntry(Runtime& runtime, const Value& dict, const Value& key) {
  runtime.Step(static_cast<int64_t>(dict.size() / 8));
  if (key.Is(Kind::kString)) return FindKey(dict.entries(), key.text());
  for (const Entry& entry : dict.entries()) {
    if (Equal(runtime, entry.key, key)) return &entry.value;
  }
  return nullptr;
}

bool EqualDicts(Runtime& runtime, const Value& a, const Value& b, int depth) {
  if (a.size() != b.size()) return false;
  for (const Entry& entry : a.entries()) {
    const Value* other = FindEntry(runtime, b, entry.key);
    if (other == nullptr || !Equal(runtime, entry.value, *other, depth + 1)) return false;
  }
  return true;
}

// -1, 0, 1; 2 where one is NaN.
int CompareNumbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    return a.integer() < b.integer() ? -1 : a.integer() > b.integer() ? 1 : 0;
  }
  // long double holds every 64-bit integer
  const auto exact = [](const Value& v) {
    return v.is_integral() ? static_cast<long double>(v.integer())
                           : static_cast<long double>(v.real());
  };
  const long double x = exact(a), y = exact(b);
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

[[noreturn]] void FailOperands(Runtime& runtime, const char* op, const Value& a, const Value& b) {
  if (a.Is(Kind::kUndefined)) runtime.FailUndefined(a);
  if (b.Is(Kind::kUndefined)) runtime.FailUndefined(b);
  runtime.Fail(
      fmt::format("{} {} {}: no such operation", TypeName(a.kind()), op, TypeName(b.kind())));
}
}  // namespace

bool Equal(Runtime& runtime, const Value& a, const Value& b, int depth) {
  runtime.Step();
  runtime.CheckDepth(depth);
  if (a.is_number() && b.is_number()) return CompareNumbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.text() == b.text();
    case Kind::kList:
    case Kind::kTuple:
      if (a.size() != b.size()) return false;
      for (size_t i = 0; i < a.size(); ++i) {
        if (!Equal(runtime, a.items()[i], b.items()[i], depth + 1)) return false;
      }
      return true;
    case Kind::kDict:
      return EqualDicts(runtime, a, b, depth);
    case Kind::kRange:
      return a.range().size() == b.range().size() &&
             (a.range().size() == 0 ||
              (a.range().start == b.range().start &&
               (a.range().size() == 1 || a.range().step == b.range().step)));
    case Kind::kFunction:
      return a.integer() == b.integer();
    default:
      return a.pointer() == b.pointer();
  }
}

bool Less(Runtime& runtime, const Value& a, const Value& b, bool or_equal, int depth) {
  runtime.Step();
  runtime.CheckDepth(depth);
  if (a.is_number() && b.is_number()) {
    const int order = CompareNumbers(a, b);
    return order == -1 || (or_equal && order == 0);
  }
  if (a.Is(Kind::kString) && b.Is(Kind::kString)) {
    // the order of UTF-8's bytes is that of the code points
    const int order = a.text().compare(b.text());
    return order < 0 || (or_equal && order == 0);
  }
  if (a.kind() == b.kind() && (a.Is(Kind::kList) || a.Is(Kind::kTuple))) {
    const size_t both = std::min(a.size(), b.size());
    for (size_t i = 0; i < both; ++i) {
      if (!Equal(runtime, a.items()[i], b.items()[i], depth + 1)) {
        return Less(runtime, a.items()[i], b.items()[i], or_equal, depth + 1);
      }
    }
    return or_equal ? a.size() <= b.size() : a.size() < b.size();
  }
  FailOperands(runtime, or_equal ? "<=" : "<", a, b);
}

bool Compare(Runtime& runtime, Comparison comparison, const Value& a, const Value& b) {
  switch (comparison) {
    case Comparison::kEq:
      return Equal(runtime, a, b);
    case Comparison::kNe:
      return !Equal(runtime, a, b);
    case Comparison::kLt:
      return Less(runtime, a, b, false);
    case Comparison::kLe:
      return Less(runtime, a, b, true);
    case Comparison::kGt:
      return Less(runtime, b, a, false);
    case Comparison::kGe:
      return Less(runtime, b, a, true);
    case Comparison::kIn:
      return Contains(runtime, b, a);
    case Comparison::kNotIn:
      return !Contains(runtime, b, a);
  }
  return false;
}

bool Contains(Runtime& runtime, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.Is(Kind::kString)) {
        runtime.Fail(fmt::format("{} in a string: only a string can be", TypeName(item.kind())));
      }
      runtime.StepBytes(container.size());
      return python::Find(container.text(), item.text()) != std::string_view::npos;
    case Kind::kDict:
      if (!IsHashable(item)) {
        runtime.Fail(fmt::format("{} as a key of a mapping", TypeName(item.kind())));
      }
      return FindEntry(runtime, container, item) != nullptr;
    case Kind::kUndefined:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
    case Kind::kRange:
    case Kind::kIterator: {
      const auto items = ItemsOf(runtime, container);
      return std::any_of(items.begin(), items.end(),
                         [&](const Value& v) { return Equal(runtime, v, item); });
    }
    default:
      runtime.Fail(fmt::format("'in' of {}", TypeName(container.kind())));
  }
}

namespace {

Value IntegerArithmetic(Runtime& runtime, Op op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Op::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Op::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Op::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Op::kPower:
      result = 1;
      for (int64_t i = 0; i < b && !overflow && !(a == 0 || a == 1); ++i) {
        overflow = __builtin_mul_overflow(result, a, &result);
        if (a == -1 && i == (b & 1)) break;
      }
      if (a == 0 && b > 0) result = 0;
      if (a == -1) result = (b & 1) != 0 ? -1 : 1;
      break;
    default:  // kFloorDivide, kModulo
      if (b == 0) runtime.Fail("a division by zero");
      if (b == -1) {
        overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
        if (op == Op::kModulo) return Value::Int(0);
        break;
      }
      result = op == Op::kModulo ? a % b : a / b;
      if (op == Op::kModulo && result != 0 && (result < 0) != (b < 0)) result += b;
      if (op == Op::kFloorDivide && a % b != 0 && (a < 0) != (b < 0)) --result;
  }
  if (overflow) runtime.Fail("an integer beyond 64 bits");
  return Value::Int(result);
}

Value FloatArithmetic(Runtime& runtime, Op op, double a, double b) {
  switch (op) {
    case Op::kAdd:
      return Value::Float(a + b);
    case Op::kSubtract:
      return Value::Float(a - b);
    case Op::kMultiply:
      return Value::Float(a * b);
    case Op::kPower: {
      if (a == 0 && b < 0) runtime.Fail("a division by zero");
      const double power = std::pow(a, b);
      if (std::isnan(power) && !std::isnan(a) && !std::isnan(b)) {
        runtime.Fail("the root of a negative number");
      }
      if (std::isinf(power) && !std::isinf(a) && !std::isinf(b)) {
        runtime.Fail("a float that is too large");
      }
      return Value::Float(power);
    }
    default:
      break;
  }
  if (b == 0) runtime.Fail("a division by zero");
  if (op == Op::kDivide) return Value::Float(a / b);
  double rest = std::fmod(a, b), quotient = (a - rest) / b;
  if (rest == 0) {
    rest = std::copysign(0.0, b);
  } else if ((b < 0) != (rest < 0)) {
    rest += b;
    quotient -= 1;
  }
  if (op == Op::kModulo) return Value::Float(rest);
  if (quotient == 0) return Value::Float(std::copysign(0.0, a / b));
  const double floor = std::floor(quotient);
  return Value::Float(quotient - floor > 0.5 ? floor + 1 : floor);
}

Value Repeat(Runtime& runtime, const Value& value, int64_t count) {
  count = std::max<int64_t>(count, 0);
  const int64_t unit = std::max<int64_t>(value.size(), 1);
  if (count > INT64_MAX / unit / 16) runtime.CheckText(SIZE_MAX);
  const size_t total = static_cast<size_t>(count) * value.size();
  if (value.Is(Kind::kString)) {
    runtime.CheckText(total);
    runtime.StepBytes(total);
    char* memory = static_cast<char*>(runtime.Take(total));
    for (size_t i = 0; value.size() > 0 && i < total; i += value.size()) {
      std::memcpy(memory + i, value.pointer(), value.size());
    }
    return Value::String({memory, total}, value.is_markup());
  }
  const std::span<Value> items = runtime.New<Value>(total);
  for (size_t i = 0; i < total; ++i) items[i] = value.items()[i % value.size()];
  return value.Is(Kind::kList) ? Value::List(items) : Value::Tuple(items);
}

Value Add(Runtime& runtime, const Value& a, const Value& b) {
  if (a.Is(Kind::kString) && b.Is(Kind::kString)) {
    if (a.is_markup() == b.is_markup()) return runtime.Concat(a.text(), b.text(), a.is_markup());
    runtime.StepBytes(a.size() + b.size());
    return a.is_markup() ? runtime.Concat(a.text(), EscapedHtml(b.text()), true)
                         : runtime.Concat(EscapedHtml(a.text()), b.text(), true);
  }
  if (a.kind() == b.kind() && (a.Is(Kind::kList) || a.Is(Kind::kTuple))) {
    const std::span<Value> items = runtime.New<Value>(size_t{a.size()} + b.size());
    std::copy(a.items().begin(), a.items().end(), items.begin());
    std::copy(b.items().begin(), b.items().end(), items.begin() + a.size());
    return a.Is(Kind::kList) ? Value::List(items) : Value::Tuple(items);
  }
  FailOperands(runtime, "+", a, b);
}

const char* Symbol(Op op) {
  switch (op) {
    case Op::kSubtract:
      return "-";
    case Op::kMultiply:
      return "*";
    case Op::kDivide:
      return "/";
    case Op::kFloorDivide:
      return "//";
    case Op::kModulo:
      return "%";
    default:
      return "**";
  }
}
}  // namespace

Value Arithmetic(Runtime& runtime, Op op, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    if (op == Op::kDivide || (op == Op::kPower && b.integer() < 0)) {
      return FloatArithmetic(runtime, op, a.real(), b.real());
    }
    return IntegerArithmetic(runtime, op, a.integer(), b.integer());
  }
  if (a.is_number() && b.is_number()) return FloatArithmetic(runtime, op, a.real(), b.real());
  if (op == Op::kAdd) return Add(runtime, a, b);
  const auto repeats = [](const Value& v) {
    return v.Is(Kind::kString) || v.Is(Kind::kList) || v.Is(Kind::kTuple);
  };
  if (op == Op::kMultiply && repeats(a) && b.is_integral()) return Repeat(runtime, a, b.integer());
  if (op == Op::kMultiply && a.is_integral() && repeats(b)) return Repeat(runtime, b, a.integer());
  if (op == Op::kModulo && a.Is(Kind::kString)) {
    if (a.is_markup()) runtime.Fail("'%' of a string marked safe, which is not supported");
    return runtime.Text(PercentFormat(runtime, a.text(), b));
  }
  FailOperands(runtime, Symbol(op), a, b);
}

Value Negate(Runtime& runtime, const Value& value, bool positive) {
  if (value.Is(Kind::kUndefined)) runtime.FailUndefined(value);
  if (!value.is_number()) runtime.Fail(fmt::format("the sign of {}", TypeName(value.kind())));
  if (value.Is(Kind::kFloat)) return Value::Float(positive ? value.real() : -value.real());
  return positive ? Value::Int(value.integer())
                  : IntegerArithmetic(runtime, Op::kSubtract, 0, value.integer());
}

std::vector<size_t> SortedOrder(Runtime& runtime, std::span<const Value> keys, bool reverse) {
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return reverse ? Less(runtime, keys[b], keys[a], false)
                   : Less(runtime, keys[a], keys[b], false);
  });
  return order;
}

}  // namespace pawl::text::jinja
