#include "text/train_bpe.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "tests/goldens/goldens.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;
using Merge = std::pair<std::string, std::string>;

std::vector<std::string_view> Views(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

// "low" 5 times, "lower" 2, "newest" 6, "widest" 3 (Sennrich et al. 2016, algorithm 1): e-s, s-t
// and w-e... "es" and "st" occur 9 times each; of those the pair of the smaller ids comes first.
TEST(TrainBpe, MergesTheMostFrequentPairOfSmallestIds) {
  std::string text;
  const std::pair<const char*, int> words[] = {
      {"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}};
  for (const auto& [word, count] : words) {
    for (int i = 0; i < count; ++i) text += std::string(word) + "\n";
  }
  TrainBpeConfig config;
  config.all_bytes = false;
  config.vocab_size = 11 + 3;
  const BpeMerges bpe = TrainBpe(std::vector<std::string_view>{text}, config);
  EXPECT_EQ(bpe.vocab.size(), 14u);
  EXPECT_EQ(bpe.merges, (std::vector<Merge>{{"e", "s"}, {"es", "t"}, {"l", "o"}}));
}

TEST(TrainBpe, EqualsThePackage) {
  const Json golden = Json::parse(core::ReadTextFile(GoldensFolder() / "text/train_bpe.json"));
  for (const Json& one : golden["cases"]) {
    const auto texts = one["texts"].get<std::vector<std::string>>();
    TrainBpeConfig config;
    config.vocab_size = one["vocab_size"].get<int64_t>();
    config.min_frequency = one["min_frequency"].get<int64_t>();
    config.special_tokens = one["special_tokens"].get<std::vector<std::string>>();
    config.all_bytes = one["all_bytes"].get<bool>();
    for (const int threads : {1, 3}) {
      config.threads = threads;
      const BpeMerges bpe = TrainBpe(Views(texts), config);
      EXPECT_EQ(bpe.merges, one["merges"].get<std::vector<Merge>>());
      EXPECT_EQ(bpe.vocab.size(), one["size"].get<size_t>());
      const auto expected = one["vocab"].get<std::vector<std::string>>();
      ASSERT_GE(bpe.vocab.size(), expected.size());
      EXPECT_TRUE(std::equal(expected.rbegin(), expected.rend(), bpe.vocab.rbegin()));
    }
  }
}

// The fixture of Stanford's CS336: 500 tokens of a web text, other ties.
TEST(TrainBpe, EqualsTheReferenceOfCs336) {
  // shared/data of the nearest folder above that has one
  std::filesystem::path at = PAWL_SOURCE_DIR, folder;
  for (; folder.empty() && at != at.root_path(); at = at.parent_path()) {
    const auto here = at.parent_path() / "shared/data/tokenizers";
    if (std::filesystem::exists(here / "bpe_train_corpus.en")) folder = here;
  }
  if (folder.empty()) GTEST_SKIP() << "no shared/data/tokenizers above the sources";
  const std::string text = core::ReadTextFile(folder / "bpe_train_corpus.en");
  TrainBpeConfig config;
  config.vocab_size = 500;
  config.special_tokens = {"<|endoftext|>"};
  config.ties = BpeTies::kGreatestBytes;
  const BpeMerges bpe = TrainBpe(std::vector<std::string_view>{text}, config);
  std::string merges;
  for (const auto& [left, right] : bpe.merges) merges += left + " " + right + "\n";
  EXPECT_EQ(merges, core::ReadTextFile(folder / "bpe_train_reference_merges.txt"));
  // the reference orders the bytes' ids otherwise; the tokens are the same
  const Json vocab = Json::parse(core::ReadTextFile(folder / "bpe_train_reference_vocab.json"));
  EXPECT_EQ(vocab.size(), bpe.vocab.size());
  for (const std::string& token : bpe.vocab) EXPECT_TRUE(vocab.contains(token)) << token;
}

TEST(TrainBpe, RefusesWhatItCannotLearn) {
  TrainBpeConfig config;
  config.vocab_size = 256;
  config.special_tokens = {"<s>"};
  const auto refusal = [&](std::string_view text) -> std::string {
    try {
      TrainBpe(std::vector<std::string_view>{text}, config);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal("a"),
            "vocabulary of 256 tokens: expected at least 257: 1 special tokens and 256 bytes");
  EXPECT_EQ(refusal("a\xFF"), "bytes that are no UTF-8 at byte 1 of a text: expected UTF-8");
  config.vocab_size = 300;
  EXPECT_TRUE(TrainBpe({}, config).merges.empty());
  EXPECT_EQ(TrainBpe({}, config).vocab.size(), 257u);
}

TEST(TrainBpe, WritesTheTokenizerAsJson) {
  TrainBpeConfig config;
  config.vocab_size = 259;
  config.special_tokens = {"<s>", "\"</s>\""};
  const BpeMerges bpe = TrainBpe(std::vector<std::string_view>{"aaaa bbbb aaaa"}, config);
  const Json json = Json::parse(BpeTokenizerJson(bpe, config));
  EXPECT_EQ(json["added_tokens"][1]["content"], "\"</s>\"");
  EXPECT_EQ(json["added_tokens"][1]["id"], 1);
  EXPECT_EQ(json["model"]["vocab"].size(), 259u);
  EXPECT_EQ(json["model"]["vocab"]["aa"], 258);
  EXPECT_EQ(json["model"]["merges"], Json::parse(R"([["a", "a"]])"));
}

}  // namespace
}  // namespace pawl::text
