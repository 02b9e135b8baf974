// `pawl tokenizer`: train one, look into one, see what a text becomes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "text/chat_template.h"
#include "text/data_file.h"
#include "text/python_text.h"
#include "text/tokenizer.h"
#include "text/train_bpe.h"
#include "text/utf8.h"
#include "track/number_text.h"

namespace pawl::cli {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct TrainOptions {
  std::vector<std::string> files, special;
  std::string out, kind = "bpe", ties = "smallest_ids";
  int64_t vocab = 8000, min_frequency = 0;
};

// Lines with their ends, as the package reads files.
std::vector<std::string_view> LinesOf(std::span<const std::string> texts) {
  std::vector<std::string_view> lines;
  for (const std::string& text : texts) {
    for (std::string_view rest = text; !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
      lines.push_back(rest.substr(0, end));
      rest.remove_prefix(end);
    }
  }
  return lines;
}

std::string TrainedJson(const TrainOptions& options, std::span<const std::string> texts) {
  const std::vector<std::string_view> lines = LinesOf(texts);
  if (options.kind == "byte") return text::MakeByteTokenizer().ToJson();
  if (options.kind == "char") return text::MakeCharTokenizer(lines).ToJson();
  text::TrainBpeConfig config;
  config.vocab_size = options.vocab;
  config.min_frequency = options.min_frequency;
  config.special_tokens = options.special;
  if (options.ties == "greatest_bytes") config.ties = text::BpeTies::kGreatestBytes;
  return text::BpeTokenizerJson(text::TrainBpe(lines, config), config);
}

int Train(const TrainOptions& options) {
  if (options.kind != "bpe" && !options.special.empty()) {
    throw UserError({.what = "special tokens of a " + options.kind + " tokenizer",
                     .where = "--special",
                     .expected = "--kind bpe"});
  }
  std::set<std::string> seen;
  for (const std::string& token : options.special) {
    const bool again = !seen.insert(token).second;
    if (!token.empty() && !again && text::FindInvalidUtf8(token) == std::string::npos) continue;
    throw UserError({.what = fmt::format("special token {} is {}", seen.size() + (again ? 1 : 0),
                                         token.empty() ? "empty"
                                         : again       ? "there twice"
                                                       : "no UTF-8"),
                     .where = "--special",
                     .expected = "texts that differ"});
  }
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json"}) {
    if (!fs::exists(fs::path(options.out) / name)) continue;
    throw UserError({.what = fmt::format("'{}' holds a {} already", options.out, name),
                     .where = "--out",
                     .expected = "a folder without a tokenizer",
                     .hint = "models may need that one: choose another, or remove it"});
  }
  std::vector<std::string> texts;
  for (const std::string& file : options.files) {
    texts.push_back(text::PlainText(text::DataFile(file, "files").ReadAll()));
    const size_t bad = text::FindInvalidUtf8(texts.back());
    if (bad == std::string::npos) continue;
    throw UserError(
        {.what = fmt::format("byte {} is no UTF-8", bad), .where = file, .expected = "UTF-8"});
  }
  if (std::ranges::all_of(texts, [](const std::string& text) { return text.empty(); })) {
    throw UserError(
        {.what = "no text in the files", .where = "files", .expected = "text to learn from"});
  }
  const double begin = core::MonotonicSeconds();
  const std::string json = TrainedJson(options, texts);
  const auto tokenizer = text::ParseTokenizer(json, "the new tokenizer");
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false}};
  if (!options.special.empty()) config["eos_token"] = options.special.front();
  fs::create_directories(options.out);
  core::WriteFileAtomic(fs::path(options.out) / "tokenizer.json", json);
  core::WriteFileAtomic(fs::path(options.out) / "tokenizer_config.json", config.dump(2) + "\n");
  size_t bytes = 0, tokens = 0;
  for (const std::string& text : texts) {
    bytes += text.size();
    tokens += tokenizer->Encode(text).size();
  }
  std::printf("%s: %s, %lld tokens, from %s in %s; %.2f bytes of it a token\n", options.out.c_str(),
              options.kind.c_str(), static_cast<long long>(tokenizer->vocab_size()),
              track::SizeText(bytes).c_str(),
              track::DurationText(core::MonotonicSeconds() - begin).c_str(),
              static_cast<double>(bytes) / static_cast<double>(std::max<size_t>(1, tokens)));
  return 0;
}

// The types of a part of a tokenizer.json: "Sequence(Split, ByteLevel)".
std::string TypesOf(const Json& part) {
  if (!part.is_object()) return "none";
  std::string types = part.value("type", "?");
  for (const char* key : {"normalizers", "pretokenizers", "processors", "decoders"}) {
    if (!part.contains(key)) continue;
    std::vector<std::string> inner;
    for (const Json& entry : part[key]) inner.push_back(TypesOf(entry));
    types += fmt::format("({})", fmt::join(inner, ", "));
  }
  return types;
}

int Inspect(const std::string& folder, bool json_output) {
  const auto tokenizer = text::LoadTokenizer(folder);
  const Json document = Json::parse(tokenizer->ToJson());
  const auto name = [&](const std::optional<int32_t>& id) -> Json {
    return id ? Json(*tokenizer->IdToToken(*id)) : Json();
  };
  const auto part = [&](const char* key) {
    return document.contains(key) ? TypesOf(document[key]) : "none";
  };
  Json added = Json::array();
  for (const Json& token : document.value("added_tokens", Json::array()))
    added.push_back(
        {{"id", token["id"]}, {"content", token["content"]}, {"special", token["special"]}});
  const bool has_chat = text::FindChatTemplate(folder) != nullptr;
  const Json out = {{"ids", tokenizer->vocab_size()},
                    {"model", TypesOf(document["model"])},
                    {"merges", document["model"]["merges"].size()},
                    {"normalizer", part("normalizer")},
                    {"pre_tokenizer", part("pre_tokenizer")},
                    {"post_processor", part("post_processor")},
                    {"decoder", part("decoder")},
                    {"bos", name(tokenizer->bos_id())},
                    {"eos", name(tokenizer->eos_id())},
                    {"pad", name(tokenizer->pad_id())},
                    {"chat_template", has_chat},
                    {"added_tokens", added}};
  if (json_output) {
    std::printf("%s\n", out.dump().c_str());
    return 0;
  }
  for (const auto& [key, value] : out.items()) {
    if (key == "added_tokens") continue;
    std::printf("  %-15s %s\n", key.c_str(),
                value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  }
  constexpr size_t kShown = 20;
  std::printf("  %-15s %zu\n", "added_tokens", added.size());
  for (size_t i = 0; i < std::min(kShown, added.size()); ++i) {
    std::printf("    %8lld  %s%s\n", added[i]["id"].get<long long>(),
                text::python::Repr(added[i]["content"].get<std::string>()).c_str(),
                added[i]["special"].get<bool>() ? "  special" : "");
  }
  if (added.size() > kShown) std::printf("    ... (--json has all)\n");
  return 0;
}

struct EncodeOptions {
  std::string folder, text, file;
  bool special = false, json = false;
};

// One object, written piece by piece: as a document in memory it takes many times the text.
void PrintJson(const text::Tokenizer& tokenizer, const text::Encoding& encoding) {
  const size_t count = encoding.ids.size();
  const auto list = [count](const char* name, const auto& entry) {
    std::printf("\"%s\":[", name);
    for (size_t i = 0; i < count; ++i)
      std::printf("%s%s", i == 0 ? "" : ",", std::string(entry(i)).c_str());
    std::printf("]");
  };
  std::printf("{");
  list("ids", [&](size_t i) { return std::to_string(encoding.ids[i]); });
  std::printf(",");
  list("tokens",
       [&](size_t i) { return Json(tokenizer.IdToToken(encoding.ids[i]).value_or("")).dump(); });
  std::printf(",");
  list("offsets", [&](size_t i) {
    return fmt::format("[{},{}]", encoding.offsets[i].begin, encoding.offsets[i].end);
  });
  std::printf("}\n");
}

int Encode(const EncodeOptions& options) {
  const auto tokenizer = text::LoadTokenizer(options.folder);
  if (options.text.empty() == options.file.empty()) {
    throw UserError({.what = "no text, or both a text and --file",
                     .where = "pawl tokenizer encode",
                     .expected = "one of the two"});
  }
  const std::string text =
      options.file.empty() ? options.text : text::DataFile(options.file, "--file").ReadAll();
  const auto encoding = tokenizer->EncodeWithOffsets(text, {.add_special_tokens = options.special});
  if (options.json) {
    PrintJson(*tokenizer, encoding);
    return 0;
  }
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const std::vector<int32_t> id = {encoding.ids[i]};
    std::printf("%8d  %-24s %lld-%lld\n", id[0],
                text::python::Repr(tokenizer->IdToToken(id[0]).value_or("")).c_str(),
                static_cast<long long>(encoding.offsets[i].begin),
                static_cast<long long>(encoding.offsets[i].end));
  }
  std::printf("%zu tokens, %zu bytes\n", encoding.ids.size(), text.size());
  return 0;
}
}  // namespace

void AddTokenizer(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("tokenizer", "Train a tokenizer, look into one, use it");
  command->require_subcommand(1);

  auto train = std::make_shared<TrainOptions>();
  CLI::App* train_command = command->add_subcommand(
      "train", "Learn a vocabulary from text files; writes a tokenizer.json that Python reads");
  train_command->add_option("files", train->files, "text files, plain or gzip")->required();
  train_command->add_option("--out", train->out, "folder to write")->required();
  train_command->add_option("--kind", train->kind, "bpe (byte-level), byte or char")
      ->check(CLI::IsMember({"bpe", "byte", "char"}))
      ->capture_default_str();
  train_command->add_option("--vocab", train->vocab, "bpe: tokens in all")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  train_command
      ->add_option("--min-frequency", train->min_frequency, "bpe: rarer pairs are not merged")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  train_command->add_option("--special", train->special,
                            "bpe: special tokens, the first ids; the first ends a text");
  train_command
      ->add_option("--ties", train->ties,
                   "bpe: which of equally frequent pairs comes first: smallest_ids, as the "
                   "tokenizers package has it, or greatest_bytes")
      ->check(CLI::IsMember({"smallest_ids", "greatest_bytes"}))
      ->capture_default_str();
  train_command->callback([train, &exit_code] { exit_code = Train(*train); });

  auto folder = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* inspect = command->add_subcommand("inspect", "What a tokenizer is made of");
  inspect->add_option("tokenizer", *folder, "a model's folder, or a tokenizer.json")->required();
  inspect->add_flag("--json", *json, "print one JSON object and nothing else");
  inspect->callback([folder, json, &exit_code] { exit_code = Inspect(*folder, *json); });

  auto encode = std::make_shared<EncodeOptions>();
  CLI::App* encode_command =
      command->add_subcommand("encode", "A text as tokens, with their places");
  encode_command->add_option("tokenizer", encode->folder, "a model's folder, or a tokenizer.json")
      ->required();
  encode_command->add_option("text", encode->text, "the text");
  encode_command->add_option("--file", encode->file, "or a file with it");
  encode_command->add_flag("--special", encode->special,
                           "with the tokens that the tokenizer puts around a text");
  encode_command->add_flag("--json", encode->json, "print one JSON object and nothing else");
  encode_command->callback([encode, &exit_code] { exit_code = Encode(*encode); });
}

}  // namespace pawl::cli
