// Folders of tokenizers as transformers has them, read and written.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "text/json_entry.h"
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

struct Source {
  std::string json, name;
};

Source FindTokenizer(const fs::path& folder) {
  if (IsFile(folder)) return {core::ReadTextFile(folder), folder.string()};
  const fs::path json = folder / "tokenizer.json", model = folder / "tokenizer.model";
  if (IsFile(json)) return {core::ReadTextFile(json), json.string()};
  if (IsFile(model))
    return {SentencePieceToJson(core::ReadTextFile(model), model.string()), model.string()};
  const fs::path vocab = folder / "vocab.json", merges = folder / "merges.txt";
  if (IsFile(vocab) && IsFile(merges)) return {Gpt2Json(vocab, merges), vocab.string()};
  throw UserError({.what = fmt::format("'{}' has no tokenizer", folder.string()),
                   .where = json.string(),
                   .expected = "a folder with tokenizer.json, tokenizer.model, or vocab.json and "
                               "merges.txt"});
}
}  // namespace

void WriteTokenizer(const Tokenizer& tokenizer, const fs::path& folder, int64_t model_max_length) {
  core::WriteFileAtomic(folder / "tokenizer.json", tokenizer.ToJson());
  nlohmann::ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                   {"clean_up_tokenization_spaces", false}};
  // what the tokenizer was read with stays
  if (!tokenizer.parts().config_json.empty())
    config = nlohmann::ordered_json::parse(tokenizer.parts().config_json);
  if (!config.contains("model_max_length")) config["model_max_length"] = model_max_length;
  core::WriteFileAtomic(folder / "tokenizer_config.json", config.dump(2) + "\n");
  if (!tokenizer.parts().chat_template.empty())
    core::WriteFileAtomic(folder / "chat_template.jinja", tokenizer.parts().chat_template);
}

std::unique_ptr<Tokenizer> LoadTokenizer(const fs::path& folder, const fs::path& chat_template) {
  Source source = FindTokenizer(folder);
  auto parts = ReadTokenizerParts(std::move(source.json), source.name);
  const fs::path config = folder / "tokenizer_config.json";  // beside a file: nothing
  if (IsFile(config)) ReadConfig(config, parts->post_processor.has_steps(), *parts);
  const fs::path chat = chat_template.empty() ? folder / "chat_template.jinja" : chat_template;
  if (!chat_template.empty() || IsFile(chat)) parts->chat_template = core::ReadTextFile(chat);
  return std::make_unique<Tokenizer>(std::move(parts));
}

}  // namespace pawl::text
