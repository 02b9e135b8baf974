// A byte-pair encoding model: words to ids. Words are either text, whose code points are the first
// symbols, or raw bytes, whose first symbols are GPT-2's symbols of bytes (what the ByteLevel
// pre-tokenizer makes of text; here no such text is ever made). Immutable; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe_merge.h"
#include "text/code_point_map.h"
#include "text/cut_points.h"
#include "text/merge_table.h"
#include "text/vocabulary.h"

namespace pawl::text {

struct BpeOptions {
  std::optional<std::string> unk_token;
  std::string continuing_subword_prefix, end_of_word_suffix;
  bool fuse_unk = false;       // one unknown token for several unknown characters after each other
  bool byte_fallback = false;  // <0x..> tokens instead of the unknown token
  bool ignore_merges = false;  // a word that is a token needs no merges
};

enum class WordForm : uint8_t { kText, kBytes };

class BpeModel {
 public:
  // What Encode works in and what it leaves of a word.
  struct Word {
    std::vector<BpeSymbol> symbols;
    // characters without an id, a fallback and an unknown token: they are left out, as in the
    // package
    int64_t dropped = 0;
    char32_t first_dropped = 0;
    BpeMerger merger;
  };

  // Whether words may come as bytes: their result is that of the text of symbols.
  static bool TakesBytes(const Vocabulary& vocabulary, const BpeOptions& options);
  // Throws UserError naming `source` where a merge names an unknown token.
  BpeModel(Vocabulary vocabulary, const MergeList& merges, BpeOptions options, WordForm form,
           const std::string& source);

  // The tokens of a word of at least one byte and, as sizes, the bytes that each stands for. Text
  // is valid UTF-8. Throws UserError where the unknown token is needed and is no token.
  void Encode(std::string_view text, Word& word) const;

  // Where a word longer than the cache takes may be cut into parts that are encoded each for
  // itself, with the same result.
  bool can_cut() const { return can_cut_; }
  // The end of the part of a word that begins at `begin`.
  size_t NextCut(std::string_view word, size_t begin) const {
    return form_ == WordForm::kText ? cut_points_.NextCut(word, begin, character_ids_)
                                    : cut_points_.NextByteCut(word, begin);
  }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  const BpeOptions& options() const { return options_; }
  WordForm form() const { return form_; }
  // Each symbol is a token of its own: there is nothing to merge.
  bool has_merges() const { return !merges_.empty(); }

 private:
  class SymbolWriter;
  void ReadMerges(const MergeList& merges, const std::string& source);
  void ReadSymbols();
  void AddTextSymbols(std::string_view text, SymbolWriter& out) const;
  int32_t SymbolId(std::string_view character, bool first, bool last, std::string& spelled) const;

  Vocabulary vocabulary_;
  BpeOptions options_;
  WordForm form_;
  MergeTable merges_;
  int32_t byte_ids_[256] = {};      // kBytes: of each byte's symbol, or -1
  int32_t fallback_ids_[256] = {};  // of <0x00> .., or -1
  CodePointMap character_ids_;      // kText: of each single character that is a token
  Vocabulary raw_words_;            // kBytes and ignore_merges: tokens as bytes
  int32_t unk_id_ = -1;
  CutPoints cut_points_;
  bool can_cut_ = false;
};

}  // namespace pawl::text
