// Errors and checks. One exception type, pawl::Error, carries one clear line and an exit code.
//   UserError(...)   : bad input (config, file, argument): what, where, expected, hint. Code 2.
//   RunError(...)    : the run cannot go on (disk full, NaN, actor lost for good). Code 1.
//   PAWL_CHECK*(...) : a condition that must hold; throws with expression, values and file:line.
//   PAWL_DCHECK(...) : the same for bugs in inner code; only in debug builds.
// Caught in main, at a request boundary and at thread joins. Thread-safe: no state.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace pawl {

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, int exit_code = 1)
      : std::runtime_error(message), exit_code_(exit_code) {}
  // Process exit code: 1 failed, 2 bad usage or config.
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// Bad input, as one line: "<what> [at <where>]: expected <expected> (<hint>)". Empty parts are left
// out.
struct UserErrorParts {
  std::string what;      // what was found: "unknown key 'ppo.gama'"
  std::string where;     // file:line, key or argument
  std::string expected;  // what would have been right
  std::string hint;      // what to do: "did you mean 'ppo.gamma'?"
};
Error UserError(const UserErrorParts& parts);

// The run cannot go on; exit code 1, same one-line form.
Error RunError(const UserErrorParts& parts);

// The known name nearest to `name` by edit distance (at most max(2, length / 3) away), or "".
template <class Range>
std::string NearestName(std::string_view name, const Range& known);
int EditDistance(std::string_view a, std::string_view b);

template <class Range>
std::string NearestName(std::string_view name, const Range& known) {
  std::string best;
  int best_distance = std::max<int>(2, static_cast<int>(name.size()) / 3) + 1;
  for (const auto& candidate : known) {
    int distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

namespace internal {
[[noreturn]] void ThrowCheck(const char* file, int line, const char* expression,
                             const std::string& values, const std::string& message);
template <class T>
std::string ShowValue(const T& value) {
  if constexpr (fmt::is_formattable<T>::value) {
    return fmt::format("{}", value);
  } else {
    return "?";
  }
}
inline std::string Message() { return {}; }
template <class... Args>
std::string Message(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}
}  // namespace internal
}  // namespace pawl

// PAWL_CHECK(condition [, "format {}", args...])
#define PAWL_CHECK(condition, ...)                                          \
  do {                                                                      \
    if (!(condition)) [[unlikely]]                                          \
      ::pawl::internal::ThrowCheck(__FILE__, __LINE__, #condition, "",      \
                                   ::pawl::internal::Message(__VA_ARGS__)); \
  } while (false)

#define PAWL_CHECK_OP_(op, a, b, ...)                                                           \
  do {                                                                                          \
    const auto& pawl_a_ = (a);                                                                  \
    const auto& pawl_b_ = (b);                                                                  \
    if (!(pawl_a_ op pawl_b_)) [[unlikely]]                                                     \
      ::pawl::internal::ThrowCheck(                                                             \
          __FILE__, __LINE__, #a " " #op " " #b,                                                \
          ::pawl::internal::ShowValue(pawl_a_) + " vs " + ::pawl::internal::ShowValue(pawl_b_), \
          ::pawl::internal::Message(__VA_ARGS__));                                              \
  } while (false)
#define PAWL_CHECK_EQ(a, b, ...) PAWL_CHECK_OP_(==, a, b, __VA_ARGS__)
#define PAWL_CHECK_NE(a, b, ...) PAWL_CHECK_OP_(!=, a, b, __VA_ARGS__)
#define PAWL_CHECK_LT(a, b, ...) PAWL_CHECK_OP_(<, a, b, __VA_ARGS__)
#define PAWL_CHECK_LE(a, b, ...) PAWL_CHECK_OP_(<=, a, b, __VA_ARGS__)
#define PAWL_CHECK_GT(a, b, ...) PAWL_CHECK_OP_(>, a, b, __VA_ARGS__)
#define PAWL_CHECK_GE(a, b, ...) PAWL_CHECK_OP_(>=, a, b, __VA_ARGS__)

#ifdef NDEBUG
#define PAWL_DCHECK(condition, ...) \
  do {                              \
  } while (false && (condition))
#else
#define PAWL_DCHECK(condition, ...) PAWL_CHECK(condition, ##__VA_ARGS__)
#endif
