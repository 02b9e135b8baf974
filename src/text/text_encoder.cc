#include "text/text_encoder.h"

#include <algorithm>
#include <array>
#include <memory>

#include "core/error.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
// The origin of each byte of a text that nothing has changed.
void FillOrigins(std::string_view text, std::vector<Origin>& origins) {
  origins.clear();
  origins.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t size = CodePointAt(text, at).size;
    const Origin origin{static_cast<uint32_t>(at), static_cast<uint32_t>(at + size)};
    origins.insert(origins.end(), size, origin);
    at += size;
  }
}
}  // namespace

void IdBuffer::Grow(size_t least) {
  ids_.resize(std::max(least + WordCache::kMaxIds, 2 * ids_.size()));
}

void IdBuffer::Append(const int32_t* ids, size_t count) {
  if (size_ + count > ids_.size()) Grow(size_ + count);
  std::copy_n(ids, count, ids_.data() + size_);
  size_ += count;
}

void IdBuffer::AppendSlot(const WordCache::Slot& slot, size_t count) {
  if (size_ + WordCache::kMaxIds > ids_.size()) Grow(size_ + WordCache::kMaxIds);
  std::memcpy(ids_.data() + size_, slot.ids.data(), sizeof(slot.ids));
  size_ += count;
}

void IdBuffer::Shrink() {
  constexpr size_t kKeep = size_t{1} << 20;
  if (ids_.size() > kKeep) ids_ = {};
  size_ = 0;
}

EncoderState& EncoderStateOf(uint64_t instance) {
  thread_local std::array<std::unique_ptr<EncoderState>, 4> states;
  for (size_t i = 0; i < states.size(); ++i) {
    if (states[i] != nullptr && states[i]->instance == instance) {
      std::rotate(states.begin(), states.begin() + static_cast<std::ptrdiff_t>(i),
                  states.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      return *states.front();
    }
  }
  std::rotate(states.begin(), states.end() - 1, states.end());
  states.front() = std::make_unique<EncoderState>();
  states.front()->instance = instance;
  return *states.front();
}

void TextEncoder::Ids(std::string_view text) {
  state_.ids.Clear();
  Run(text);
}

void TextEncoder::Offsets(std::string_view text, Encoding& out, std::vector<TokenSpaces>& spaces) {
  encoding_ = &out;
  spaces_ = &spaces;
  Run(text);
}

void TextEncoder::Run(std::string_view text) {
  parts_.added.SplitRaw(text, [&](size_t begin, size_t end, const AddedToken* token) {
    if (token == nullptr) {
      Segment(text, begin, end);
    } else {
      AddToken(*token, text.substr(begin, end - begin),
               {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
    }
  });
}

// A stretch of the text without raw added tokens.
void TextEncoder::Segment(std::string_view text, size_t begin, size_t end) {
  const std::string_view segment = text.substr(begin, end - begin);
  const Normalizer* normalizer = parts_.normalizer.get();
  // Metaspace's "first" looks at where a piece comes from
  const bool aligned =
      encoding_ != nullptr || (normalizer != nullptr && parts_.pre_tokenizers.asks_for_start);
  std::vector<Origin>& origins = state_.segment_origins;
  std::string normalized_text;
  std::string_view normalized = segment;
  if (normalizer != nullptr) {
    NormalizedText changed(std::string(segment), aligned);
    normalizer->Apply(changed);
    normalized_text = changed.text();
    normalized = normalized_text;
    if (aligned) {
      origins.clear();
      for (size_t i = 0; i < normalized.size(); ++i) {
        const ByteRange range = changed.OriginalRange(i, i + 1);
        origins.push_back({static_cast<uint32_t>(range.begin), static_cast<uint32_t>(range.end)});
      }
    }
  } else if (aligned) {
    FillOrigins(segment, origins);
  }
  if (aligned) {
    for (Origin& origin : origins) {
      origin.begin += static_cast<uint32_t>(begin);
      origin.end += static_cast<uint32_t>(begin);
    }
  }
  const Origin* first = aligned ? origins.data() : nullptr;
  parts_.added.SplitNormalized(normalized, [&](size_t from, size_t to, const AddedToken* token) {
    if (token == nullptr) {
      Words(normalized, first, from, to, begin == 0 && from == 0);
    } else {
      AddToken(*token, normalized.substr(from, to - from),
               aligned ? Origin{first[from].begin, first[to - 1].end} : Origin{});
    }
  });
}

void TextEncoder::Words(std::string_view text, const Origin* origins, size_t begin, size_t end,
                        bool starts_original) {
  Pieces& pieces = state_.pieces;
  pieces.Reset(text.substr(begin, end - begin), origins == nullptr ? nullptr : origins + begin,
               starts_original);
  for (const auto& step : parts_.pre_tokenizers.steps) step->Apply(pieces);
  if (encoding_ != nullptr) {
    for (const Pieces::Piece piece : pieces.list()) AddAligned(piece);
    return;
  }
  const char* readable_end = pieces.text().data() + pieces.text().size();
  for (const Pieces::Piece piece : pieces.list()) AddWord(pieces.Text(piece), readable_end);
}

void TextEncoder::AddToken(const AddedToken& token, std::string_view matched, Origin origin) {
  if (encoding_ == nullptr) {
    state_.ids.Append(&token.id, 1);
    return;
  }
  encoding_->ids.push_back(token.id);
  encoding_->offsets.push_back({origin.begin, origin.end});
  spaces_->push_back(SpacesOf(matched));
}

void TextEncoder::CheckDropped() const {
  if (state_.word.dropped == 0 || options_.unknown == UnknownText::kDrop) return;
  const char32_t point = state_.word.first_dropped;
  throw UserError({.what = fmt::format("the character '{}' (U+{:04X}) is not in the vocabulary",
                                       ToUtf8(point), static_cast<uint32_t>(point)),
                   .expected = fmt::format("text of the {} tokens", model_.vocabulary().size())});
}

void TextEncoder::AddWord(std::string_view word, const char* readable_end) {
  if (!model_.has_merges()) return AddPlain(word);
  if (word.size() <= WordCache::kMaxWord) return AddCached(word, readable_end);
  if (!model_.can_cut()) return AddPlain(word);
  for (size_t begin = 0; begin < word.size();) {
    const size_t end = model_.NextCut(word, begin);
    const std::string_view part = word.substr(begin, end - begin);
    if (part.size() <= WordCache::kMaxWord) {
      AddCached(part, readable_end);
    } else {
      AddPlain(part);
    }
    begin = end;
  }
}

void TextEncoder::AddCached(std::string_view word, const char* readable_end) {
  const auto readable = static_cast<size_t>(readable_end - word.data());
  const WordCache::Key key = WordCache::KeyOf(word, readable);
  WordCache::Slot& slot = state_.cache.SlotOf(key);
  if (WordCache::Holds(slot, key)) {
    state_.ids.AppendSlot(slot, WordCache::Count(slot));
    return;
  }
  AddPlain(word);
  const std::vector<BpeSymbol>& symbols = state_.word.symbols;
  if (state_.word.dropped > 0 || symbols.size() > WordCache::kMaxIds) return;
  std::array<int32_t, WordCache::kMaxIds> ids{};
  for (size_t i = 0; i < symbols.size(); ++i) ids[i] = symbols[i].id;
  WordCache::Store(slot, key, ids.data(), symbols.size());
}

void TextEncoder::AddPlain(std::string_view word) {
  model_.Encode(word, state_.word);
  CheckDropped();
  state_.word_ids.clear();
  for (const BpeSymbol& symbol : state_.word.symbols) state_.word_ids.push_back(symbol.id);
  state_.ids.Append(state_.word_ids.data(), state_.word_ids.size());
}

void TextEncoder::AddAligned(Pieces::Piece piece) {
  const Pieces& pieces = state_.pieces;
  const std::string_view word = pieces.Text(piece);
  const Origin* origins = pieces.origins() + piece.begin;
  model_.Encode(word, state_.word);
  CheckDropped();
  size_t at = 0;
  for (const BpeSymbol& symbol : state_.word.symbols) {
    const size_t end = at + symbol.size;
    TokenOffsets offsets{static_cast<int64_t>(at), static_cast<int64_t>(end)};
    if (at == end) {
      offsets = {static_cast<int64_t>(origins[0].begin + at),
                 static_cast<int64_t>(origins[0].begin + at)};
    } else if (end <= word.size()) {
      offsets = {origins[at].begin, origins[end - 1].end};
    }  // else left out or added characters moved it past the word: as it is, like the package
    encoding_->ids.push_back(symbol.id);
    encoding_->offsets.push_back(offsets);
    spaces_->push_back(parts_.post_processor.trims()
                           ? SpacesOf(model_.vocabulary().Token(symbol.id))
                           : TokenSpaces{});
    at = end;
  }
}

}  // namespace pawl::text
