#include "text/load_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/file.h"
#include "text_testing.h"

namespace pawl::text {
namespace {
namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

DataConfig Config(std::vector<std::string> files, int64_t context = 200) {
  DataConfig config;
  config.files = std::move(files);
  config.context = context;
  config.tokenizer = TokenizerKind::kByte;
  config.holdout = 0.1;
  return config;
}

std::string ErrorOf(const DataConfig& config) {
  return UserErrorOf([&] { LoadData(config, nullptr); });
}

core::Table Toml(const std::string& text) { return core::Table::ParseString(text, "c.toml"); }

// The text of a sequence whose ids are bytes, targets after a bar.
std::string Shown(const TokenBatch& batch, int64_t i) {
  std::string text;
  bool learned = false;
  for (int32_t at = batch.starts[static_cast<size_t>(i)];
       at < batch.starts[static_cast<size_t>(i) + 1]; ++at) {
    if (batch.is_target[static_cast<size_t>(at)] != 0 && !learned) text += "|";
    learned = batch.is_target[static_cast<size_t>(at)] != 0;
    text += static_cast<char>(batch.tokens[static_cast<size_t>(at)]);
  }
  return text;
}

// The files that came with the project's data; empty where they are not there.
fs::path SharedData() {
  for (fs::path root = PAWL_SOURCE_DIR;; root = root.parent_path()) {
    std::error_code ignored;
    if (fs::is_directory(root / "shared/data", ignored)) return root / "shared/data";
    if (root == root.parent_path()) return {};
  }
}

TEST(FormatOf, TheNameOrTheKeyTells) {
  DataConfig config;
  const auto format = [&](const std::string& name) {
    config.files = {name};
    return FormatOf(config);
  };
  EXPECT_EQ(format("a.txt"), DataFormat::kText);
  EXPECT_EQ(format("a.txt.gz"), DataFormat::kText);
  for (const char* name : {"a.jsonl", "a.json", "a.ndjson", "a.jsonl.gz"})
    EXPECT_EQ(format(name), DataFormat::kRecords) << name;
  config.format = DataFormat::kText;
  EXPECT_EQ(format("a.jsonl"), DataFormat::kText);
}

TEST(LoadData, TextAndLinesAreTheSameFamily) {
  TempFolder folder;
  auto config = Config({folder.Write("a.txt", "ab=cd\nx=y\nz=w\n")}, 4);
  config.holdout = 0.2;
  const LoadedData text = LoadData(config, nullptr);
  EXPECT_EQ(text.train_tokens, 12);
  EXPECT_EQ(ShuffledBatches(*text.train, BatchOptionsOf(config, 1, 2)).Next().sequences(), 2);
  config.format = DataFormat::kLines;
  config.separator = "=";
  config.context = 8;
  const LoadedData lines = LoadData(config, nullptr);
  EXPECT_EQ(Shown(lines.train->Spread(0, 9)[0], 0), "ab=|cd\n");
  EXPECT_EQ(Shown(lines.eval->Spread(0, 9)[0], 0), "z=|w\n");
}

TEST(LoadData, TextsMayBePackedAndMarked) {
  TempFolder folder;
  // gzip of "abcdef": 10 bytes of header, a stored block, checksum and length
  const std::string packed(
      "\x1F\x8B\x08\0\0\0\0\0\0\x03\x01\x06\0\xF9\xFF"
      "abcdef\xEF\x39\x8E\x4B\x06\0\0\0",
      29);
  auto config = Config({folder.Write("a.txt.gz", packed)}, 5);
  config.holdout = 0;
  EXPECT_EQ(Shown(LoadData(config, nullptr).train->Spread(0, 1)[0], 0), "a|bcdef");
  config.files = {folder.Write("b.txt",
                               "\xEF\xBB\xBF"
                               "abcdef")};
  EXPECT_EQ(Shown(LoadData(config, nullptr).train->Spread(0, 1)[0], 0), "a|bcdef");
}

TEST(LoadData, RecordsBecomeBatches) {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 50; ++i)
    text += fmt::format("{{\"q\": \"{}+1=\", \"a\": \"{}\"}}\n", i, i + 1);
  auto config = Config({folder.Write("a.jsonl", text)});
  config.columns = Toml("prompt = \"q\"\ncompletion = \"a\"");
  const LoadedData data = LoadData(config, nullptr);
  EXPECT_EQ(data.train->sequences() + data.eval->sequences(), 50);
  EXPECT_EQ(data.eval->sequences(), 5);  // lines 5, 13, 26, 34, 47
  EXPECT_TRUE(data.tokens_are_estimates);
  EXPECT_NEAR(data.train_tokens, 45 * 7.7, 15);
  const TokenBatch batch = data.eval->Spread(0, 100)[0];
  EXPECT_EQ(Shown(batch, 0), "4+1=|5\n");
  ShuffledBatches batches(*data.train, BatchOptionsOf(config, 1, 45));
  std::set<std::string> seen;
  const TokenBatch epoch = batches.Next();
  for (int64_t i = 0; i < epoch.sequences(); ++i) seen.insert(Shown(epoch, i));
  EXPECT_EQ(seen.size(), 45u);
  // the characters of what is encoded, the end included: digits + = and the line break
  config.tokenizer = TokenizerKind::kChar;
  EXPECT_EQ(LoadData(config, nullptr).tokenizer->vocab_size(), 13);
  std::string with_rare;  // in a line that is held out
  for (int i = 1; i <= 50; ++i)
    with_rare += fmt::format("{{\"q\": \"a\", \"a\": \"{}\"}}\n", i == 13 ? "~" : "b");
  auto rare = config;
  rare.files = {folder.Write("rare.jsonl", with_rare)};
  EXPECT_EQ(LoadData(rare, nullptr).tokenizer->vocab_size(), 4);  // a, b, ~ and the line break
  // another file to evaluate on
  config.tokenizer = TokenizerKind::kByte;
  config.eval_files = {folder.Write("b.jsonl", "{\"q\": \"?\", \"a\": \"!\"}\n")};
  const LoadedData own = LoadData(config, nullptr);
  EXPECT_EQ(own.train->sequences(), 50);
  EXPECT_EQ(Shown(own.eval->Spread(0, 9)[0], 0), "?|!\n");
}

TEST(LoadData, LimitsDropAndCut) {
  TempFolder folder;
  std::string text;
  for (int i = 1; i <= 40; ++i)
    text += fmt::format("{{\"text\": \"{}\"}}\n", std::string(static_cast<size_t>(i), 'x'));
  auto config = Config({folder.Write("a.jsonl", text)}, 19);
  config.holdout = 0;
  config.min_tokens = 11;
  const LoadedData data = LoadData(config, nullptr);
  EXPECT_EQ(data.sample.truncated, 21);  // 20 to 40 and their ends
  EXPECT_EQ(data.sample.dropped, 9);
  TokenBatch batch;
  for (int64_t i = 0; i < 40; ++i) data.train->Add(0, i, 0, batch);
  EXPECT_EQ(batch.truncated, 21);
  EXPECT_EQ(batch.dropped, 9);
  EXPECT_EQ(batch.sequences(), 31);
  config.long_lines = LongLine::kRefuse;
  EXPECT_THAT(ErrorOf(config), AllOf(HasSubstr("a.jsonl:20"), HasSubstr("21 tokens")));
  config.long_lines = LongLine::kDrop;
  config.min_tokens = 21;
  EXPECT_THAT(ErrorOf(config), HasSubstr("none of 40 records can be used"));
}

TEST(LoadData, WhatDoesNotFitIsToldBeforeTheRun) {
  TempFolder folder;
  const std::string records = folder.Write("a.jsonl", "{\"text\": \"abc\"}\n{\"text\": \"d\"}\n");
  const std::string chat =
      folder.Write("b.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n");
  EXPECT_THAT(ErrorOf(Config({records})), HasSubstr("data.holdout"));  // two lines: none held out
  auto config = Config({chat});
  config.holdout = 0;
  EXPECT_THAT(ErrorOf(config), AllOf(HasSubstr("b.jsonl:1"), HasSubstr("no chat template")));
  config = Config({folder.Write("c.txt", "abcdef")}, 2);
  config.kind = RecordKind::kPrompt;
  EXPECT_THAT(ErrorOf(config), HasSubstr("data.kind"));
  config = Config({records});
  config.separator = "=";
  EXPECT_THAT(ErrorOf(config), HasSubstr("data.separator"));
  config = Config({records});
  config.columns = Toml("promt = \"a\"");
  EXPECT_THAT(ErrorOf(config), HasSubstr("data.columns"));
  config = Config({records});
  config.holdout = 0;
  config.weights = {1, 2};
  const LoadedData data = LoadData(config, nullptr);
  EXPECT_THAT(UserErrorOf([&] { ShuffledBatches(*data.train, BatchOptionsOf(config, 1, 1)); }),
              HasSubstr("2 weights for 1 files"));
}

class RealData : public testing::Test {
 protected:
  void SetUp() override {
    if (SharedData().empty()) GTEST_SKIP() << "no shared/data beside the repository";
  }
  LoadedData Load(const std::string& file, const std::string& columns = "",
                  int64_t context = 4000) {
    auto config = Config({(SharedData() / file).string()}, context);
    config.columns = Toml(columns);
    return LoadData(config, nullptr);
  }
};

TEST_F(RealData, Gsm8k) {
  const LoadedData data = Load("math/gsm8k/train.jsonl");
  EXPECT_EQ(data.records->counts().records, 7473);
  EXPECT_EQ(data.records->kind(), RecordKind::kPromptCompletion);
  EXPECT_EQ(data.eval->sequences(), 747);
  const TokenBatch first = data.train->Spread(1, 1)[0];
  EXPECT_THAT(Shown(first, 0),
              AllOf(testing::StartsWith("Natalia sold clips"),
                    HasSubstr("and May?|Natalia sold 48/2"), testing::EndsWith("#### 72\n")));
}

TEST_F(RealData, DollyAlpacaMathAndCountdown) {
  const LoadedData dolly =
      Load("instruct/dolly_hhrlhf_train_small.jsonl", "completion = \"response\"", 40'000);
  EXPECT_EQ(dolly.records->counts().records, 1000);
  EXPECT_THAT(Shown(dolly.train->Spread(1, 1)[0], 0), HasSubstr("### Response:\n|Kangen water"));
  const LoadedData alpaca =
      Load("instruct/alpaca_seed_tasks.jsonl",
           "prompt = \"instruction\"\ncompletion = \"instances.0.output\"", 40'000);
  EXPECT_EQ(alpaca.records->counts().records, 175);
  EXPECT_THAT(Shown(alpaca.train->Spread(1, 1)[0], 0), HasSubstr("700-1000 calories?|Yes, you"));
  const LoadedData math =
      Load("math/math500/test.jsonl",
           "question = \"problem\"\nthought = \"solution\"\nanswer = \"answer\"", 10'000);
  EXPECT_EQ(math.records->kind(), RecordKind::kThought);
  EXPECT_EQ(math.records->counts().records, 500);
  EXPECT_THAT(Shown(math.train->Spread(1, 1)[0], 0),
              AllOf(HasSubstr("2 \\pi.$|<think>\nWe have"), HasSubstr("\n</think>\n\n\\left( 3")));
  RecordOptions options;
  options.columns = ReadColumns(Toml("prompt = \"nums\""));
  EXPECT_THAT(UserErrorOf([&] {
                RecordSet({(SharedData() / "math/countdown/train.jsonl").string()}, "f", options);
              }),
              AllOf(HasSubstr("train.jsonl:1"), HasSubstr("column 'nums'")));
}

TEST_F(RealData, HhPreferencesHaveTheirPromptsTakenOff) {
  int64_t records = 0, dialogues = 0;
  const RecordSet set({(SharedData() / "prefs/hh-rlhf/harmless-base_test.jsonl.gz").string()},
                      "files", {}, [&](const Record& record, size_t, int64_t) {
                        ++records;
                        dialogues += record.prompt.get_ref<const std::string&>().find(
                                         "Assistant:") != std::string::npos;
                      });
  EXPECT_EQ(set.kind(), RecordKind::kPreference);
  EXPECT_EQ(records, 2312);
  EXPECT_EQ(dialogues, 2312);
}

}  // namespace
}  // namespace pawl::text
