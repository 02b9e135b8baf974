#include "text/normal_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <unordered_map>

#include "text/code_point_set.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace pawl::text::internal {
namespace {
using Change = NormalizedText::Change;

// What stays as it is in the package and not in utf8proc, which knows a later Unicode.
using Range = CodePointRange;
#include "text/normal_form_tables.inc"

// Nothing above is composed, decomposed or ordered.
constexpr char32_t kEnd = 0x30000;
constexpr size_t kMaxDecomposition = 18;  // U+FDFA

bool IsInert(char32_t c) {
  const auto after =
      std::upper_bound(std::begin(kInert), std::end(kInert), c,
                       [](char32_t value, const Range& r) { return value < r.first; });
  return c >= kEnd || (after != std::begin(kInert) && c <= std::prev(after)->last) ||
         CategoryOf(c) == Category::kCn;
}

uint8_t CombiningClass(char32_t c) {
  if (c < 0x300 || IsInert(c)) return 0;
  return static_cast<uint8_t>(
      utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class);
}

struct Decomposition {
  std::array<utf8proc_int32_t, 32> code_points;
  size_t size = 1;
};

Decomposition Decompose(char32_t c, bool compatible) {
  Decomposition result;
  result.code_points[0] = static_cast<utf8proc_int32_t>(c);
  if (IsInert(c)) return result;
  int boundary = 0;
  const int options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
  const utf8proc_ssize_t size =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), result.code_points.data(),
                              static_cast<utf8proc_ssize_t>(result.code_points.size()),
                              static_cast<utf8proc_option_t>(options), &boundary);
  if (size > 0 && static_cast<size_t>(size) <= kMaxDecomposition) {
    result.size = static_cast<size_t>(size);
  }
  return result;
}

// The composition of some decomposed code points, in their order.
std::vector<utf8proc_int32_t> Composed(std::span<const utf8proc_int32_t> code_points) {
  std::vector<utf8proc_int32_t> buffer(code_points.begin(), code_points.end());
  buffer.push_back(0);  // utf8proc may end its result with a 0
  const utf8proc_ssize_t size =
      utf8proc_normalize_utf32(buffer.data(), static_cast<utf8proc_ssize_t>(code_points.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  buffer.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return buffer;
}

uint64_t PairKey(char32_t first, char32_t second) { return uint64_t{first} << 32 | second; }

struct Tables {
  std::unordered_map<uint64_t, char32_t> composites;  // of canonical pairs, without Hangul
  // Code points that may change or move, or change the one before.
  std::vector<CharClass> unstable;  // [4] by NormalForm

  Tables() {
    std::array<CodePointSet, 4> sets;
    std::array<std::vector<char32_t>, 4> members;
    CodePointSet second = CodePointSet::Of(0x1161, 0x1175).Union(CodePointSet::Of(0x11A8, 0x11C2));
    std::vector<char32_t> seconds;
    for (char32_t c = 0xA0; c < kEnd; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      const Decomposition canonical = Decompose(c, false), compatible = Decompose(c, true);
      const auto changes = [&](const Decomposition& d) {
        return d.size != 1 || d.code_points[0] != static_cast<utf8proc_int32_t>(c);
      };
      const bool moves = CombiningClass(c) != 0, splits = changes(canonical);
      const bool hangul = c >= 0xAC00 && c < 0xD7A4;
      bool comes_back = !splits || hangul;
      if (splits && !hangul && canonical.size > 1) {
        const std::span points(canonical.code_points.data(), canonical.size);
        const auto whole = Composed(points), first = Composed(points.first(canonical.size - 1));
        comes_back = whole.size() == 1 && whole[0] == static_cast<utf8proc_int32_t>(c);
        if (comes_back && first.size() == 1) {
          const auto last = static_cast<char32_t>(points.back());
          composites[PairKey(static_cast<char32_t>(first[0]), last)] = c;
          seconds.push_back(last);
        }
      }
      const bool compatible_same =
          compatible.size == canonical.size &&
          std::equal(canonical.code_points.begin(),
                     canonical.code_points.begin() + static_cast<ptrdiff_t>(canonical.size),
                     compatible.code_points.begin());
      if (moves || !comes_back) members[0].push_back(c);
      if (moves || splits) members[1].push_back(c);
      if (moves || !comes_back || !compatible_same) members[2].push_back(c);
      if (moves || changes(compatible)) members[3].push_back(c);
    }
    std::sort(seconds.begin(), seconds.end());
    for (const char32_t c : seconds) second = second.Union(CodePointSet::Of(c, c));
    for (size_t form = 0; form < 4; ++form) {
      std::vector<CodePointRange> ranges;
      for (const char32_t c : members[form]) {
        if (!ranges.empty() && ranges.back().last + 1 == c) {
          ranges.back().last = c;
        } else {
          ranges.push_back({c, c});
        }
      }
      sets[form] = CodePointSet::OfRanges(ranges);
      if (form == 0 || form == 2) sets[form] = sets[form].Union(second);
      unstable.emplace_back(sets[form]);
    }
  }
};

const Tables& TheTables() {
  static const Tables tables;
  return tables;
}

// The primary composite of two code points, or 0.
char32_t Compose(char32_t a, char32_t b) {
  // Hangul: a leading consonant and a vowel, or those two and a trailing consonant
  if (a >= 0x1100 && a < 0x1113 && b >= 0x1161 && b < 0x1176) {
    return 0xAC00 + ((a - 0x1100) * 21 + (b - 0x1161)) * 28;
  }
  if (a >= 0xAC00 && a < 0xD7A4 && (a - 0xAC00) % 28 == 0 && b > 0x11A7 && b < 0x11C3) {
    return a + (b - 0x11A7);
  }
  const auto found = TheTables().composites.find(PairKey(a, b));
  return found == TheTables().composites.end() ? 0 : found->second;
}

struct Point {
  char32_t value;
  uint8_t combining;  // class
  int32_t change;
};

// In canonical order: marks between two starters by their class.
void Order(std::vector<Point>& points) {
  for (size_t begin = 0; begin < points.size();) {
    size_t end = begin + 1;
    while (end < points.size() && points[end].combining != 0) ++end;
    std::stable_sort(points.begin() + static_cast<ptrdiff_t>(begin),
                     points.begin() + static_cast<ptrdiff_t>(end),
                     [](const Point& a, const Point& b) { return a.combining < b.combining; });
    begin = end;
  }
}

// Puts together what is in canonical order. A composite takes the place of all that it is made of,
// with the package's count of them.
void Recompose(const std::vector<Point>& points, std::vector<Change>& out) {
  std::vector<Change> marks;  // behind the starter, not composed with it
  bool has_starter = false;
  Change starter;
  int last_class = -1;  // of `marks`
  const auto flush = [&] {
    if (has_starter) out.push_back(starter);
    out.insert(out.end(), marks.begin(), marks.end());
    marks.clear();
    last_class = -1;
  };
  for (const Point& point : points) {
    const Change here{point.value, point.change};
    if (!has_starter) {
      if (point.combining != 0) {
        out.push_back(here);
      } else {
        starter = here;
        has_starter = true;
      }
      continue;
    }
    // a mark of the same class, or a starter behind marks, is blocked
    const bool blocked = last_class >= static_cast<int>(point.combining);
    const char32_t composite = blocked ? 0 : Compose(starter.code_point, point.value);
    if (composite != 0) {
      starter = {composite, starter.change + point.change - 1};
    } else if (point.combining == 0) {
      flush();
      starter = here;
    } else {
      marks.push_back(here);
      last_class = point.combining;
    }
  }
  flush();
}

void NormaliseSegment(const std::vector<char32_t>& segment, NormalForm form,
                      std::vector<Change>& out) {
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  std::vector<Point> points;
  for (const char32_t c : segment) {
    const Decomposition parts = Decompose(c, compatible);
    for (size_t i = 0; i < parts.size; ++i) {
      const auto part = static_cast<char32_t>(parts.code_points[i]);
      points.push_back({part, CombiningClass(part), i > 0 ? 1 : 0});
    }
  }
  Order(points);
  if (form == NormalForm::kNfc || form == NormalForm::kNfkc) {
    Recompose(points, out);
  } else {
    for (const Point& point : points) out.push_back({point.value, point.change});
  }
}
}  // namespace

bool ToNormalForm(std::string_view text, NormalForm form, std::vector<Change>& changes) {
  const CharClass& unstable = TheTables().unstable[static_cast<size_t>(form)];
  // most texts are in the form already
  size_t at = 0;
  bool changed = false;
  while (at < text.size() && !changed) {
    if (unstable.bytes()[static_cast<uint8_t>(text[at])] == CharClass::kNo) {
      do ++at;
      while (at < text.size() && (text[at] & 0xC0) == 0x80);
      continue;
    }
    const CodePoint point = CodePointAt(text, at);
    changed = unstable.Contains(point.value);
    if (!changed) at += point.size;
  }
  if (!changed) return false;
  changes.clear();
  changes.reserve(text.size());
  // a stable code point and the unstable ones behind it are normalised together
  std::vector<char32_t> segment;
  const auto flush = [&] {
    if (segment.size() == 1 && !unstable.Contains(segment[0])) {
      changes.push_back({segment[0], 0});
    } else {
      NormaliseSegment(segment, form, changes);
    }
    segment.clear();
  };
  for (at = 0; at < text.size();) {
    const CodePoint point = CodePointAt(text, at);
    at += point.size;
    if (!unstable.Contains(point.value) && !segment.empty()) flush();
    segment.push_back(point.value);
  }
  flush();
  return true;
}

}  // namespace pawl::text::internal
