// The normalisers of a tokenizer.json: what happens to a text before it is split. Immutable, any
// thread. Their results equal the package's, text and offsets.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "text/normalized_text.h"

namespace pawl::text {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void Apply(NormalizedText& text) const = 0;
  // What ReadNormalizer reads and the package writes.
  virtual nlohmann::ordered_json ToJson() const = 0;
};

// Of the "normalizer" entry: NFC NFD NFKC NFKD, Lowercase, Strip, StripAccents, Prepend, Replace,
// Nmt, Sequence; nullptr where it is null. Throws UserError naming `source`, the entry and, for the
// kinds that are not here (BertNormalizer, Precompiled, ByteLevel), the kind.
std::unique_ptr<const Normalizer> ReadNormalizer(const nlohmann::json& entry,
                                                 const std::string& source);

}  // namespace pawl::text
