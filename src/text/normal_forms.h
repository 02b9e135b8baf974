// NFC, NFD, NFKC and NFKD as the package has them: Unicode's forms with the characters it knows.
// Those that came to Unicode later stay as they are. Decompositions are utf8proc's. Pure functions.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/normalized_text.h"

namespace pawl::text::internal {

enum class NormalForm : uint8_t { kNfc, kNfd, kNfkc, kNfkd };
// The text in that form, as changes of it; false where it is in that form already.
bool ToNormalForm(std::string_view text, NormalForm form,
                  std::vector<NormalizedText::Change>& changes);

}  // namespace pawl::text::internal
