// Folders of tokenizers as transformers has them, read and written.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "text/json_entry.h"
#include "text/python_text.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"
#include "text/tokenizer_document.h"
#include "text/tokenizer_parts.h"

namespace pawl::text {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::json;

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// GPT-2's two files as a tokenizer.json.
std::string Gpt2Json(const fs::path& vocab_path, const fs::path& merges_path) {
  const Json vocab = ParseJson(core::ReadTextFile(vocab_path), vocab_path.string());
  if (!vocab.is_object()) {
    throw UserError({.what = "this is no JSON object",
                     .where = vocab_path.string(),
                     .expected = "tokens and their ids"});
  }
  const std::string text = core::ReadTextFile(merges_path);
  Json merges = Json::array();
  int64_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      throw UserError({.what = fmt::format("the merge '{}'", line),
                       .where = fmt::format("{}:{}", merges_path.string(), number),
                       .expected = "two tokens with one space between them"});
    }
    merges.push_back({std::string(line.substr(0, space)), std::string(line.substr(space + 1))});
  }
  Json added = Json::array();
  constexpr const char* kEnd = "<|endoftext|>";
  if (vocab.contains(kEnd)) {
    added.push_back({{"id", vocab[kEnd]},
                     {"content", kEnd},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const Json level = {{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", true}};
  const Json document = {{"version", "1.0"},
                         {"added_tokens", added},
                         {"normalizer", nullptr},
                         {"pre_tokenizer", level},
                         {"post_processor", nullptr},
                         {"decoder", level},
                         {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
  try {
    return document.dump();
  } catch (const Json::exception&) {  // only of text that is no UTF-8
    throw UserError({.what = "a merge is no UTF-8", .where = merges_path.string()});
  }
}

// A token of tokenizer_config.json: a string, or an object with its content.
std::optional<int32_t> TokenOf(const Json& config, const char* key, const TokenizerParts& parts,
                               const std::string& source) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return std::nullopt;
  const JsonEntry entry(config, source);
  const std::string token =
      found->is_object() ? entry.Object(key).String("content") : entry.String(key);
  if (const AddedToken* added = parts.added.Find(token)) return added->id;
  const int32_t id = parts.model->vocabulary().Find(token);
  if (id < 0) {
    throw UserError({.what = fmt::format("the {} '{}' is not in the vocabulary", key, token),
                     .where = source,
                     .expected = "a token of the tokenizer"});
  }
  return id;
}

// transformers puts its own template in the place of the file's where the config says whether the
// first and last tokens are added, or the file has none.
void ReadConfig(const fs::path& path, bool has_template, TokenizerParts& parts) {
  const std::string source = path.string();
  parts.config_json = core::ReadTextFile(path);
  const Json config = ParseJson(parts.config_json, source);
  const JsonEntry entry(config, source);
  parts.bos_id = TokenOf(config, "bos_token", parts, source);
  parts.eos_id = TokenOf(config, "eos_token", parts, source);
  parts.pad_id = TokenOf(config, "pad_token", parts, source);
  const bool says = entry.Has("add_bos_token") || entry.Has("add_eos_token");
  if (has_template && !says) return;
  std::vector<int32_t> before, after;
  if (entry.Bool("add_bos_token", false) && parts.bos_id) before = {*parts.bos_id};
  if (entry.Bool("add_eos_token", false) && parts.eos_id) after = {*parts.eos_id};
  parts.post_processor = PostProcessor::Around(std::move(before), std::move(after));
}

// The tokens that were added to a vocabulary whose file does not hold them, by id: of
// added_tokens_decoder in tokenizer_config.json, else of added_tokens.json.
std::map<int32_t, Json> AddedTokensOf(const fs::path& folder) {
  const fs::path config_path = folder / "tokenizer_config.json",
                 added_path = folder / "added_tokens.json";
  std::map<int32_t, Json> tokens;
  const Json config = IsFile(config_path)
                          ? ParseJson(core::ReadTextFile(config_path), config_path.string())
                          : Json::object();
  if (JsonEntry(config, config_path.string()).Has("added_tokens_decoder")) {
    const std::string place = config_path.string() + ": added_tokens_decoder";
    const Json& decoder = config["added_tokens_decoder"];
    const JsonEntry all(decoder, place);
    for (const auto& [key, value] : decoder.items()) {
      const auto id = python::ParseInt(key, 10);
      if (!id || *id < 0 || *id > INT32_MAX) all.Refuse("'" + key + "'", "the id of a token");
      const JsonEntry entry(value, fmt::format("{}: {}", place, key));
      Json token = {{"id", *id}, {"content", entry.String("content")}};
      const bool special = entry.Bool("special", false);
      for (const char* flag : {"single_word", "lstrip", "rstrip"})
        token[flag] = entry.Bool(flag, false);
      token["normalized"] = entry.Bool("normalized", !special);
      token["special"] = special;
      tokens[static_cast<int32_t>(*id)] = std::move(token);
    }
    return tokens;
  }
  if (!IsFile(added_path)) return tokens;
  const Json added = ParseJson(core::ReadTextFile(added_path), added_path.string());
  const JsonEntry all(added, added_path.string());
  const std::string named = config.dump();  // a token that the config names is special
  for (const auto& [content, value] : added.items()) {
    const int64_t id = all.Integer(content.c_str());
    if (id < 0 || id > INT32_MAX) all.Refuse(fmt::format("'{}' is {}", content, id), "an id");
    const bool special = named.find(Json(content).dump()) != std::string::npos;
    tokens[static_cast<int32_t>(id)] = {
        {"id", id},        {"content", content},     {"single_word", false}, {"lstrip", false},
        {"rstrip", false}, {"normalized", !special}, {"special", special}};
  }
  return tokens;
}

// A tokenizer.json that was made from other files, with the tokens that were added beside them.
std::string WithAddedTokens(const fs::path& folder, std::string json) {
  std::map<int32_t, Json> tokens = AddedTokensOf(folder);
  if (tokens.empty()) return json;
  Json document = Json::parse(json);
  for (const Json& own : document["added_tokens"]) tokens[own["id"].get<int32_t>()] = own;
  document["added_tokens"] = Json::array();
  for (auto& [id, token] : tokens) document["added_tokens"].push_back(std::move(token));
  return document.dump();
}

// tokenizer_config.json: what the tokenizer was read with, else what transformers needs.
nlohmann::ordered_json ConfigOf(const TokenizerParts& parts) {
  if (!parts.config_json.empty()) return nlohmann::ordered_json::parse(parts.config_json);
  return {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
}

struct Source {
  std::string json, name;
};

Source FindTokenizer(const fs::path& folder) {
  if (IsFile(folder)) return {core::ReadTextFile(folder), folder.string()};
  const fs::path json = folder / "tokenizer.json", model = folder / "tokenizer.model";
  if (IsFile(json)) return {core::ReadTextFile(json), json.string()};
  if (IsFile(model))
    return {WithAddedTokens(folder, SentencePieceToJson(core::ReadTextFile(model), model.string())),
            model.string()};
  const fs::path vocab = folder / "vocab.json", merges = folder / "merges.txt";
  if (IsFile(vocab) && IsFile(merges))
    return {WithAddedTokens(folder, Gpt2Json(vocab, merges)), vocab.string()};
  throw UserError({.what = fmt::format("'{}' has no tokenizer", folder.string()),
                   .where = json.string(),
                   .expected = "a folder with tokenizer.json, tokenizer.model, or vocab.json and "
                               "merges.txt"});
}
}  // namespace

std::map<std::string, std::string> TokenizerFiles(const Tokenizer& tokenizer,
                                                  int64_t model_max_length) {
  nlohmann::ordered_json config = ConfigOf(tokenizer.parts());
  if (!config.contains("model_max_length")) config["model_max_length"] = model_max_length;
  std::map<std::string, std::string> files = {{"tokenizer.json", tokenizer.ToJson()},
                                              {"tokenizer_config.json", config.dump(2) + "\n"}};
  if (!tokenizer.chat_template().empty()) files["chat_template.jinja"] = tokenizer.chat_template();
  return files;
}

void WriteTokenizer(const Tokenizer& tokenizer, const fs::path& folder, int64_t model_max_length) {
  for (const auto& [name, contents] : TokenizerFiles(tokenizer, model_max_length))
    core::WriteFileAtomic(folder / name, contents);
}

std::unique_ptr<Tokenizer> LoadTokenizer(const fs::path& folder, const fs::path& chat_template,
                                         const std::string& eos_token) {
  Source source = FindTokenizer(folder);
  auto parts = ReadTokenizerParts(std::move(source.json), source.name);
  const fs::path config = folder / "tokenizer_config.json";  // beside a file: nothing
  if (IsFile(config)) ReadConfig(config, parts->post_processor.has_steps(), *parts);
  const fs::path chat = chat_template.empty() ? folder / "chat_template.jinja" : chat_template;
  if (!chat_template.empty() || IsFile(chat)) parts->chat_template = core::ReadTextFile(chat);
  if (!eos_token.empty()) {
    const Json changed = {{"eos_token", eos_token}};
    parts->eos_id = TokenOf(changed, "eos_token", *parts, "data.eos_token");
    auto config_json = ConfigOf(*parts);
    config_json["eos_token"] = eos_token;
    parts->config_json = config_json.dump(2) + "\n";
  }
  return std::make_unique<Tokenizer>(std::move(parts));
}

}  // namespace pawl::text
