// A tokenizer.json as it is read: the vocabulary and the merges, which are nearly all of it, go
// straight into lists; the rest is a JSON document.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/merge_table.h"
#include "text/vocabulary.h"

namespace pawl::text {

struct TokenizerDocument {
  nlohmann::json rest;  // without model.vocab and model.merges
  std::vector<Vocabulary::Entry> vocab;
  MergeList merges;
  bool has_vocab = false, has_merges = false;
};

// Throws UserError naming `source` and the byte where it is not JSON, or vocabulary or merges are
// not what they must be.
TokenizerDocument ReadTokenizerDocument(std::string_view text, const std::string& source);

}  // namespace pawl::text
