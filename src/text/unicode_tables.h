// The tables behind unicode.h, for what builds sets of code points from them. Pure functions.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "text/unicode.h"

namespace pawl::text::internal {

struct CodePointRange {
  char32_t first, last;
  bool operator==(const CodePointRange&) const = default;
};
// Where the general category changes, ascending: code point << 5 | Category.
std::span<const uint32_t> CategoryRuns();
std::span<const CodePointRange> SpaceRanges();
// \w without what its categories hold (L, M, Nd, Pc).
std::span<const CodePointRange> WordExtras();
// Of a script ("Han"), in its spelling of \p{..}; empty where it is not known.
std::span<const CodePointRange> ScriptRanges(std::string_view name);
// Groups of code points that are the same when case is ignored, each ended by a 0.
std::span<const char32_t> CaseGroups();

}  // namespace pawl::text::internal
