#include "text/text_dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "text_testing.h"

namespace pawl::text {
namespace {

std::string Has(const std::string& error, const std::string& part) {
  return error.find(part) != std::string::npos ? "" : part + " is not in: " + error;
}

DataConfig Config(std::vector<std::string> files, int64_t context = 4) {
  DataConfig config;
  config.files = std::move(files);
  config.context = context;
  config.tokenizer = TokenizerKind::kByte;
  config.holdout = 0;
  return config;
}

DataConfig Lines(std::vector<std::string> files, std::string separator = "", int64_t context = 8) {
  DataConfig config = Config(std::move(files), context);
  config.format = DataFormat::kLines;
  config.separator = std::move(separator);
  return config;
}

// The text of sequence i, targets in capitals (the test's texts are lower case).
std::string Shown(const TokenBatch& batch, int64_t i) {
  std::string text;
  for (int32_t at = batch.starts[static_cast<size_t>(i)];
       at < batch.starts[static_cast<size_t>(i) + 1]; ++at) {
    const char c = static_cast<char>(batch.tokens[static_cast<size_t>(at)]);
    text += batch.is_target[static_cast<size_t>(at)] != 0 ? static_cast<char>(std::toupper(c)) : c;
  }
  return text;
}

std::vector<std::string> All(const TextDataset& data) {
  std::vector<std::string> shown;
  for (const auto& batch : data.Spread(0, 2)) {
    for (int64_t i = 0; i < batch.sequences(); ++i) shown.push_back(Shown(batch, i));
  }
  return shown;
}

TEST(TextDataset, WindowsShareOneTokenAndTheLastMayBeShorter) {
  TempFolder folder;
  const auto text = LoadText(Config({folder.Write("a", "abcdefghijk")}), nullptr);
  EXPECT_EQ(All(text.train), (std::vector<std::string>{"aBCDE", "eFGHI", "iJK"}));
  EXPECT_TRUE(text.eval.empty());
  EXPECT_EQ(text.train.Spread(0, 2)[0].inputs(), 8);
}

TEST(TextDataset, TheHoldOutIsTheEnd) {
  TempFolder folder;
  auto config = Config({folder.Write("a", "abcdefghij"), folder.Write("b", "klmnopqrst")});
  config.holdout = 0.25;
  const auto text = LoadText(config, nullptr);
  EXPECT_EQ(text.train.tokens(), 15);
  EXPECT_EQ(All(text.eval), (std::vector<std::string>{"pQRST"}));
  config.eval_files = {folder.Write("c", "xyz")};
  const auto own = LoadText(config, nullptr);
  EXPECT_EQ(own.train.tokens(), 20);
  EXPECT_EQ(All(own.eval), (std::vector<std::string>{"xYZ"}));
}

TEST(TextDataset, LinesEndWithABreakAndOnlyCompletionsAreLearned) {
  TempFolder folder;
  const std::string path = folder.Write("a", "ab=cd\r\n\nx=y\n=z");
  const auto plain = LoadText(Lines({path}), nullptr);
  EXPECT_EQ(All(plain.train), (std::vector<std::string>{"aB=CD\n", "x=Y\n", "=Z\n"}));
  EXPECT_EQ(plain.counts.empty_lines, 1);
  const auto split = LoadText(Lines({path}, "="), nullptr);
  EXPECT_EQ(All(split.train), (std::vector<std::string>{"ab=CD\n", "x=Y\n", "=Z\n"}));
  EXPECT_EQ(Has(UserErrorOf([&] { LoadText(Lines({path}, ":"), nullptr); }), "a:1"), "");
}

TEST(TextDataset, LongLinesAreCutAndCountedOrRefused) {
  TempFolder folder;
  auto config = Lines({folder.Write("a", "ab=cdefgh\nabcdefgh=i\nx=y\n")}, "=", 5);
  const auto text = LoadText(config, nullptr);
  EXPECT_EQ(All(text.train), (std::vector<std::string>{"ab=CDE", "x=Y\n"}));
  EXPECT_EQ(text.counts.truncated_lines, 2);
  EXPECT_EQ(text.counts.dropped_lines, 1);  // its completion lay behind the cut
  EXPECT_EQ(text.train.Spread(0, 8)[0].truncated, 1);
  config.long_lines = LongLine::kRefuse;
  const std::string error = UserErrorOf([&] { LoadText(config, nullptr); });
  EXPECT_EQ(Has(error, "10 tokens") + Has(error, "a:1") + Has(error, "data.long"), "");
}

TEST(TextDataset, TheLastLinesAreHeldOut) {
  TempFolder folder;
  auto config = Lines({folder.Write("a", "a\nb\nc\nd\ne\n")});
  config.holdout = 0.4;
  const auto text = LoadText(config, nullptr);
  EXPECT_EQ(All(text.train), (std::vector<std::string>{"a\n", "b\n", "c\n"}));
  EXPECT_EQ(All(text.eval), (std::vector<std::string>{"d\n", "e\n"}));
}

TEST(TextDataset, AnEpochHasEveryWindowOnceAndTheNextBeginsElsewhere) {
  TempFolder folder;
  std::string text(1000, ' ');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  const auto loaded = LoadText(Config({folder.Write("a", text)}, 10), nullptr);
  ShuffledBatches batches(loaded.train, 3, 1);
  const int64_t epoch = batches.epoch_sequences();
  EXPECT_EQ(epoch, 98);  // 99 whole windows, one of them room for the offset
  std::set<std::string> offsets;
  for (int64_t e = 0; e < 4; ++e) {
    std::vector<int> counts(26, 0);
    std::string first;
    for (int64_t i = 0; i < epoch; ++i) {
      const TokenBatch batch = batches.Batch(e * epoch + i);
      ASSERT_EQ(batch.sequences(), 1);
      ASSERT_EQ(batch.tokens.size(), 11u);
      for (int k = 0; k < 10; ++k) ++counts[static_cast<size_t>(batch.tokens[k] - 'a')];
      if (i == 0) first = Shown(batch, 0);
    }
    // 980 inputs of a text whose letters come round every 26
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    EXPECT_LE(*most - *least, 1);
    offsets.insert(first);
  }
  EXPECT_GT(offsets.size(), 1u);
}

TEST(ShuffledBatches, ABatchIsAFunctionOfSeedAndUpdateAlone) {
  TempFolder folder;
  const auto loaded =
      LoadText(Config({folder.Write("a", std::string(300, 'a') + "bcdefgh")}, 3), nullptr);
  ShuffledBatches in_order(loaded.train, 5, 7);
  std::vector<TokenBatch> all;
  for (int64_t update = 0; update < 50; ++update) all.push_back(in_order.Batch(update));
  ShuffledBatches other(loaded.train, 5, 7), another_seed(loaded.train, 6, 7);
  bool differs = false;
  for (const int64_t update : {49, 0, 17, 3, 30}) {
    const TokenBatch batch = other.Batch(update);
    EXPECT_EQ(batch.tokens, all[static_cast<size_t>(update)].tokens);
    EXPECT_EQ(batch.starts, all[static_cast<size_t>(update)].starts);
    EXPECT_EQ(batch.is_target, all[static_cast<size_t>(update)].is_target);
    differs |= another_seed.Batch(update).tokens != batch.tokens;
  }
  EXPECT_TRUE(differs);
}

TEST(ShuffledBatches, LinesComeOncePerEpoch) {
  TempFolder folder;
  const auto loaded = LoadText(Lines({folder.Write("a", "a\nbb\nccc\ndddd\neeeee\n")}), nullptr);
  ShuffledBatches batches(loaded.train, 1, 5);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    const TokenBatch batch = batches.Batch(epoch);
    std::multiset<int32_t> first;
    for (int64_t i = 0; i < 5; ++i)
      first.insert(batch.tokens[static_cast<size_t>(batch.starts[static_cast<size_t>(i)])]);
    EXPECT_EQ(first, (std::multiset<int32_t>{'a', 'b', 'c', 'd', 'e'}));
  }
}

TEST(TextDataset, SpreadTakesSequencesFromAllOfIt) {
  TempFolder folder;
  const auto loaded = LoadText(Config({folder.Write("a", "abcdefghijklm")}, 3), nullptr);
  std::vector<std::string> shown;
  for (const auto& batch : loaded.train.Spread(2, 1)) shown.push_back(Shown(batch, 0));
  EXPECT_EQ(shown, (std::vector<std::string>{"aBCD", "gHIJ"}));
}

TEST(LoadText, ACharacterVocabularyIsThatOfTheTrainingFiles) {
  TempFolder folder;
  auto config = Config({folder.Write("a", "hello world, hello")});
  config.tokenizer = TokenizerKind::kChar;
  EXPECT_EQ(LoadText(config, nullptr).tokenizer->vocab_size(), 9);
  config.eval_files = {folder.Write("b", "help")};
  const std::string error = UserErrorOf([&] { LoadText(config, nullptr); });
  EXPECT_EQ(Has(error, "/b") + Has(error, "'p'"), "");
}

TEST(LoadText, LineBreaksOfWindowsBecomeOne) {
  TempFolder folder;
  const auto loaded = LoadText(Config({folder.Write("a", "ab\r\ncd\re\r\n")}), nullptr);
  EXPECT_EQ(All(loaded.train), (std::vector<std::string>{"aB\nCD", "d\rE\n"}));
}

TEST(LoadText, InvalidUtf8IsReplacedAndCountedOrRefusedWithItsLine) {
  TempFolder folder;
  auto config = Config({folder.Write("a", "good\nbad \xFF\xFF text")}, 2);
  const auto loaded = LoadText(config, nullptr);
  EXPECT_EQ(loaded.counts.replaced_utf8, 2);
  EXPECT_EQ(loaded.train.tokens(), 5 + 4 + 6 + 5);  // U+FFFD has 3 bytes
  config.invalid_utf8 = InvalidUtf8::kRefuse;
  const std::string error = UserErrorOf([&] { LoadText(config, nullptr); });
  EXPECT_EQ(Has(error, "a:2") + Has(error, "UTF-8"), "");
}

TEST(LoadText, WhatCannotBeLearnedFromIsRefused) {
  TempFolder folder;
  const auto error = [](const DataConfig& config) {
    return UserErrorOf([&] { LoadText(config, nullptr); });
  };
  EXPECT_EQ(Has(error(Config({})), "data.files"), "");
  EXPECT_EQ(Has(error(Config({(folder.path() / "nothing").string()})), "does not exist"), "");
  EXPECT_EQ(Has(error(Config({folder.path().string()})), "is no file"), "");
  EXPECT_EQ(Has(error(Config({folder.Write("empty", "")})), "is empty"), "");
  const std::string shorter = folder.Write("short", "abcd");
  EXPECT_EQ(Has(error(Config({shorter})), "4 tokens to learn from, fewer than a window of 5"), "");
  EXPECT_EQ(error(Config({shorter}, 3)), "");
  auto config = Config({folder.Write("long", "abcdefghijklmno")});
  config.holdout = 0.1;  // one token: nothing comes before it
  EXPECT_EQ(Has(error(config), "data.holdout"), "");
  EXPECT_EQ(Has(error(Lines({folder.Write("breaks", "\n\n")})), "no line"), "");
  config = Config({shorter}, 3);
  config.separator = "=";
  EXPECT_EQ(Has(error(config), "data.format"), "");
}

TEST(TokenArray, KeepsIdsInTwoBytesOrFour) {
  for (const int64_t vocab : {65536, 65537}) {
    TokenArray tokens(vocab);
    tokens.Append(std::vector<int32_t>{0, 65535, static_cast<int32_t>(vocab - 1), 7});
    TokenArray tail = tokens.SplitOff(2);
    EXPECT_EQ(tokens.size(), 2);
    std::vector<int32_t> out(2);
    tail.CopyTo(0, out);
    EXPECT_EQ(out, (std::vector<int32_t>{static_cast<int32_t>(vocab - 1), 7}));
    EXPECT_NE(tokens.Checksum(), tail.Checksum());
    EXPECT_THROW(tail.CopyTo(1, out), Error);
  }
}

}  // namespace
}  // namespace pawl::text
