#include "text/record_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "text_testing.h"

namespace pawl::text {
namespace {
using testing::AllOf;
using testing::HasSubstr;

std::string TextOf(const RecordSet& records, size_t file, Side side, int64_t index) {
  Record record;
  return records.Read(file, side, index, record) ? record.text.get<std::string>() : "<bad>";
}

std::string ErrorOf(const std::vector<std::string>& files, const RecordOptions& options = {}) {
  return UserErrorOf([&] { RecordSet(files, "data.files", options); });
}

TEST(IsHeldOut, IsSpreadEvenlyAndNeverChanges) {
  for (const double share : {0.0, 0.01, 0.1, 0.5}) {
    int held = 0;
    for (int64_t i = 1; i <= 10'000; ++i) {
      held += IsHeldOut(i, share);
      EXPECT_NEAR(held, share * static_cast<double>(i), 4) << share << " " << i;
    }
  }
  std::vector<int64_t> first;
  for (int64_t i = 1; i <= 50; ++i) {
    if (IsHeldOut(i, 0.1)) first.push_back(i);
  }
  EXPECT_EQ(first, (std::vector<int64_t>{5, 13, 26, 34, 47}));
}

TEST(LineIndex, FindsTheLinesOfASide) {
  // every third line is no record, the rest are held out where IsHeldOut says so
  LineIndex index;
  std::array<std::vector<int64_t>, 2> expected;
  for (int64_t i = 0; i < 1000; ++i) {
    const Side side = IsHeldOut(i + 1, 0.2) ? Side::kHeldOut : Side::kTrain;
    index.Add(i * 10, i % 3 != 0, side);
    if (i % 3 != 0) expected[static_cast<size_t>(side)].push_back(i);
  }
  for (const Side side : {Side::kTrain, Side::kHeldOut}) {
    const auto& lines = expected[static_cast<size_t>(side)];
    ASSERT_EQ(index.size(side), static_cast<int64_t>(lines.size()));
    for (size_t i = 0; i < lines.size(); ++i) {
      const LineIndex::Place place = index.Find(side, static_cast<int64_t>(i));
      ASSERT_EQ(place.number + place.skip, lines[i] + 1);
      ASSERT_EQ(place.offset, (place.number - 1) * 10);
      ASSERT_LT(place.skip, LineIndex::kBlockLines);
    }
  }
  EXPECT_THROW(index.Find(Side::kTrain, index.size(Side::kTrain)), Error);
  EXPECT_LE(index.bytes(), 4 * 1000);  // a vector's room included
}

TEST(RecordSet, ReadsInAnyOrderWhatWasWritten) {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 500; ++i) {
    if (i % 10 == 4) text += "\n";
    text +=
        fmt::format("{{\"text\": \"{}{}\"}}\n", i, std::string(static_cast<size_t>(i * 97), 'x'));
  }
  RecordOptions options;
  options.holdout = 0.25;
  const RecordSet records({folder.Write("a.jsonl", text)}, "files", options);
  EXPECT_EQ(records.counts().records, 500);
  EXPECT_EQ(records.counts().empty_lines, 50);
  EXPECT_EQ(records.kind(), RecordKind::kLanguage);
  std::set<int> seen;
  for (const Side side : {Side::kHeldOut, Side::kTrain}) {
    for (int64_t i = records.size(0, side) - 1; i >= 0; --i) {
      const std::string found = TextOf(records, 0, side, i);
      const int number = std::stoi(found);
      EXPECT_EQ(found.size(), std::to_string(number).size() + static_cast<size_t>(number) * 97);
      EXPECT_TRUE(seen.insert(number).second);
      const int64_t line = number + 1 + (number + 6) / 10;  // after its blank lines
      EXPECT_EQ(IsHeldOut(line, 0.25), side == Side::kHeldOut) << number;
      EXPECT_THAT(records.PlaceOf(0, side, i), HasSubstr(fmt::format("a.jsonl:{}", line)));
    }
  }
  EXPECT_EQ(seen.size(), 500u);
}

TEST(RecordSet, LinesAddedAtTheEndMoveNoOther) {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += fmt::format("{{\"text\": \"{}\"}}\n", i);
  RecordOptions options;
  options.holdout = 0.1;
  const RecordSet before({folder.Write("a", text)}, "files", options);
  for (int i = 100; i < 150; ++i) text += fmt::format("{{\"text\": \"{}\"}}\n", i);
  const RecordSet after({folder.Write("b", text)}, "files", options);
  for (const Side side : {Side::kHeldOut, Side::kTrain}) {
    ASSERT_GT(before.size(0, side), 8);
    for (int64_t i = 0; i < before.size(0, side); ++i)
      EXPECT_EQ(TextOf(after, 0, side, i), TextOf(before, 0, side, i));
  }
  EXPECT_NE(before.checksum(), after.checksum());
}

TEST(RecordSet, BadLinesAreRefusedWithTheirPlaceOrSkippedAndCounted) {
  TempFolder folder;
  const std::string path = folder.Write(
      "a.jsonl",
      "{\"text\": \"1\"}\n{\"text\": 2}\n{broken\n{\"text\": \"4\"}\n{\"prompt\": \"5\"}\n");
  EXPECT_THAT(ErrorOf({path}), AllOf(HasSubstr("a.jsonl:2"), HasSubstr("'text' is a number"),
                                     HasSubstr("data.bad_records")));
  RecordOptions options;
  options.bad_records = BadRecord::kSkip;
  const RecordSet records({path}, "files", options);
  EXPECT_EQ(records.counts().bad_lines, 3);
  EXPECT_EQ(records.size(0, Side::kTrain), 2);
  EXPECT_EQ(TextOf(records, 0, Side::kTrain, 1), "4");
  ASSERT_EQ(records.counts().problems.size(), 3u);
  EXPECT_EQ(records.counts().problems[1].line, 3);
  EXPECT_THAT(records.counts().problems[2].problem.what, HasSubstr("kind prompt among"));
  options.check_lines = 1;  // the others are found when they are drawn
  const RecordSet unchecked({path}, "files", options);
  EXPECT_EQ(unchecked.size(0, Side::kTrain), 5);
  EXPECT_EQ(TextOf(unchecked, 0, Side::kTrain, 1), "<bad>");
  EXPECT_EQ(TextOf(unchecked, 0, Side::kTrain, 3), "4");
  options.bad_records = BadRecord::kRefuse;
  const RecordSet strict({path}, "files", options);
  EXPECT_THAT(UserErrorOf([&] { TextOf(strict, 0, Side::kTrain, 1); }), HasSubstr("a.jsonl:2"));
}

TEST(RecordSet, KindsOfOtherFilesMustAgree) {
  TempFolder folder;
  const std::string a = folder.Write("a", "{\"text\": \"1\"}\n"),
                    b = folder.Write("b", "{\"prompt\": \"1\"}\n");
  EXPECT_THAT(ErrorOf({a, b}), AllOf(HasSubstr("/b:1"), HasSubstr("kind prompt among")));
  EXPECT_EQ(ErrorOf({a, a}), "");
}

TEST(RecordSet, LongLinesAreBadOnesAndTakeNoMemory) {
  TempFolder folder;
  const std::string path =
      folder.Write("a", "{\"text\": \"1\"}\n{\"text\": \"" + std::string(3'000'000, 'x') +
                            "\"}\n{\"text\": \"3\"}");
  RecordOptions options;
  options.max_line_bytes = 1'000'000;
  EXPECT_THAT(ErrorOf({path}, options),
              AllOf(HasSubstr("/a:2"), HasSubstr("3000013 bytes"), HasSubstr("data.max_line_mb")));
  options.bad_records = BadRecord::kSkip;
  const RecordSet records({path}, "files", options);
  EXPECT_EQ(TextOf(records, 0, Side::kTrain, 1), "3");
}

TEST(RecordSet, BytesThatAreNoTextAreRefusedOrReplaced) {
  TempFolder folder;
  const std::string mark = "\xEF\xBB\xBF";
  const std::string path =
      folder.Write("a", mark + "{\"text\": \"a\xFF\"}\r\n{\"text\": \"b\"}\r\n");
  RecordOptions options;
  const RecordSet records({path}, "files", options);
  EXPECT_EQ(records.counts().replaced_utf8, 1);
  EXPECT_EQ(TextOf(records, 0, Side::kTrain, 0), "a\xEF\xBF\xBD");
  options.invalid_utf8 = InvalidUtf8::kRefuse;
  EXPECT_THAT(ErrorOf({path}, options), AllOf(HasSubstr("/a:1"), HasSubstr("UTF-8")));
  const std::string nul = folder.Write("n", std::string("{\"text\": \"a\0\"}\n", 14));
  EXPECT_THAT(ErrorOf({nul}), AllOf(HasSubstr("/n:1"), HasSubstr("no JSON")));
}

TEST(RecordSet, FilesWithoutRecordsAreRefused) {
  TempFolder folder;
  EXPECT_THAT(ErrorOf({folder.Write("a", "")}), HasSubstr("is empty"));
  EXPECT_THAT(ErrorOf({folder.Write("b", "\n \n")}), HasSubstr("is empty"));
  RecordOptions options;
  options.bad_records = BadRecord::kSkip;
  EXPECT_THAT(ErrorOf({folder.Write("c", "x\ny\n")}, options),
              AllOf(HasSubstr("/c:1"), HasSubstr("no JSON")));
  EXPECT_THAT(ErrorOf({folder.Write("d", "[\n{\"text\": \"a\"}\n]\n")}), HasSubstr("jq -c"));
  EXPECT_THAT(ErrorOf({folder.Write("e", "text = 1\n")}), HasSubstr("one JSON object a line"));
}

TEST(RecordSet, AFileThatShrinksIsAnErrorNotACrash) {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += fmt::format("{{\"text\": \"{}\"}}\n", i);
  const std::string path = folder.Write("a", text);
  const RecordSet records({path}, "files", {});
  std::filesystem::resize_file(path, 200);
  EXPECT_THAT(UserErrorOf([&] { TextOf(records, 0, Side::kTrain, 99); }), HasSubstr("cut short"));
}

}  // namespace
}  // namespace pawl::text
