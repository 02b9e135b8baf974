// What a Tokenizer is made of; for its own files.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace pawl::text {

struct TokenizerParts {
  std::unique_ptr<const Normalizer> normalizer;  // or nullptr
  PreTokenizers pre_tokenizers;
  std::optional<BpeModel> model;  // always there once it is made
  AddedTokens added;
  PostProcessor post_processor;
  std::optional<Decoder> decoder;
  std::string json;           // the file
  std::string config_json;    // tokenizer_config.json, or nothing
  std::string chat_template;  // chat_template.jinja or what stands in its place, or nothing
  std::optional<int32_t> eos_id, bos_id, pad_id;
  std::vector<std::string> warnings;  // what of the file is ignored
  uint64_t instance = 0;              // another one for each tokenizer of the process

  // Of a byte-level decoder: the bytes of each id, end to end.
  std::string token_bytes;
  std::vector<uint32_t> token_ends;  // [vocab_size + 1], the first 0

  int64_t end_id() const;
  // What the decoder gets for an id; nothing where it is no token or left out as special.
  std::optional<std::string_view> DecodedToken(int32_t id, bool skip_special) const;
};

// The reader's half without the folder's other files.
std::shared_ptr<TokenizerParts> ReadTokenizerParts(std::string json, const std::string& source);

}  // namespace pawl::text
