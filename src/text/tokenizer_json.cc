// tokenizer.json of the two tokenizers, as Python's tokenizers reads it: BPE models without merges,
// over single characters or over GPT-2's symbols of the 256 bytes.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// GPT-2's bytes_to_unicode: printable bytes stand for themselves, the others for U+0100 on.
std::array<char32_t, 256> ByteSymbols() {
  std::array<char32_t, 256> symbols{};
  char32_t next = 256;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                           (byte >= 0xAE && byte <= 0xFF);
    symbols[byte] = printable ? byte : next++;
  }
  return symbols;
}

// `vocab`: id -> symbol.
std::string Document(const std::vector<std::string>& vocab, const Json& pre_tokenizer,
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
  return document.dump(2) + "\n";
}

// The vocabulary of a document as id -> symbol; empty where the ids are not 0 .. n-1.
std::vector<std::string> VocabOf(const Json& document) {
  const auto model = document.find("model");
  if (model == document.end() || !model->is_object()) return {};
  const auto vocab = model->find("vocab");
  if (vocab == model->end() || !vocab->is_object()) return {};
  std::vector<std::string> symbols(vocab->size());
  for (const auto& [symbol, id] : vocab->items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= symbols.size()) return {};
    std::string& slot = symbols[id.get<uint64_t>()];
    if (!slot.empty() || symbol.empty()) return {};
    slot = symbol;
  }
  return symbols;
}

// The single code points of a vocabulary, ascending; empty where it is none of that kind.
std::vector<char32_t> CodePointsOf(const std::vector<std::string>& vocab) {
  std::vector<char32_t> points;
  for (const std::string& symbol : vocab) {
    const CodePoint point = CodePointAt(symbol, 0);
    if (!point.valid || point.size != symbol.size()) return {};
    if (!points.empty() && point.value <= points.back()) return {};
    points.push_back(point.value);
  }
  return points;
}
}  // namespace

std::string CharTokenizer::ToJson() const {
  std::vector<std::string> vocab;
  for (const char32_t point : code_points_) vocab.push_back(ToUtf8(point));
  // without a decoder Python's package would put spaces between the characters
  return Document(vocab, nullptr, {{"type", "Fuse"}});
}

std::string ByteTokenizer::ToJson() const {
  std::vector<std::string> vocab;
  for (const char32_t symbol : ByteSymbols()) vocab.push_back(ToUtf8(symbol));
  const Json level = {{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", false}};
  return Document(vocab, level, level);
}

void WriteTokenizer(const Tokenizer& tokenizer, const fs::path& folder, int64_t model_max_length) {
  core::WriteFileAtomic(folder / "tokenizer.json", tokenizer.ToJson());
  const Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                       {"clean_up_tokenization_spaces", false},
                       {"model_max_length", model_max_length}};
  core::WriteFileAtomic(folder / "tokenizer_config.json", config.dump(2) + "\n");
}

// What we write ourselves is recognised by writing it again: nothing of it can be overlooked.
std::unique_ptr<Tokenizer> ParseTokenizer(std::string_view json, const std::string& source) {
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    throw UserError({.what = "a tokenizer that is not JSON", .where = source});
  }
  const auto same = [&](const Tokenizer& tokenizer) {
    return nlohmann::json(document) == nlohmann::json::parse(tokenizer.ToJson());
  };
  auto bytes = std::make_unique<ByteTokenizer>();
  if (same(*bytes)) return bytes;
  auto points = CodePointsOf(VocabOf(document));
  if (!points.empty()) {
    auto chars = std::make_unique<CharTokenizer>(std::move(points));
    if (same(*chars)) return chars;
  }
  throw UserError({.what = "this tokenizer is not supported yet",
                   .where = source,
                   .expected = "a tokenizer of characters or bytes that Pawl wrote"});
}

std::unique_ptr<Tokenizer> LoadTokenizer(const fs::path& folder) {
  const fs::path path = folder / "tokenizer.json";
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw UserError({.what = fmt::format("'{}' has no tokenizer", folder.string()),
                     .where = path.string(),
                     .expected = "a model folder with a tokenizer.json"});
  }
  return ParseTokenizer(core::ReadTextFile(path), path.string());
}

}  // namespace pawl::text
