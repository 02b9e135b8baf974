#include "text/answer.h"

#include <algorithm>

#include "text/python_text.h"

namespace pawl::text {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The number that begins at `at`, after blanks; "" where there is none.
std::string NumberAt(std::string_view text, size_t at) {
  if (at < text.size() && text[at] == ' ') ++at;
  size_t end = at;
  if (end < text.size() && text[end] == '-') ++end;
  const size_t digits = end;
  while (end < text.size() && (IsDigit(text[end]) || text[end] == '.' || text[end] == ',')) ++end;
  if (end == digits) return "";
  std::string number(text.substr(at, end - at));
  std::erase(number, ',');
  while (!number.empty() && number.back() == '.') number.pop_back();
  return number;
}

// The number behind the last mark that has one; `first`: of marks that begin a line.
std::string NumberBehind(std::string_view text, std::string_view mark, bool first) {
  for (size_t end = text.size(); end > 0;) {
    const size_t at = text.substr(0, end).rfind(mark);
    if (at == text.npos) break;
    const bool counts = !first || at == 0 || text[at - 1] == '\n';
    std::string number = counts ? NumberAt(text, at + mark.size()) : "";
    if (!number.empty()) return number;
    end = at + mark.size() - 1;
  }
  return "";
}

void ReplaceAll(std::string& text, std::string_view old, std::string_view replacement) {
  text = python::Replace(text, old, replacement, -1);
}

// \frac12 and \frac1{2}: braces around what are single characters.
std::string WithFractionBraces(std::string_view text) {
  constexpr std::string_view kFraction = "\\frac";
  std::string out;
  size_t at = 0;
  while (true) {
    const size_t next = text.find(kFraction, at);
    if (next == text.npos) return out.append(text.substr(at));
    out.append(text.substr(at, next + kFraction.size() - at));
    at = next + kFraction.size();
    if (at >= text.size() || text[at] == '{') continue;
    if (at + 1 >= text.size()) return std::string(out).append(text.substr(at));
    out.append("{").append(1, text[at]).append("}");
    if (text[at + 1] == '{') {
      ++at;
    } else {
      out.append("{").append(1, text[at + 1]).append("}");
      at += 2;
    }
  }
}

// \sqrt3: braces around the character.
std::string WithRootBraces(std::string_view text) {
  constexpr std::string_view kRoot = "\\sqrt";
  std::string out;
  size_t at = 0;
  while (true) {
    const size_t next = text.find(kRoot, at);
    if (next == text.npos) return out.append(text.substr(at));
    out.append(text.substr(at, next + kRoot.size() - at));
    at = next + kRoot.size();
    if (at >= text.size() || text[at] == '{') continue;
    out.append("{").append(1, text[at]).append("}");
    ++at;
  }
}

// An integer over an integer as \frac.
std::string WithoutSlash(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == text.npos || text.find('/', slash + 1) != text.npos) return text;
  const auto a = python::ParseInt(text.substr(0, slash), 10);
  const auto b = python::ParseInt(text.substr(slash + 1), 10);
  if (!a || !b) return text;
  const std::string top = std::to_string(*a), bottom = std::to_string(*b);
  if (text != top + "/" + bottom) return text;
  return std::string("\\frac{").append(top).append("}{").append(bottom).append("}");
}
}  // namespace

std::optional<std::string> Gsm8kAnswer(std::string_view solution) {
  std::string number = NumberBehind(solution, "####", /*first=*/false);
  if (number.empty()) number = NumberBehind(solution, "A:", /*first=*/true);
  return number.empty() ? std::nullopt : std::optional(number);
}

bool IsGsm8kCorrect(std::string_view solution, std::string_view reference) {
  const auto answer = Gsm8kAnswer(solution), wanted = Gsm8kAnswer(reference);
  return answer && wanted && *answer == *wanted;
}

std::optional<std::string> LastNumber(std::string_view text) {
  const size_t last = text.find_last_of("0123456789");
  if (last == text.npos) return std::nullopt;
  size_t begin = last;
  const auto joins = [&](size_t at) {
    // '.' and ',' between digits belong to a number
    return IsDigit(text[at]) || ((text[at] == '.' || text[at] == ',') && IsDigit(text[at + 1]));
  };
  while (begin > 0 && joins(begin - 1)) --begin;
  if (text[begin] == ',') ++begin;
  // a sign, but not the minus of a difference
  const bool has_sign = begin > 0 && text[begin - 1] == '-' &&
                        (begin < 2 || !(IsDigit(text[begin - 2]) || text[begin - 2] == ')'));
  std::string number(
      text.substr(begin - (has_sign ? 1 : 0), last + 1 - begin + (has_sign ? 1 : 0)));
  std::erase(number, ',');
  return number;
}

std::optional<std::string> LastBoxed(std::string_view text) {
  size_t at = text.rfind("\\boxed");
  size_t length = 6;
  if (at == text.npos) {
    at = text.rfind("\\fbox");
    length = 5;
  }
  if (at == text.npos) return std::nullopt;
  size_t begin = at + length;
  if (begin < text.size() && text[begin] == ' ' && length == 6) {
    const std::string_view rest = text.substr(begin + 1);
    return std::string(rest.substr(0, rest.find('$')));
  }
  if (begin >= text.size() || text[begin] != '{') return std::nullopt;
  int64_t depth = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return std::string(text.substr(begin + 1, i - begin - 1));
  }
  return std::nullopt;
}

std::string NormalLatex(std::string_view answer) {
  std::string text(answer);
  for (const std::string_view removed : {"\n", "\\!"}) ReplaceAll(text, removed, "");
  ReplaceAll(text, "\\\\", "\\");
  ReplaceAll(text, "tfrac", "frac");
  ReplaceAll(text, "dfrac", "frac");
  for (const std::string_view removed : {"\\left", "\\right", "^{\\circ}", "^\\circ", "\\$"}) {
    ReplaceAll(text, removed, "");
  }
  // units stand behind a last "\text{ "
  if (const size_t unit = text.rfind("\\text{ "); unit != text.npos) text.resize(unit);
  ReplaceAll(text, "\\%", "");
  ReplaceAll(text, " .", " 0.");
  ReplaceAll(text, "{.", "{0.");
  if (text.empty()) return text;
  if (text[0] == '.') text.insert(text.begin(), '0');
  // "k = 2" with a short name on the left
  const size_t equals = text.find('=');
  if (equals != text.npos && equals <= 2 && text.find('=', equals + 1) == text.npos) {
    text.erase(0, equals + 1);
  }
  text = WithRootBraces(text);
  ReplaceAll(text, " ", "");
  text = WithFractionBraces(text);
  if (text == "0.5") text = "\\frac{1}{2}";
  return WithoutSlash(text);
}

bool IsSameLatex(std::string_view a, std::string_view b) {
  return NormalLatex(a) == NormalLatex(b);
}

}  // namespace pawl::text
