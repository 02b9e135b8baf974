// The pre-tokenizers of a tokenizer.json: how a normalised text is cut into the words that the
// model sees. Immutable; any thread. Their results equal the package's, text and offsets.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "text/pieces.h"

namespace pawl::text {

// What becomes of the matches that a text is cut at.
enum class SplitBehavior : uint8_t {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void Apply(Pieces& pieces) const = 0;
};

struct PreTokenizers {
  std::vector<std::unique_ptr<const PreTokenizer>> steps;
  // The last step is ByteLevel: what it writes, bytes as symbols, is left to the model, which may
  // take the bytes themselves; MakeBytesToSymbols is the step for those that do not.
  bool ends_in_bytes = false;
  // How the pieces of a text begin matters (Metaspace's "first").
  bool asks_for_start = false;
};

// Of the "pre_tokenizer" entry: ByteLevel, Metaspace, Split, Digits, Whitespace, WhitespaceSplit,
// Punctuation, Sequence; none where it is null. Throws UserError naming `source` and the kind for
// others.
PreTokenizers ReadPreTokenizers(const nlohmann::json& entry, const std::string& source);
// A character of a word to the package's Rust side: \w of added tokens (single_word) and of the
// Whitespace pre-tokenizer.
bool IsWordCharacter(char32_t code_point);
// Writes bytes as GPT-2's symbols.
std::unique_ptr<const PreTokenizer> MakeBytesToSymbols();

}  // namespace pawl::text
