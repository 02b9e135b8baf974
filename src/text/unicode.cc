#include "text/unicode.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "text/unicode_tables.h"

namespace pawl::text {
namespace {
using Range = internal::CodePointRange;
struct Mapping {
  char32_t from, to;
};
#include "text/unicode_tables.inc"

constexpr CategorySet Bits(Category first, Category last) {
  CategorySet set = 0;
  for (int i = static_cast<int>(first); i <= static_cast<int>(last); ++i)
    set |= CategorySet{1} << i;
  return set;
}
constexpr CategorySet kLetters = Bits(Category::kLu, Category::kLo);
constexpr CategorySet kMarks = Bits(Category::kMn, Category::kMe);
constexpr CategorySet kNumbers = Bits(Category::kNd, Category::kNo);
constexpr CategorySet kPunctuation = Bits(Category::kPc, Category::kPo);
constexpr CategorySet kSymbols = Bits(Category::kSm, Category::kSo);
constexpr CategorySet kSeparators = Bits(Category::kZs, Category::kZp);
constexpr CategorySet kOthers = Bits(Category::kCc, Category::kCn);
constexpr CategorySet kCased = Bits(Category::kLu, Category::kLt);

struct NamedCategories {
  std::string_view name;  // in small letters
  CategorySet set;
};
constexpr CategorySet One(Category category) { return Bits(category, category); }
constexpr NamedCategories kNames[] = {
    {"l", kLetters},
    {"letter", kLetters},
    {"lc", kCased},
    {"casedletter", kCased},
    {"m", kMarks},
    {"mark", kMarks},
    {"combiningmark", kMarks},
    {"n", kNumbers},
    {"number", kNumbers},
    {"p", kPunctuation},
    {"punctuation", kPunctuation},
    {"s", kSymbols},
    {"symbol", kSymbols},
    {"z", kSeparators},
    {"separator", kSeparators},
    {"c", kOthers},
    {"other", kOthers},
    {"any", kAllCategories},
    {"assigned", kAllCategories & ~One(Category::kCn)},
    {"lu", One(Category::kLu)},
    {"uppercaseletter", One(Category::kLu)},
    {"ll", One(Category::kLl)},
    {"lowercaseletter", One(Category::kLl)},
    {"lt", One(Category::kLt)},
    {"titlecaseletter", One(Category::kLt)},
    {"lm", One(Category::kLm)},
    {"modifierletter", One(Category::kLm)},
    {"lo", One(Category::kLo)},
    {"otherletter", One(Category::kLo)},
    {"mn", One(Category::kMn)},
    {"nonspacingmark", One(Category::kMn)},
    {"mc", One(Category::kMc)},
    {"spacingmark", One(Category::kMc)},
    {"me", One(Category::kMe)},
    {"enclosingmark", One(Category::kMe)},
    {"nd", One(Category::kNd)},
    {"decimalnumber", One(Category::kNd)},
    {"nl", One(Category::kNl)},
    {"letternumber", One(Category::kNl)},
    {"no", One(Category::kNo)},
    {"othernumber", One(Category::kNo)},
    {"pc", One(Category::kPc)},
    {"connectorpunctuation", One(Category::kPc)},
    {"pd", One(Category::kPd)},
    {"dashpunctuation", One(Category::kPd)},
    {"ps", One(Category::kPs)},
    {"openpunctuation", One(Category::kPs)},
    {"pe", One(Category::kPe)},
    {"closepunctuation", One(Category::kPe)},
    {"pi", One(Category::kPi)},
    {"initialpunctuation", One(Category::kPi)},
    {"pf", One(Category::kPf)},
    {"finalpunctuation", One(Category::kPf)},
    {"po", One(Category::kPo)},
    {"otherpunctuation", One(Category::kPo)},
    {"sm", One(Category::kSm)},
    {"mathsymbol", One(Category::kSm)},
    {"sc", One(Category::kSc)},
    {"currencysymbol", One(Category::kSc)},
    {"sk", One(Category::kSk)},
    {"modifiersymbol", One(Category::kSk)},
    {"so", One(Category::kSo)},
    {"othersymbol", One(Category::kSo)},
    {"zs", One(Category::kZs)},
    {"spaceseparator", One(Category::kZs)},
    {"zl", One(Category::kZl)},
    {"lineseparator", One(Category::kZl)},
    {"zp", One(Category::kZp)},
    {"paragraphseparator", One(Category::kZp)},
    {"cc", One(Category::kCc)},
    {"control", One(Category::kCc)},
    {"cf", One(Category::kCf)},
    {"format", One(Category::kCf)},
    {"cs", One(Category::kCs)},
    {"surrogate", One(Category::kCs)},
    {"co", One(Category::kCo)},
    {"privateuse", One(Category::kCo)},
    {"cn", One(Category::kCn)},
    {"unassigned", One(Category::kCn)},
};

struct NamedScript {
  std::string_view name;
  std::span<const Range> ranges;
};
constexpr NamedScript kScripts[] = {
    {"arabic", kArabic}, {"cyrillic", kCyrillic}, {"devanagari", kDevanagari},
    {"greek", kGreek},   {"han", kHan},           {"hangul", kHangul},
    {"hebrew", kHebrew}, {"hiragana", kHiragana}, {"katakana", kKatakana},
    {"latin", kLatin},   {"thai", kThai},
};

// Names are compared in small letters, without blanks, '_' and '-'.
std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-') continue;
    plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return plain;
}

// Two stages: pages of 256 code points, most of which are the same as another.
struct CategoryTable {
  std::array<uint16_t, 0x1100> index{};
  std::vector<std::array<Category, 256>> pages;
  CategoryTable() {
    std::array<Category, 256> page;
    size_t run = 0;
    for (uint32_t c = 0; c <= kMaxCodePoint; ++c) {
      if (run + 1 < std::size(kCategoryRuns) && kCategoryRuns[run + 1] >> 5 == c) ++run;
      page[c & 255] = static_cast<Category>(kCategoryRuns[run] & 31);
      if ((c & 255) != 255) continue;
      const auto found = std::find(pages.begin(), pages.end(), page);
      const auto position = found - pages.begin();
      if (found == pages.end()) pages.push_back(page);
      index[c >> 8] = static_cast<uint16_t>(position);
    }
  }
};

template <size_t N>
bool In(char32_t c, const Range (&ranges)[N]) {
  const auto after =
      std::upper_bound(std::begin(ranges), std::end(ranges), c,
                       [](char32_t value, const Range& r) { return value < r.first; });
  return after != std::begin(ranges) && c <= std::prev(after)->last;
}
}  // namespace

Category CategoryOf(char32_t code_point) {
  static const CategoryTable table;
  if (code_point > kMaxCodePoint) return Category::kCn;
  return table.pages[table.index[code_point >> 8]][code_point & 255];
}

CategorySet CategoriesNamed(std::string_view name) {
  const std::string plain = Plain(name);
  for (const NamedCategories& named : kNames) {
    if (named.name == plain) return named.set;
  }
  return 0;
}

bool IsSpace(char32_t code_point) {
  if (code_point < 0x80) return code_point == ' ' || (code_point >= '\t' && code_point <= '\r');
  return In(code_point, kSpaceRanges);
}

bool IsRegexSpace(char32_t code_point) { return IsSpace(code_point); }
bool IsRegexDigit(char32_t code_point) { return CategoryOf(code_point) == Category::kNd; }
bool IsRegexWord(char32_t code_point) {
  return InCategories(code_point, kWordCategories) || In(code_point, kWordExtras);
}

bool IsNumeric(char32_t code_point) {
  return InCategories(code_point, kNumbers) != In(code_point, kNumericDifferences);
}

bool IsPunctuation(char32_t code_point) {
  return InCategories(code_point, kPunctuation) != In(code_point, kPunctuationDifferences);
}

bool IsMark(char32_t code_point) {
  return InCategories(code_point, kMarks) != In(code_point, kMarkDifferences);
}

LowerCase ToLower(char32_t code_point) {
  if (code_point < 0x80) {
    const bool upper = code_point >= 'A' && code_point <= 'Z';
    return {{upper ? code_point | 0x20 : code_point}, 1};
  }
  // the only one with a lower case of two: I with a dot, as i and the dot
  if (code_point == 0x130) return {{'i', 0x307}, 2};
  const auto found =
      std::lower_bound(std::begin(kLower), std::end(kLower), code_point,
                       [](const Mapping& mapping, char32_t c) { return mapping.from < c; });
  if (found == std::end(kLower) || found->from != code_point) return {{code_point}, 1};
  return {{found->to}, 1};
}

namespace internal {

std::span<const uint32_t> CategoryRuns() { return kCategoryRuns; }
std::span<const CodePointRange> SpaceRanges() { return kSpaceRanges; }
std::span<const CodePointRange> WordExtras() { return kWordExtras; }
std::span<const char32_t> CaseGroups() { return kCaseGroups; }

std::span<const CodePointRange> ScriptRanges(std::string_view name) {
  const std::string plain = Plain(name);
  for (const NamedScript& script : kScripts) {
    if (script.name == plain) return script.ranges;
  }
  return {};
}

}  // namespace internal
}  // namespace pawl::text
