// One call of Tokenizer::Encode at work: from a text through added tokens, normaliser,
// pre-tokenizers and model to ids, with offsets or without. For the tokenizer's own files.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer_parts.h"
#include "text/word_cache.h"

namespace pawl::text {

// Ids at the end of a buffer that grows; room for a cache slot is always left.
class IdBuffer {
 public:
  void Clear() { size_ = 0; }
  void Append(const int32_t* ids, size_t count);
  // Copies all ids of a slot, of which `count` are meant.
  void AppendSlot(const WordCache::Slot& slot, size_t count);
  std::span<const int32_t> ids() const { return {ids_.data(), size_}; }
  // Gives memory back after a long text.
  void Shrink();

 private:
  void Grow(size_t least);
  std::vector<int32_t> ids_;
  size_t size_ = 0;
};

// What a thread keeps between calls for one tokenizer.
struct EncoderState {
  uint64_t instance = 0;
  WordCache cache;
  IdBuffer ids;
  Pieces pieces;
  BpeModel::Word word;
  std::vector<int32_t> word_ids;
  std::vector<Origin> text_origins, segment_origins;
};
// That of this thread; those of the tokenizers used last are kept.
EncoderState& EncoderStateOf(uint64_t instance);

class TextEncoder {
 public:
  TextEncoder(const TokenizerParts& parts, EncoderState& state, const EncodeOptions& options)
      : parts_(parts), state_(state), options_(options), model_(*parts.model) {}
  // Valid UTF-8 of less than 2^32 bytes to state.ids.
  void Ids(std::string_view text);
  // The same to an encoding whose offsets are bytes, and to the white space around each token.
  void Offsets(std::string_view text, Encoding& out, std::vector<TokenSpaces>& spaces);

 private:
  void Run(std::string_view text);
  void Segment(std::string_view text, size_t begin, size_t end);
  void Words(std::string_view text, const Origin* origins, size_t begin, size_t end,
             bool starts_original);
  void AddToken(const AddedToken& token, std::string_view matched, Origin origin);
  void AddWord(std::string_view word, const char* readable_end);
  void AddCached(std::string_view word, const char* readable_end);
  void AddPlain(std::string_view word);
  void AddAligned(Pieces::Piece piece);
  void CheckDropped() const;

  const TokenizerParts& parts_;
  EncoderState& state_;
  const EncodeOptions& options_;
  const BpeModel& model_;
  Encoding* encoding_ = nullptr;  // where offsets are wanted
  std::vector<TokenSpaces>* spaces_ = nullptr;
};

}  // namespace pawl::text
