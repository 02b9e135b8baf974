// The tokenizers that need no training, over characters or bytes: BPE models without merges.
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "text/byte_symbols.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"

namespace pawl::text {
namespace {
using Json = nlohmann::ordered_json;

// `vocab`: id -> symbol.
Tokenizer MakeTokenizer(const std::vector<std::string>& vocab, const Json& pre_tokenizer,
                        const Json& decoder) {
  Json ids = Json::object();
  for (size_t id = 0; id < vocab.size(); ++id) ids[vocab[id]] = id;
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", false},
                      {"vocab", std::move(ids)},
                      {"merges", Json::array()}};
  const Json document = {{"version", "1.0"},
                         {"truncation", nullptr},
                         {"padding", nullptr},
                         {"added_tokens", Json::array()},
                         {"normalizer", nullptr},
                         {"pre_tokenizer", pre_tokenizer},
                         {"post_processor", nullptr},
                         {"decoder", decoder},
                         {"model", model}};
  return Tokenizer(ReadTokenizerParts(document.dump(2) + "\n", "the tokenizer"));
}
}  // namespace

Tokenizer MakeCharTokenizer(std::span<const std::string_view> texts) {
  std::vector<bool> ascii(128, false);
  std::set<char32_t> others;
  for (const std::string_view text : texts) {
    for (size_t at = 0; at < text.size();) {
      const CodePoint point = CodePointAt(text, at);
      at += point.size;
      if (point.value < 128) {
        ascii[point.value] = true;
      } else {
        others.insert(point.value);
      }
    }
  }
  std::vector<std::string> vocab;
  for (char32_t point = 0; point < 128; ++point) {
    if (ascii[point]) vocab.push_back(ToUtf8(point));
  }
  for (const char32_t point : others) vocab.push_back(ToUtf8(point));
  PAWL_CHECK(!vocab.empty(), "a tokenizer without characters");
  // without a decoder Python's package would put spaces between the characters
  return MakeTokenizer(vocab, nullptr, {{"type", "Fuse"}});
}

Tokenizer MakeByteTokenizer() {
  std::vector<std::string> vocab;
  for (int byte = 0; byte < 256; ++byte)
    vocab.push_back(ToUtf8(SymbolOfByte(static_cast<uint8_t>(byte))));
  const Json level = {{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", false}};
  return MakeTokenizer(vocab, level, level);
}

}  // namespace pawl::text
