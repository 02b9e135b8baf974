#include "text/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text_testing.h"

namespace pawl::text {
namespace {
using testing::AllOf;
using testing::HasSubstr;

Columns ColumnsFrom(const std::string& toml) {
  return ReadColumns(core::Table::ParseString(toml, "c.toml"));
}

// The record of a line; where it is none the problem's text is in `error`.
Record Read(const std::string& line, std::string* error = nullptr, const Columns& columns = {},
            RecordKind wanted = RecordKind::kAuto) {
  Json row;
  Problem problem;
  Record record;
  const bool good =
      ParseJson(line, row, problem) && ReadRecord(row, columns, wanted, record, problem);
  const std::string text = problem.what + "; " + problem.expected + "; " + problem.hint;
  if (error != nullptr) *error = good ? "" : text;
  EXPECT_TRUE(good || error != nullptr) << text;
  return record;
}

std::string ErrorOf(const std::string& line, const Columns& columns = {},
                    RecordKind wanted = RecordKind::kAuto) {
  std::string error;
  Read(line, &error, columns, wanted);
  return error;
}

TEST(Record, TheColumnsSayTheKind) {
  const auto kind = [](const std::string& line) { return Read(line).kind; };
  EXPECT_EQ(kind(R"({"text": "a"})"), RecordKind::kLanguage);
  EXPECT_EQ(kind(R"({"messages": [{"role": "user", "content": "a"}]})"), RecordKind::kLanguage);
  EXPECT_EQ(kind(R"({"prompt": "a"})"), RecordKind::kPrompt);
  EXPECT_EQ(kind(R"({"prompt": "a", "completion": "b"})"), RecordKind::kPromptCompletion);
  EXPECT_EQ(kind(R"({"prompt": "a", "completion": "b", "label": true})"), RecordKind::kUnpaired);
  EXPECT_EQ(kind(R"({"prompt": "a", "chosen": "b", "rejected": "c"})"), RecordKind::kPreference);
  EXPECT_EQ(kind(R"({"chosen": "ab", "rejected": "ac"})"), RecordKind::kPreference);
  EXPECT_EQ(kind(R"({"question": "a", "answer": "b"})"), RecordKind::kPromptCompletion);
  EXPECT_EQ(kind(R"({"question": "a", "thought": "t", "answer": "b"})"), RecordKind::kThought);
}

TEST(Record, KeepsTheOtherColumns) {
  const Record record = Read(R"({"id": 7, "prompt": "a", "meta": {"k": [1]}, "completion": "b"})");
  EXPECT_EQ(record.prompt, "a");
  EXPECT_EQ(record.completion, "b");
  EXPECT_EQ(record.extra.dump(), R"({"id":7,"meta":{"k":[1]}})");
  // what a wished kind does not use stays for reward functions
  const Record prompt =
      Read(R"({"prompt": "a", "completion": "b"})", nullptr, {}, RecordKind::kPrompt);
  EXPECT_EQ(prompt.extra.dump(), R"({"completion":"b"})");
}

TEST(Record, ColumnsMayHaveOtherNamesAndPaths) {
  const Columns columns =
      ColumnsFrom("prompt = \"instruction\"\ncompletion = \"instances.0.output\"");
  const Record record = Read(
      R"({"instruction": "a", "instances": [{"output": "b"}, {"output": "c"}]})", nullptr, columns);
  EXPECT_EQ(record.kind, RecordKind::kPromptCompletion);
  EXPECT_EQ(record.completion, "b");
  EXPECT_TRUE(record.extra.contains("instances"));
  const std::string line = R"({"prompt": "a", "response": "b"})";
  EXPECT_THAT(
      ErrorOf(line, {}, RecordKind::kPromptCompletion),
      AllOf(HasSubstr("'completion'"), HasSubstr("prompt, response"), HasSubstr("[data.columns]")));
  EXPECT_THAT(UserErrorOf([] { ColumnsFrom("promt = \"a\""); }), HasSubstr("'prompt'?"));
  EXPECT_THAT(UserErrorOf([] { ColumnsFrom("prompt = 3"); }), HasSubstr("data.columns.prompt"));
}

TEST(Record, WrongTypesNameTheColumn) {
  EXPECT_THAT(ErrorOf("[1]"), HasSubstr("a list"));
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("columns: none"));
  EXPECT_THAT(ErrorOf(R"({"x": 1})"), AllOf(HasSubstr("columns: x"), HasSubstr("[data.columns]")));
  EXPECT_THAT(ErrorOf(R"({"text": 5})"), AllOf(HasSubstr("'text' is a number"), HasSubstr("text")));
  EXPECT_THAT(ErrorOf(R"({"text": null})"), HasSubstr("null"));
  EXPECT_THAT(ErrorOf(R"({"messages": []})"), HasSubstr("empty list"));
  EXPECT_THAT(ErrorOf(R"({"messages": ["hi"]})"),
              HasSubstr("message 1 of column 'messages' is text"));
  EXPECT_THAT(ErrorOf(R"({"messages": [{"role": "user", "content": "a"}, {"content": "b"}]})"),
              HasSubstr("message 2 of column 'messages' has no role"));
  EXPECT_THAT(ErrorOf(R"({"messages": [{"role": "user"}]})"), HasSubstr("no content"));
  EXPECT_THAT(ErrorOf(R"({"messages": [{"role": "user", "content": 1}]})"), HasSubstr("a number"));
  EXPECT_THAT(ErrorOf(R"({"prompt": "a", "completion": "b", "label": "yes"})"),
              HasSubstr("'label' is text"));
  EXPECT_THAT(ErrorOf(R"({"prompt": "a", "completion": [{"role": "assistant", "content": "b"}]})"),
              HasSubstr("one part is text"));
  EXPECT_THAT(ErrorOf(R"({"text": "a", "tools": "[broken"})"), HasSubstr("'tools'"));
  EXPECT_THAT(ErrorOf(R"({"txt": "a"})", {}, RecordKind::kLanguage), HasSubstr("'txt'?"));
}

TEST(Record, MessagesWithoutContentMayCallTools) {
  const Record record = Read(
      R"({"messages": [{"role": "assistant", "tool_calls": []}], "tools": "[{\"a\": 1}]",
          "chat_template_kwargs": {"enable_thinking": false}})");
  EXPECT_EQ(record.tools.dump(), R"([{"a":1}])");
  EXPECT_EQ(record.template_args.dump(), R"({"enable_thinking":false})");
  EXPECT_TRUE(record.extra.empty());
}

TEST(Record, FromAndValueBecomeRoleAndContent) {
  const Record record = Read(
      R"({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})");
  EXPECT_EQ(record.text.dump(),
            R"([{"role":"user","content":"a"},{"role":"assistant","content":"b"}])");
  EXPECT_TRUE(record.conversational);
}

TEST(ExtractPrompt, IsWhatBothBeginWith) {
  const auto split = [](const std::string& a, const std::string& b) {
    Json chosen = a, rejected = b;
    const Json prompt = ExtractPrompt(chosen, rejected);
    return fmt::format("{}|{}|{}", prompt.get<std::string>(), chosen.get<std::string>(),
                       rejected.get<std::string>());
  };
  EXPECT_EQ(split("sky is blue", "sky is green"), "sky is| blue| green");
  EXPECT_EQ(split("x=1", "x=2"), "x=|1|2");
  EXPECT_EQ(split("a", "b"), "|a|b");
  EXPECT_EQ(split("abc", "abcd"), "ab|c|cd");  // one begins with all of the other
  EXPECT_EQ(split("abc", "abc"), "ab|c|c");
  EXPECT_EQ(split("", "abc"), "||abc");
  // \xC3\xA4 and \xC3\xB6 share a byte, but no character
  EXPECT_EQ(split("x\xC3\xA4", "x\xC3\xB6"), "x|\xC3\xA4|\xC3\xB6");
  EXPECT_EQ(split("\xE2\x82\xAC", "\xE2\x82\xAC"), "|\xE2\x82\xAC|\xE2\x82\xAC");
}

TEST(ExtractPrompt, OfMessagesIsWholeMessages) {
  const Record record = Read(
      R"({"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
          "rejected": [{"content": "q", "role": "user"}, {"role": "assistant", "content": "b"}],
          "prompt": "q"})");
  EXPECT_EQ(record.prompt.dump(), R"([{"role":"user","content":"q"}])");
  EXPECT_EQ(record.chosen.dump(), R"([{"role":"assistant","content":"a"}])");
  EXPECT_EQ(record.rejected.dump(), R"([{"role":"assistant","content":"b"}])");
}

TEST(ParseJson, RefusesWhatTwoReadersCouldTakeDifferently) {
  EXPECT_THAT(ErrorOf(R"({"text": "a", "text": "b"})"), HasSubstr("'text' twice"));
  EXPECT_THAT(ErrorOf(R"({"text": "a", "x": {"k": 1, "k": 1}})"), HasSubstr("'k' twice"));
  EXPECT_THAT(ErrorOf(R"({"text": "a"} {"text": "b"})"), HasSubstr("no JSON"));
  EXPECT_THAT(ErrorOf(R"({"text": "a)"), AllOf(HasSubstr("no JSON"), HasSubstr("at byte")));
  EXPECT_THAT(ErrorOf(std::string("{\"text\": \"a\0b\"}", 15)), HasSubstr("no JSON"));
  EXPECT_THAT(ErrorOf(R"({"text": "\ud800"})"), HasSubstr("no JSON"));
  EXPECT_THAT(ErrorOf(R"({"text": NaN})"), HasSubstr("no JSON"));
  EXPECT_EQ(ErrorOf(R"({"text": "a\u0000b"})"), "");
}

TEST(ParseJson, IsBoundedInDepthKeysAndValues) {
  const std::string deep(100'000, '[');
  EXPECT_THAT(ErrorOf("{\"text\": \"a\", \"x\": " + deep), HasSubstr("deeper than 100"));
  std::string keys = "{\"text\": \"a\"";
  for (int i = 0; i < 1000; ++i) keys += fmt::format(", \"{}\": 1", i);
  EXPECT_THAT(ErrorOf(keys + "}"), HasSubstr("more than 1000 keys"));
  std::string values = "{\"text\": \"a\", \"x\": [1";
  for (int i = 0; i < 1'000'000; ++i) values += ",1";
  EXPECT_THAT(ErrorOf(values + "]}"), HasSubstr("1000000 values"));
  const std::string error = ErrorOf("{\"" + std::string(100'000, 'k'));
  EXPECT_LT(error.size(), 300u);
}

}  // namespace
}  // namespace pawl::text
