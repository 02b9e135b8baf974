#include "core/error.h"

#include <algorithm>
#include <vector>

namespace pawl {
namespace {
std::string OneLine(const UserErrorParts& parts) {
  std::string line = parts.what;
  if (!parts.where.empty()) line += " at " + parts.where;
  if (!parts.expected.empty()) line += ": expected " + parts.expected;
  if (!parts.hint.empty()) line += " (" + parts.hint + ")";
  // what() ends at a zero byte, which a text from outside may hold
  for (size_t at = 0; (at = line.find('\0', at)) != line.npos;) line.replace(at, 1, "\\x00");
  return line;
}
}  // namespace

Error UserError(const UserErrorParts& parts) { return Error(OneLine(parts), 2); }
Error RunError(const UserErrorParts& parts) { return Error(OneLine(parts), 1); }

int EditDistance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      int substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

namespace internal {
void ThrowCheck(const char* file, int line, const char* expression, const std::string& values,
                const std::string& message) {
  std::string text = fmt::format("check failed: {}", expression);
  if (!values.empty()) text += fmt::format(" ({})", values);
  if (!message.empty()) text += ": " + message;
  text += fmt::format(" [{}:{}]", file, line);
  throw Error(text);
}
}  // namespace internal
}  // namespace pawl
