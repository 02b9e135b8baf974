// tokenizer.json to the parts of a tokenizer.
#include <atomic>

#include "core/error.h"
#include "text/json_entry.h"
#include "text/tokenizer_document.h"
#include "text/tokenizer_parts.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;

const Json& Entry(const Json& document, const char* key) {
  static const Json kNull;
  const auto found = document.find(key);
  return found == document.end() ? kNull : *found;
}

BpeOptions ReadBpeOptions(const JsonEntry& model) {
  const std::string type = model.OptionalString("type").value_or("BPE");
  if (type != "BPE") {
    model.Refuse(fmt::format("the model {} is not supported", type), "BPE");
  }
  model.Only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
              "fuse_unk", "byte_fallback", "ignore_merges"});
  BpeOptions options;
  options.unk_token = model.OptionalString("unk_token");
  options.continuing_subword_prefix =
      model.OptionalString("continuing_subword_prefix").value_or("");
  options.end_of_word_suffix = model.OptionalString("end_of_word_suffix").value_or("");
  options.fuse_unk = model.Bool("fuse_unk", false);
  options.byte_fallback = model.Bool("byte_fallback", false);
  options.ignore_merges = model.Bool("ignore_merges", false);
  return options;
}

BpeModel ReadModel(TokenizerDocument& document, WordForm& form, const std::string& source) {
  const Json& entry = Entry(document.rest, "model");
  const JsonEntry model(entry, source + ": model");
  const Json& dropout = Entry(entry, "dropout");
  if (!dropout.is_null() && dropout != 0) {
    model.Refuse(fmt::format("the dropout is {}", dropout.dump()),
                 "null: text is encoded the same way each time");
  }
  BpeOptions options = ReadBpeOptions(model);
  if (!document.has_vocab) model.Refuse("'vocab' is missing", "tokens and their ids");
  if (!document.has_merges) model.Refuse("'merges' is missing", "an array of merges");
  Vocabulary vocabulary(document.vocab, source + ": model.vocab");
  if (form == WordForm::kBytes && !BpeModel::TakesBytes(vocabulary, options))
    form = WordForm::kText;
  return {std::move(vocabulary), document.merges, std::move(options), form, source};
}

std::vector<AddedToken> ReadAddedTokens(const Json& document, const std::string& source) {
  std::vector<AddedToken> tokens;
  if (!document.contains("added_tokens")) return tokens;
  const JsonEntry entry(document, source);
  for (const JsonEntry& token : entry.Objects("added_tokens")) {
    AddedToken added;
    const int64_t id = token.Integer("id");
    if (id < 0 || id > Vocabulary::kMaxId) token.Refuse(fmt::format("the id is {}", id), "an id");
    added.id = static_cast<int32_t>(id);
    added.content = token.String("content");
    added.single_word = token.Bool("single_word");
    added.lstrip = token.Bool("lstrip");
    added.rstrip = token.Bool("rstrip");
    added.normalized = token.Bool("normalized");
    added.special = token.Bool("special");
    tokens.push_back(std::move(added));
  }
  return tokens;
}

std::vector<std::string> WarningsOf(const Json& document, const std::string& source) {
  std::vector<std::string> warnings;
  for (const char* key : {"truncation", "padding"}) {
    if (Entry(document, key).is_null()) continue;
    warnings.push_back(fmt::format(
        "{}: '{}' is ignored: the lengths of sequences are set elsewhere", source, key));
  }
  return warnings;
}

void MakeTokenBytes(TokenizerParts& parts) {
  if (!parts.decoder->is_byte_level()) return;
  const auto end = static_cast<int32_t>(parts.end_id());
  parts.token_ends.push_back(0);
  for (int32_t id = 0; id < end; ++id) {
    if (const auto token = parts.DecodedToken(id, false)) parts.token_bytes += BytesOfToken(*token);
    parts.token_ends.push_back(static_cast<uint32_t>(parts.token_bytes.size()));
  }
}
}  // namespace

std::shared_ptr<TokenizerParts> ReadTokenizerParts(std::string json, const std::string& source) {
  static std::atomic<uint64_t> instances{0};
  TokenizerDocument document = ReadTokenizerDocument(json, source);
  const JsonEntry top(document.rest, source);
  top.Only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
            "post_processor", "decoder", "model"});
  if (const auto version = top.OptionalString("version"); version && *version != "1.0")
    top.Refuse(fmt::format("the version is '{}'", *version), "1.0");
  auto parts = std::make_shared<TokenizerParts>();
  parts->warnings = WarningsOf(document.rest, source);
  parts->normalizer = ReadNormalizer(Entry(document.rest, "normalizer"), source);
  parts->pre_tokenizers = ReadPreTokenizers(Entry(document.rest, "pre_tokenizer"), source);
  WordForm form = parts->pre_tokenizers.ends_in_bytes ? WordForm::kBytes : WordForm::kText;
  parts->model.emplace(ReadModel(document, form, source));
  if (parts->pre_tokenizers.ends_in_bytes && form == WordForm::kText)
    parts->pre_tokenizers.steps.push_back(MakeBytesToSymbols());
  parts->added = AddedTokens(ReadAddedTokens(document.rest, source), parts->model->vocabulary(),
                             parts->normalizer.get(), source);
  parts->post_processor = PostProcessor(Entry(document.rest, "post_processor"), source);
  parts->decoder.emplace(Entry(document.rest, "decoder"), source);
  if (parts->end_id() == 0) top.Refuse("there are no tokens", "at least one");
  if (const int32_t id = parts->post_processor.max_id(); id >= parts->end_id())
    top.Refuse(fmt::format("the post_processor adds the id {}", id), "ids of tokens");
  MakeTokenBytes(*parts);
  parts->json = std::move(json);
  parts->instance = ++instances;
  return parts;
}

std::unique_ptr<Tokenizer> ParseTokenizer(std::string_view json, const std::string& source) {
  return std::make_unique<Tokenizer>(ReadTokenizerParts(std::string(json), source));
}

}  // namespace pawl::text
