#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "text/tokenizer.h"
#include "text_testing.h"

namespace pawl::text {
namespace {
namespace fs = std::filesystem;

// Real vocabularies, which prepare_tokenizers.py makes: what we give for each of its texts is
// written down as JSON, and check_parity.py compares it with the packages.
struct RealVocabulary {
  std::string folder;
  std::string reference = "tokenizer.json";  // what the package reads
  // What we read where it is not the same: other files of the folder.
  std::vector<std::string> ours;

  bool IsSentencePiece() const { return !ours.empty() && ours[0] == "tokenizer.model"; }
  std::string Name() const {
    std::string name = folder;
    if (reference == "legacy.json") name += "_legacy";
    if (!ours.empty()) name += "_direct";
    return name;
  }
};

class TokenizerParity : public testing::TestWithParam<RealVocabulary> {
 protected:
  void SetUp() override {
    root_ = PAWL_SOURCE_DIR;
    python_ = (root_ / ".venv-peers/bin/python").string();
    made_ = root_ / ".cache/tokenizers";
    const std::string import = python_ + " -c 'import tokenizers, sentencepiece' 2>/dev/null";
    if (!fs::exists(python_) || std::system(import.c_str()) != 0)
      GTEST_SKIP() << "no tokenizers and sentencepiece in .venv-peers (bench/README.md)";
    if (!fs::exists(made_ / GetParam().folder / GetParam().reference)) {
      GTEST_SKIP() << "no " << GetParam().folder
                   << " in .cache/tokenizers (tests/text/prepare_tokenizers.py makes it)";
    }
  }

  std::unique_ptr<Tokenizer> Load() const {
    const fs::path folder = made_ / GetParam().folder;
    if (GetParam().ours.empty()) return LoadTokenizer(folder / GetParam().reference);
    // beside a tokenizer.json they would not be read
    const TempFolder alone;
    for (const std::string& name : GetParam().ours)
      fs::copy_file(folder / name, alone.path() / name);
    return LoadTokenizer(alone.path());
  }

  fs::path root_, made_;
  std::string python_;
  TempFolder folder_;
};

nlohmann::json ResultOf(const Tokenizer& tokenizer, const std::string& text) {
  const Encoding encoding = tokenizer.EncodeWithOffsets(text);
  nlohmann::json offsets = nlohmann::json::array();
  for (const TokenOffsets& range : encoding.offsets) offsets.push_back({range.begin, range.end});
  const auto ids = tokenizer.Encode(text);
  TokenStream stream(tokenizer);
  std::string streamed;
  for (const int32_t id : ids) streamed += stream.Push(id);
  streamed += stream.Finish();
  return {{"ids", ids},
          {"same", ids == encoding.ids},
          {"offsets", offsets},
          {"text", tokenizer.Decode(ids)},
          {"plain", tokenizer.Decode(ids, {.skip_special_tokens = true})},
          {"streamed", streamed},
          {"special", tokenizer.Encode(text, {.add_special_tokens = true})}};
}

TEST_P(TokenizerParity, EqualsThePackage) {
  const auto tokenizer = Load();
  const fs::path folder = made_ / GetParam().folder;
  const std::string samples =
      core::ReadTextFile(made_ / "samples.jsonl") + core::ReadTextFile(folder / "samples.jsonl");
  folder_.Write("samples.jsonl", samples);
  std::ofstream dump(folder_.path() / "dump.jsonl");
  for (std::string_view rest = samples; !rest.empty();) {
    const size_t end = rest.find('\n');
    const auto text = nlohmann::json::parse(rest.substr(0, end)).get<std::string>();
    dump << ResultOf(*tokenizer, text).dump() << '\n';
    rest.remove_prefix(end + 1);
  }
  dump.close();
  std::string command = fmt::format(
      "'{}' '{}' '{}' '{}' '{}'", python_, (root_ / "tests/text/check_parity.py").string(),
      (folder / GetParam().reference).string(), (folder_.path() / "samples.jsonl").string(),
      (folder_.path() / "dump.jsonl").string());
  if (GetParam().IsSentencePiece())
    command += fmt::format(" '{}'", (folder / "tokenizer.model").string());
  command += fmt::format(" > '{}' 2>&1", (folder_.path() / "out.txt").string());
  EXPECT_EQ(std::system(command.c_str()), 0) << core::ReadTextFile(folder_.path() / "out.txt");
}

RealVocabulary Direct(const std::string& folder) {
  return {folder, "legacy.json", {"tokenizer.model", "tokenizer_config.json"}};
}

INSTANTIATE_TEST_SUITE_P(
    Real, TokenizerParity,
    testing::Values(RealVocabulary{"gpt2"},
                    RealVocabulary{"gpt2", "tokenizer.json", {"vocab.json", "merges.txt"}},
                    RealVocabulary{"llama3"}, RealVocabulary{"tekken"}, RealVocabulary{"gemma3"},
                    RealVocabulary{"qwen"}, RealVocabulary{"mistral_v1"},
                    RealVocabulary{"mistral_v2"}, RealVocabulary{"mistral_v3"},
                    RealVocabulary{"mistral_v1", "legacy.json"}, Direct("mistral_v1"),
                    Direct("mistral_v2"), Direct("mistral_v3")),
    [](const auto& vocabulary) { return vocabulary.param.Name(); });

}  // namespace
}  // namespace pawl::text
