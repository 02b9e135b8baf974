#include "text/record_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text_testing.h"

namespace pawl::text {
namespace {
using testing::HasSubstr;

// A token a byte; "ab" is one token (1000), so that merges across a boundary can be seen; 999
// begins a text where special tokens are asked for.
TextCodec TestCodec() {
  TextCodec codec;
  codec.end_text = "$";
  codec.encode_with_offsets = [](std::string_view text) {
    TextCodec::Tokens tokens;
    for (int64_t i = 0; i < static_cast<int64_t>(text.size()); ++i) {
      const bool pair = text.substr(static_cast<size_t>(i), 2) == "ab";
      tokens.ids.push_back(pair ? 1000 : text[static_cast<size_t>(i)]);
      tokens.offsets.push_back({i, i + (pair ? 2 : 1)});
      i += pair ? 1 : 0;
    }
    return tokens;
  };
  codec.encode = [encode = codec.encode_with_offsets](std::string_view text, bool special) {
    auto ids = encode(text).ids;
    if (special) ids.insert(ids.begin(), 999);
    return ids;
  };
  // <u>question<a>answer; the answer and its end are the assistant's
  codec.render = [](const TextCodec::Chat& chat) {
    TextCodec::Rendered out;
    for (const Json& message : chat.messages) {
      const auto role = message["role"].get<std::string>();
      out.text += "<" + role.substr(0, 1) + ">";
      const auto begin = static_cast<int64_t>(out.text.size());
      out.text += message["content"].get<std::string>();
      const bool last = &message == &chat.messages.back();
      if (!last || !chat.continue_final_message) out.text += ";";
      if (role == "assistant")
        out.assistant.push_back({begin, static_cast<int64_t>(out.text.size())});
    }
    if (chat.add_generation_prompt) out.text += "<a>";
    return out;
  };
  return codec;
}

Record RecordOf(const std::string& line) {
  Json row;
  Problem problem;
  Record record;
  EXPECT_TRUE(ParseJson(line, row, problem) &&
              ReadRecord(row, {}, RecordKind::kAuto, record, problem))
      << problem.what;
  return record;
}

// Targets in capitals; ^ begins a text, ab is &.
std::string Shown(const Sequence& sequence) {
  std::string text;
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    const int32_t id = sequence.tokens[i];
    const bool target = sequence.is_target[i] != 0;
    const char c = id == 999 ? '^' : id == 1000 ? '&' : static_cast<char>(id);
    text += target ? static_cast<char>(std::toupper(c)) : c;
    if (target && !std::isalpha(c)) text += '!';
  }
  return text;
}

std::string Encoded(const std::string& line, SequenceOptions options = {}) {
  return Shown(EncodeSequence(RecordOf(line), TestCodec(), options));
}

constexpr const char* kChat =
    R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "xy"},
                     {"role": "user", "content": "r"}, {"role": "assistant", "content": "z"}]})";
constexpr const char* kChatCompletion =
    R"({"prompt": [{"role": "user", "content": "q"}],
        "completion": [{"role": "assistant", "content": "xy"}]})";

TEST(EncodeSequence, TextEndsOnce) {
  EXPECT_EQ(Encoded(R"({"text": "xyz"})"), "^XYZ$!");
  EXPECT_EQ(Encoded(R"({"text": "xyz$"})"), "^XYZ$!");
  EXPECT_EQ(Encoded(R"({"text": ""})"), "^$!");
}

TEST(EncodeSequence, OnlyTheCompletionIsLearnedUnlessAskedFor) {
  const std::string line = R"({"prompt": "pq", "completion": "xy"})";
  EXPECT_EQ(Encoded(line), "^pqXY$!");
  EXPECT_EQ(Encoded(line, {.loss_on = LossOn::kAll}), "^PQXY$!");
  // the completion begins where the tokens part, not where the prompt ends
  const Sequence merged =
      EncodeSequence(RecordOf(R"({"prompt": "pa", "completion": "by"})"), TestCodec(), {});
  EXPECT_EQ(Shown(merged), "^p&!Y$!");
  EXPECT_TRUE(merged.prompt_differs);
}

TEST(EncodeSequence, AChatIsRenderedWithoutTheTokenizersOwnMarks) {
  EXPECT_EQ(Encoded(kChatCompletion), "<u>q;<a>XY;!");
  EXPECT_EQ(Encoded(kChatCompletion, {.loss_on = LossOn::kAll}), "<U>!Q;!<!A>!XY;!");
  const SequenceOptions assistant{.loss_on = LossOn::kAssistant};
  EXPECT_EQ(Encoded(kChat, assistant), "<u>q;<a>XY;!<u>r;<a>Z;!");
  EXPECT_EQ(Encoded(kChatCompletion, assistant), "<u>q;<a>XY;!");
}

TEST(EncodeSequence, AssistantTokensAreThoseThatHoldTheRange) {
  // the range begins inside the token "ab"
  TextCodec codec = TestCodec();
  codec.render = [](const TextCodec::Chat&) { return TextCodec::Rendered{"xxabyyz", {{3, 6}}}; };
  const auto sequence = EncodeSequence(RecordOf(kChat), codec, {.loss_on = LossOn::kAssistant});
  EXPECT_EQ(Shown(sequence), "xx&!YYz");
}

TEST(EncodeSequence, ThoughtsStandBeforeTheAnswerAndTextBecomesTurns) {
  const std::string line = R"({"question": "q", "thought": "t", "answer": "w"})";
  SequenceOptions options{.thought_open = "(", .thought_close = ")"};
  EXPECT_EQ(Encoded(line, options), "^q(!T)!W$!");
  options.wrap_in_chat = true;
  EXPECT_EQ(Encoded(line, options), "<u>q;<a>(!T)!W;!");
  EXPECT_EQ(Encoded(R"({"prompt": "p", "completion": "x"})", options), "<u>p;<a>X;!");
}

TEST(EncodeSequence, WhatCannotBeLearnedIsRefused) {
  const auto error = [](const std::string& line, SequenceOptions options = {}, bool chat = true) {
    TextCodec codec = TestCodec();
    if (!chat) codec.render = nullptr;
    return UserErrorOf([&] { EncodeSequence(RecordOf(line), codec, options); });
  };
  EXPECT_THAT(error(R"({"prompt": "p"})"), HasSubstr("kind prompt"));
  EXPECT_THAT(error(R"({"chosen": "a", "rejected": "b"})"), HasSubstr("kind preference"));
  EXPECT_THAT(error(kChat, {}, false), HasSubstr("no chat template"));
  EXPECT_THAT(error(R"({"text": "a"})", {.loss_on = LossOn::kAssistant}),
              HasSubstr("data.loss_on"));
  EXPECT_THAT(
      error(R"({"messages": [{"role": "user", "content": "a"}]})", {.loss_on = LossOn::kAssistant}),
      HasSubstr("generation"));
}

TEST(FitSequence, CutsDropsOrRefuses) {
  const auto fit = [](const std::string& line, const SequenceOptions& options, std::string* shown) {
    Sequence sequence = EncodeSequence(RecordOf(line), TestCodec(), options);
    const Fit result = FitSequence(sequence, options);
    EXPECT_LE(sequence.prompt, std::ssize(sequence.tokens));
    *shown = Shown(sequence);
    return result;
  };
  const std::string line = R"({"prompt": "pq", "completion": "xy"})";  // ^pqxy$
  std::string shown;
  EXPECT_EQ(fit(line, {.max_tokens = 6}, &shown), Fit::kKept);
  EXPECT_EQ(fit(line, {.max_tokens = 5}, &shown), Fit::kTruncated);
  EXPECT_EQ(shown, "^pqXY");
  EXPECT_EQ(fit(line, {.max_tokens = 3}, &shown), Fit::kNothingToLearn);
  EXPECT_EQ(fit(line, {.max_tokens = 2}, &shown), Fit::kNothingToLearn);  // within the prompt
  EXPECT_EQ(fit(line, {.max_tokens = 5, .long_records = LongLine::kDrop}, &shown), Fit::kTooLong);
  EXPECT_THAT(
      UserErrorOf([&] { fit(line, {.max_tokens = 5, .long_records = LongLine::kRefuse}, &shown); }),
      HasSubstr("6 tokens"));
  EXPECT_EQ(fit(line, {.min_tokens = 6}, &shown), Fit::kKept);
  EXPECT_EQ(fit(line, {.min_tokens = 7}, &shown), Fit::kTooShort);
  EXPECT_EQ(fit(line, {.max_prompt_tokens = 3}, &shown), Fit::kKept);
  EXPECT_EQ(fit(line, {.max_prompt_tokens = 2}, &shown), Fit::kLongPrompt);
  EXPECT_EQ(fit(R"({"prompt": "", "completion": ""})", {.max_tokens = 1}, &shown),
            Fit::kNothingToLearn);
}

TEST(EncodePair, BothSidesHaveTheShorterCommonPrompt) {
  const SequencePair pair =
      EncodePair(RecordOf(R"({"prompt": "pa", "chosen": "bx", "rejected": "y"})"), TestCodec(), {});
  EXPECT_EQ(Shown(pair.chosen), "^p&!X$!");
  EXPECT_EQ(Shown(pair.rejected), "^pAY$!");
  const SequencePair chat = EncodePair(RecordOf(R"({"chosen": [{"role": "user", "content": "q"},
                              {"role": "assistant", "content": "x"}],
                   "rejected": [{"role": "user", "content": "q"},
                                {"role": "assistant", "content": "y"}]})"),
                                       TestCodec(), {});
  EXPECT_EQ(Shown(chat.chosen), "<u>q;<a>X;!");
  EXPECT_EQ(Shown(chat.rejected), "<u>q;<a>Y;!");
  const SequencePair apart =
      EncodePair(RecordOf(R"({"chosen": "x", "rejected": "y"})"), TestCodec(), {});
  EXPECT_EQ(Shown(apart.chosen), "^X$!");
}

TEST(EncodePrompt, IsReadyToBeGoneOnWith) {
  const auto prompt = [](const std::string& line, SequenceOptions options = {}) {
    Sequence sequence;
    sequence.tokens = EncodePrompt(RecordOf(line), TestCodec(), options);
    sequence.is_target.assign(sequence.tokens.size(), 0);
    return Shown(sequence);
  };
  EXPECT_EQ(prompt(R"({"prompt": "pq"})"), "^pq");
  EXPECT_EQ(prompt(R"({"prompt": [{"role": "user", "content": "q"}]})"), "<u>q;<a>");
  EXPECT_EQ(prompt(R"({"prompt": [{"role": "user", "content": "q"},
                                  {"role": "assistant", "content": "so"}]})"),
            "<u>q;<a>so");
  EXPECT_EQ(prompt(R"({"question": "q", "thought": "t", "answer": "w"})", {.wrap_in_chat = true}),
            "<u>q;<a>");
  EXPECT_THAT(UserErrorOf([&] { prompt(R"({"prompt": [{"role": "system", "content": "s"}]})"); }),
              HasSubstr("'system'"));
}

TEST(CodecOf, ATokenizerWithoutAnEndTokenEndsWithALineBreak) {
  const Tokenizer tokenizer = MakeByteTokenizer();
  const auto sequence =
      EncodeSequence(RecordOf(R"({"prompt": "p", "completion": "x"})"), CodecOf(tokenizer), {});
  EXPECT_EQ(sequence.tokens, (std::vector<int32_t>{'p', 'x', '\n'}));
  EXPECT_EQ(sequence.is_target, (std::vector<uint8_t>{0, 1, 1}));
}

// What training uses: a tokenizer with <s> before a text and <e> as its end, and a chat template.
class CodecOfTest : public testing::Test {
 protected:
  CodecOfTest() {
    WriteSpecialTokenizer(folder_.path());
    folder_.Write("chat_template.jinja",
                  "{{ k }}{% if tools %}[{{ tools | length }}]{% endif %}{% for m in messages %}"
                  "{{ m.role }}:{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
                  "{% endgeneration %}{% else %}{{ m.content }}{% endif %};{% endfor %}"
                  "{% if add_generation_prompt %}go{% endif %}{{ strftime_now('%d') }}");
    tokenizer_ = LoadTokenizer(folder_.path());
    codec_ = CodecOf(*tokenizer_, FindChatTemplate(folder_.path()), "2026-07-26");
  }
  TempFolder folder_;
  std::unique_ptr<Tokenizer> tokenizer_;
  TextCodec codec_;
};

TEST_F(CodecOfTest, TextBeginsAndEndsAsTheTokenizerSays) {
  Record record;
  record.text = "ab";
  const Sequence sequence = EncodeSequence(record, codec_, {});
  EXPECT_EQ(sequence.tokens, (std::vector<int32_t>{256, 'a', 'b', 257}));
  EXPECT_EQ(sequence.is_target, (std::vector<uint8_t>{0, 1, 1, 1}));
  EXPECT_EQ(CodecOf(MakeByteTokenizer()).end_text, "\n");
}

TEST_F(CodecOfTest, MessagesAreRenderedWithToolsVariablesAndTheDay) {
  const Json messages = Json::parse(R"([{"role": "user", "content": "ä"},
                                        {"role": "assistant", "content": "öü"}])");
  const Json tools = Json::parse(R"([{"name": "f"}])"), variables = {{"k", "K"}};
  const auto rendered =
      codec_.render({.messages = messages, .tools = tools, .template_args = variables});
  EXPECT_EQ(rendered.text, "K[1]user:\xC3\xA4;assistant:\xC3\xB6\xC3\xBC;26");
  ASSERT_EQ(rendered.assistant.size(), 1u);  // in characters, not bytes
  EXPECT_EQ(rendered.assistant[0].begin, 21);
  EXPECT_EQ(rendered.assistant[0].end, 23);
  const Json none;
  EXPECT_EQ(codec_.render({messages, none, variables, /*add_generation_prompt=*/true}).text,
            "Kuser:\xC3\xA4;assistant:\xC3\xB6\xC3\xBC;go26");
  EXPECT_EQ(codec_.render({messages, none, variables, false, /*continue_final_message=*/true}).text,
            "Kuser:\xC3\xA4;assistant:\xC3\xB6\xC3\xBC");
}

TEST_F(CodecOfTest, TheLossIsOnWhatTheTemplateMarks) {
  Record record;
  record.conversational = true;
  record.text = Json::parse(R"([{"role": "user", "content": "ä"},
                                    {"role": "assistant", "content": "öü!"}])");
  record.template_args = {{"k", ""}};
  const Sequence sequence = EncodeSequence(record, codec_, {.loss_on = LossOn::kAssistant});
  std::vector<int32_t> learned;
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    if (sequence.is_target[i] != 0) learned.push_back(sequence.tokens[i]);
  }
  EXPECT_EQ(tokenizer_->Decode(learned), "\xC3\xB6\xC3\xBC!");
}

}  // namespace
}  // namespace pawl::text
