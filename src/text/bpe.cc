#include "text/bpe.h"

#include "core/error.h"
#include "text/byte_symbols.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
char32_t FirstCodePoint(std::string_view text) { return CodePointAt(text, 0).value; }

// Of valid UTF-8.
char32_t LastCodePoint(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return CodePointAt(text, at).value;
}
}  // namespace

// The first symbols of a word, with the package's order of unknown tokens: one that may still grow
// waits, and byte tokens that come meanwhile stand before it.
class BpeModel::SymbolWriter {
 public:
  SymbolWriter(const BpeModel& model, Word& word) : model_(model), word_(word) {
    word.symbols.clear();
    word.dropped = 0;
  }
  ~SymbolWriter() { FlushUnknown(); }
  SymbolWriter(const SymbolWriter&) = delete;
  SymbolWriter& operator=(const SymbolWriter&) = delete;

  void Known(int32_t id, uint32_t size) {
    FlushUnknown();
    word_.symbols.push_back({id, size});
  }
  // `spelled`: the character with what stands around it; `size`: bytes of the character alone.
  void Unknown(std::string_view spelled, uint32_t size) {
    if (model_.options_.byte_fallback && AddBytes(spelled)) return;
    if (!model_.options_.unk_token) {
      if (word_.dropped++ == 0) word_.first_dropped = FirstCodePoint(spelled);
      return;
    }
    if (model_.unk_id_ < 0) {
      throw UserError({.what = fmt::format("the character '{}' needs the unknown token '{}', which "
                                           "is not in the vocabulary",
                                           spelled, *model_.options_.unk_token),
                       .expected = "a tokenizer whose model.unk_token is one of its tokens"});
    }
    if (unknown_size_ > 0 && !model_.options_.fuse_unk) FlushUnknown();
    unknown_size_ += size;
  }

 private:
  bool AddBytes(std::string_view spelled) {
    for (const char c : spelled) {
      if (model_.fallback_ids_[static_cast<uint8_t>(c)] < 0) return false;
    }
    for (const char c : spelled)
      word_.symbols.push_back({model_.fallback_ids_[static_cast<uint8_t>(c)], 1});
    return true;
  }
  void FlushUnknown() {
    if (unknown_size_ > 0) word_.symbols.push_back({model_.unk_id_, unknown_size_});
    unknown_size_ = 0;
  }
  const BpeModel& model_;
  Word& word_;
  uint32_t unknown_size_ = 0;  // of the unknown token that waits
};

bool BpeModel::TakesBytes(const Vocabulary& vocabulary, const BpeOptions& options) {
  if (!options.continuing_subword_prefix.empty() || !options.end_of_word_suffix.empty())
    return false;
  for (int byte = 0; byte < 256; ++byte) {
    if (vocabulary.Find(ToUtf8(SymbolOfByte(static_cast<uint8_t>(byte)))) >= 0) continue;
    // a left out byte moves the offsets after it by the size of its symbol
    if (options.byte_fallback || !options.unk_token) return false;
  }
  return true;
}

BpeModel::BpeModel(Vocabulary vocabulary, const MergeList& merges, BpeOptions options,
                   WordForm form, const std::string& source)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      form_(form),
      merges_(merges.size()) {
  if (options_.unk_token) unk_id_ = vocabulary_.Find(*options_.unk_token);
  ReadSymbols();
  ReadMerges(merges, source);
  bool all_known = true;
  for (const int32_t id : byte_ids_) all_known = all_known && id >= 0;
  can_cut_ = !options_.ignore_merges && options_.continuing_subword_prefix.empty() &&
             options_.end_of_word_suffix.empty() && (form_ == WordForm::kText || all_known);
}

void BpeModel::ReadSymbols() {
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = vocabulary_.Find(ToUtf8(SymbolOfByte(static_cast<uint8_t>(byte))));
    fallback_ids_[byte] = vocabulary_.Find(fmt::format("<0x{:02X}>", byte));
  }
  std::vector<Vocabulary::Entry> raw;
  std::string bytes;
  for (int64_t id = 0; id < vocabulary_.end_id(); ++id) {
    const std::string_view token = vocabulary_.Token(id);
    if (token.empty()) continue;
    const CodePoint first = CodePointAt(token, 0);
    if (first.size == token.size()) character_ids_.Set(first.value, static_cast<int32_t>(id));
    if (form_ == WordForm::kBytes && options_.ignore_merges && SymbolsToBytes(token, bytes))
      raw.emplace_back(bytes, id);
  }
  raw_words_ = Vocabulary(raw, "");
}

void BpeModel::ReadMerges(const MergeList& merges, const std::string& source) {
  const size_t prefix = options_.continuing_subword_prefix.size();
  std::string whole, left_bytes, right_bytes;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view left = merges.Left(rank), right = merges.Right(rank);
    const auto need = [&](std::string_view token) {
      const int32_t id = vocabulary_.Find(token);
      if (id >= 0) return id;
      throw UserError({.what = fmt::format("merge {} ('{}' '{}') names the token '{}', which is "
                                           "not in the vocabulary",
                                           rank, left, right, token),
                       .where = source + ": model.merges",
                       .expected = "both parts and the whole of each merge in model.vocab"});
    };
    const int32_t left_id = need(left), right_id = need(right);
    whole = left;
    if (right.size() >= prefix) whole += right.substr(prefix);
    const int32_t id = need(whole);
    merges_.Add(left_id, right_id, {static_cast<uint32_t>(rank), id});
    if (left.empty() || right.empty()) continue;
    if (form_ == WordForm::kText) {
      cut_points_.AddJoin(LastCodePoint(left), FirstCodePoint(right));
    } else if (SymbolsToBytes(left, left_bytes) && SymbolsToBytes(right, right_bytes)) {
      cut_points_.AddByteJoin(static_cast<uint8_t>(left_bytes.back()),
                              static_cast<uint8_t>(right_bytes.front()));
    }
  }
}

int32_t BpeModel::SymbolId(std::string_view character, bool first, bool last,
                           std::string& spelled) const {
  spelled.clear();
  if (!first) spelled += options_.continuing_subword_prefix;
  spelled += character;
  if (last) spelled += options_.end_of_word_suffix;
  return vocabulary_.Find(spelled);
}

void BpeModel::AddTextSymbols(std::string_view text, SymbolWriter& out) const {
  const bool plain =
      options_.continuing_subword_prefix.empty() && options_.end_of_word_suffix.empty();
  std::string spelled;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = CodePointAt(text, at);
    const std::string_view character = text.substr(at, point.size);
    const auto size = static_cast<uint32_t>(point.size);
    const size_t end = at + point.size;
    const int32_t id = plain ? character_ids_.Find(point.value)
                             : SymbolId(character, at == 0, end == text.size(), spelled);
    if (id >= 0) {
      out.Known(id, size);
    } else {
      out.Unknown(plain ? character : spelled, size);
    }
    at = end;
  }
}

void BpeModel::Encode(std::string_view text, Word& word) const {
  if (options_.ignore_merges) {
    const int32_t id = form_ == WordForm::kBytes ? raw_words_.Find(text) : vocabulary_.Find(text);
    if (id >= 0) {
      word.dropped = 0;
      word.symbols.assign(1, {id, static_cast<uint32_t>(text.size())});
      return;
    }
  }
  {
    SymbolWriter out(*this, word);
    if (form_ == WordForm::kText) {
      AddTextSymbols(text, out);
    } else {
      for (const char c : text) {
        const auto byte = static_cast<uint8_t>(c);
        if (byte_ids_[byte] >= 0) {
          out.Known(byte_ids_[byte], 1);
        } else {
          out.Unknown(text.substr(0, 0), 1);
        }
      }
    }
  }
  word.merger.Merge(merges_, word.symbols);
}

}  // namespace pawl::text
