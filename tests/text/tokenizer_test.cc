#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "text_testing.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;
using Ids = std::vector<int32_t>;

Tokenizer Chars(std::string_view text) { return MakeCharTokenizer({{text}}); }

// A tokenizer.json over the letters a-d and "_": ab = 5, abc = 6, cd = 7; model entries by
// `changes`.
Json Small() {
  return Json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null,
    "decoder": {"type": "Fuse"},
    "model": {"type": "BPE",
      "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "_": 4, "ab": 5, "abc": 6, "cd": 7},
      "merges": ["c d", ["a", "b"], "ab c"]}})");
}
std::unique_ptr<Tokenizer> Parse(const Json& document) {
  return ParseTokenizer(document.dump(), "t.json");
}

TEST(CharTokenizer, IdsFollowTheCodePoints) {
  const auto tokenizer = Chars(
      "b\xC3\xA4"
      "a\n\xF0\x9F\x98\x80"
      "b");  // b ä a \n 😀 b
  EXPECT_EQ(tokenizer.vocab_size(), 5);
  EXPECT_EQ(tokenizer.Encode("\nab\xC3\xA4\xF0\x9F\x98\x80"), (Ids{0, 1, 2, 3, 4}));
  EXPECT_EQ(tokenizer.Decode(Ids{4, 0, 3}), "\xF0\x9F\x98\x80\n\xC3\xA4");
  EXPECT_EQ(tokenizer.Decode(Ids{1, -1, 5, 2}), "ab");
}

TEST(CharTokenizer, AnUnknownCharacterIsLeftOutOrNamed) {
  const auto tokenizer = Chars("abc");
  EXPECT_EQ(tokenizer.Encode("ab\xC3\xA4"), (Ids{0, 1}));
  const std::string error =
      UserErrorOf([&] { tokenizer.Encode("ab\xC3\xA4", {.unknown = UnknownText::kRefuse}); });
  EXPECT_NE(error.find("'\xC3\xA4' (U+00E4)"), std::string::npos) << error;
}

TEST(ByteTokenizer, IdsAreBytesAndBrokenTextIsMarked) {
  const Tokenizer tokenizer = MakeByteTokenizer();
  EXPECT_EQ(tokenizer.Encode("a\xC3\xA4"), (Ids{97, 0xC3, 0xA4}));
  EXPECT_EQ(tokenizer.Decode(Ids{97, 0xC3}), "a\xEF\xBF\xBD");
}

TEST(Tokenizer, InvalidUtf8IsReplacedAndCountedOrRefused) {
  const Tokenizer tokenizer = MakeByteTokenizer();
  int64_t replaced = 0;
  EXPECT_EQ(tokenizer.Encode("a\xFFz", {.replaced_utf8 = &replaced}),
            (Ids{97, 0xEF, 0xBF, 0xBD, 'z'}));
  EXPECT_EQ(replaced, 1);
  EXPECT_NE(UserErrorOf([&] {
              tokenizer.Encode("a\xFFz", {.invalid_utf8 = InvalidUtf8::kRefuse});
            }).find("byte 1"),
            std::string::npos);
}

TEST(Tokenizer, MergesGoByRankThenPlace) {
  const auto tokenizer = Parse(Small());
  // cd comes first, so that abc is not made of abcd
  EXPECT_EQ(tokenizer->Encode("abcd"), (Ids{5, 7}));
  EXPECT_EQ(tokenizer->Encode("abc_cd"), (Ids{6, 4, 7}));
  EXPECT_EQ(tokenizer->Encode("dab"), (Ids{3, 5}));
  EXPECT_EQ(tokenizer->Encode(""), Ids{});
}

// The cache, the cuts, the short and the long way to merge give the same.
TEST(Tokenizer, LongWordsAreWhatTheirPartsAre) {
  const auto tokenizer = Parse(Small());
  std::string text;
  Ids ids;
  for (int i = 0; i < 5000; ++i) {
    const char* parts[] = {"abcd", "abc_", "cd", "_", "dab"};
    const Ids expected[] = {{5, 7}, {6, 4}, {7}, {4}, {3, 5}};
    const auto pick = static_cast<size_t>(i * 7919 % 5);
    text += parts[pick];
    ids.insert(ids.end(), expected[pick].begin(), expected[pick].end());
    text += "_";
    ids.push_back(4);
  }
  EXPECT_EQ(tokenizer->Encode(text), ids);
  EXPECT_EQ(tokenizer->EncodeWithOffsets(text).ids, ids);
  EXPECT_EQ(tokenizer->Decode(ids), text);
}

TEST(Tokenizer, AMegabyteWithoutAPlaceToCutIsNotQuadratic) {
  Json document = Small();
  document["model"]["vocab"] = {{"a", 0}, {"aa", 1}, {"aaaa", 2}};
  document["model"]["merges"] = {"a a", "aa aa"};
  const std::string text(1'000'001, 'a');
  const Ids ids = Parse(document)->Encode(text);
  EXPECT_EQ(ids.size(), 250'001u);
  EXPECT_EQ(ids.back(), 0);
}

TEST(Tokenizer, AddedTokensAreFoundFirstAndTheLongestOnes) {
  Json document = Small();
  document["added_tokens"] = {Added(8, "<s>"), Added(9, "<s>>")};
  const auto tokenizer = Parse(document);
  EXPECT_EQ(tokenizer->Encode("a<s>b<s>>"), (Ids{0, 8, 1, 9}));
  EXPECT_EQ(tokenizer->Decode(Ids{0, 8, 1}), "a<s>b");
  EXPECT_EQ(tokenizer->Decode(Ids{0, 8, 1}, {.skip_special_tokens = true}), "ab");
  EXPECT_EQ(tokenizer->TokenToId("<s>"), 8);
  EXPECT_EQ(tokenizer->IdToToken(7), "cd");
  EXPECT_FALSE(tokenizer->IdToToken(10).has_value());
  EXPECT_EQ(tokenizer->vocab_size(), 10);
}

TEST(Tokenizer, OffsetsCountCodePoints) {
  Json document = Small();
  document["model"]["vocab"]["\xC3\xA4"] = 8;
  const Encoding encoding = Parse(document)->EncodeWithOffsets(
      "\xC3\xA4"
      "abc\xC3\xA4");
  EXPECT_EQ(encoding.ids, (Ids{8, 6, 8}));
  EXPECT_EQ(encoding.offsets, (std::vector<TokenOffsets>{{0, 1}, {1, 4}, {4, 5}}));
}

TEST(TokenStream, GivesNoHalfCharacterAndAllOfTheText) {
  const Tokenizer tokenizer = MakeByteTokenizer();
  TokenStream stream(tokenizer);
  EXPECT_EQ(stream.Push(0xF0), "");
  EXPECT_EQ(stream.Push(0x9F), "");
  EXPECT_EQ(stream.Push(0x98), "");
  EXPECT_EQ(stream.Push(0x80), "\xF0\x9F\x98\x80");
  EXPECT_EQ(stream.Push(0xE2), "");
  EXPECT_EQ(stream.Push('a'),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(stream.Push(0xC3), "");
  EXPECT_EQ(stream.Finish(), "\xEF\xBF\xBD");
}

TEST(TokenizerJson, WhatIsWrittenReadsBack) {
  TempFolder folder;
  for (const Tokenizer& tokenizer : {MakeByteTokenizer(), Chars("a \"\\\n\xC3\xA4 text")}) {
    WriteTokenizer(tokenizer, folder.path(), 64);
    const auto back = LoadTokenizer(folder.path());
    EXPECT_EQ(back->ToJson(), tokenizer.ToJson());
    EXPECT_EQ(back->vocab_size(), tokenizer.vocab_size());
    EXPECT_EQ(back->Encode("a text"), tokenizer.Encode("a text"));
  }
}

TEST(TokenizerJson, TheChatTemplateGoesAlong) {
  TempFolder folder, copy;
  WriteTokenizer(MakeByteTokenizer(), folder.path(), 64);
  EXPECT_EQ(LoadTokenizer(folder.path())->chat_template(), "");
  folder.Write("chat_template.jinja", "own");
  folder.Write("other.jinja", "other");
  EXPECT_EQ(LoadTokenizer(folder.path())->chat_template(), "own");
  const auto other = LoadTokenizer(folder.path(), folder.path() / "other.jinja");
  WriteTokenizer(*other, copy.path(), 64);
  EXPECT_EQ(LoadTokenizer(copy.path())->chat_template(), "other");
  EXPECT_NE(UserErrorOf([&] { LoadTokenizer(folder.path(), "nowhere.jinja"); }).find("nowhere"),
            std::string::npos);
}

TEST(TokenizerJson, TheConfigNamesTokensAndMayAddThem) {
  TempFolder folder;
  Json document = Small();
  document["added_tokens"] = {Added(8, "<s>"), Added(9, "</s>")};
  folder.Write("tokenizer.json", document.dump());
  folder.Write("tokenizer_config.json",
               R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": true})");
  const auto tokenizer = LoadTokenizer(folder.path());
  EXPECT_EQ(tokenizer->bos_id(), 8);
  EXPECT_EQ(tokenizer->eos_id(), 9);
  EXPECT_FALSE(tokenizer->pad_id().has_value());
  EXPECT_EQ(tokenizer->Encode("ab"), (Ids{5}));
  EXPECT_EQ(tokenizer->Encode("ab", {.add_special_tokens = true}), (Ids{8, 5}));
  const auto other = LoadTokenizer(folder.path(), "", "<s>");
  EXPECT_EQ(other->eos_id(), 8);
  EXPECT_EQ(Json::parse(TokenizerFiles(*other, 64)["tokenizer_config.json"])["eos_token"], "<s>");
  EXPECT_NE(UserErrorOf([&] { LoadTokenizer(folder.path(), "", "?"); }).find("data.eos_token"),
            std::string::npos);
  folder.Write("tokenizer_config.json", R"({"eos_token": "<end>"})");
  EXPECT_NE(UserErrorOf([&] { LoadTokenizer(folder.path()); }).find("'<end>'"), std::string::npos);
}

TEST(TokenizerJson, APromptGetsTheFirstTokensAlone) {
  Json document = Small();
  document["added_tokens"] = {Added(8, "<s>"), Added(9, "</s>")};
  document["post_processor"] = Json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "</s>", "type_id": 0}}],
    "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [8], "tokens": ["<s>"]},
                                   "</s>": {"id": "</s>", "ids": [9], "tokens": ["</s>"]}}})");
  const auto tokenizer = Parse(document);
  EXPECT_EQ(tokenizer->Encode("ab", {.add_special_tokens = true}), (Ids{8, 5, 9}));
  EXPECT_EQ(tokenizer->Encode("ab", {.add_first_tokens = true}), (Ids{8, 5}));
}

TEST(TokenizerJson, ATextThatGoesOnKeepsItsFirstSpace) {
  Json document = Small();
  document["decoder"] = Json::parse(R"({"type": "Metaspace", "replacement": "_",
                                        "prepend_scheme": "always", "split": true})");
  const auto tokenizer = Parse(document);
  const Ids prompt = {4, 0}, answer = {4, 1, 4, 2};  // "_a", "_b_c"
  EXPECT_EQ(tokenizer->Decode(answer), "b c");
  EXPECT_EQ(DecodeAfter(*tokenizer, prompt, answer), " b c");
  EXPECT_EQ(tokenizer->Decode(prompt) + DecodeAfter(*tokenizer, prompt, answer), "a b c");
}

TEST(TokenizerFolder, TokensAddedBesideTheVocabularyAreRead) {
  TempFolder folder;
  folder.Write("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "<e>": 3})");
  folder.Write("merges.txt", "#version: 0.2\na b\n");
  folder.Write("added_tokens.json", R"({"<|im_end|>": 5, "<x>": 4})");
  folder.Write("tokenizer_config.json", R"({"additional_special_tokens": ["<|im_end|>"]})");
  const std::string text = "ab<|im_end|>b<x>";
  const auto old_style = LoadTokenizer(folder.path());
  EXPECT_EQ(old_style->Encode(text), (Ids{2, 5, 1, 4}));
  EXPECT_EQ(old_style->Decode(Ids{5, 0, 4}, {.skip_special_tokens = true}), "a<x>");
  // where there is both, the config counts
  folder.Write("tokenizer_config.json", R"({"eos_token": "<|im_end|>", "added_tokens_decoder": {
    "4": {"content": "<|im_end|>", "special": true, "lstrip": false, "rstrip": true}}})");
  const auto tokenizer = LoadTokenizer(folder.path());
  EXPECT_EQ(tokenizer->Encode("ab<|im_end|> b"), (Ids{2, 4, 1}));
  EXPECT_EQ(tokenizer->eos_id(), 4);
  for (const char* bad :
       {R"({"added_tokens_decoder": {"x": {"content": "a"}}})",
        R"({"added_tokens_decoder": {"6": {}}})", R"({"added_tokens_decoder": {"6": 1}})",
        R"({"added_tokens_decoder": []})"}) {
    folder.Write("tokenizer_config.json", bad);
    EXPECT_NE(UserErrorOf([&] { LoadTokenizer(folder.path()); }).find("added_tokens_decoder"),
              std::string::npos)
        << bad;
  }
}

TEST(TokenizerJson, LengthsAreIgnoredWithAWarning) {
  EXPECT_TRUE(Parse(Small())->warnings().empty());
  Json document = Small();
  document["truncation"] = {{"max_length", 8}};
  const auto tokenizer = Parse(document);
  ASSERT_EQ(tokenizer->warnings().size(), 1u);
  EXPECT_EQ(tokenizer->warnings()[0].find("t.json: 'truncation' is ignored"), 0u);
  EXPECT_EQ(tokenizer->Encode("abcd"), (Ids{5, 7}));
}

TEST(TokenizerJson, WhatIsNotUnderstoodIsRefusedByName) {
  TempFolder folder;
  EXPECT_NE(UserErrorOf([&] { LoadTokenizer(folder.path()); }).find("has no tokenizer"),
            std::string::npos);
  const auto refused = [](const char* pointer, const Json& value, const char* words) {
    Json document = Small();
    document[Json::json_pointer(pointer)] = value;
    const std::string error = UserErrorOf([&] { Parse(document); });
    EXPECT_NE(error.find(words), std::string::npos) << pointer << ": " << error;
    EXPECT_NE(error.find("t.json"), std::string::npos) << error;
  };
  EXPECT_EQ(UserErrorOf([] { Parse(Small()); }), "");
  refused("/model/merges/0", "c x", "names the token 'x'");
  refused("/model/merges/0", "c d d", "one space");
  refused("/model/merges/0", Json{"c"}, "fewer than two");
  refused("/model/merges/0", 3, "no string");
  refused("/model/vocab/a", 7, "have the id 7");
  refused("/model/vocab/a", -1, "no id");
  refused("/model/vocab/a", 4'000'000'000, "4000000000");
  refused("/model/vocab/a", "x", "no id");
  refused("/model/dropout", 0.5, "dropout");
  refused("/model/type", "Unigram", "Unigram");
  refused("/model/new", 1, "'new'");
  refused("/new", 1, "'new'");
  refused("/model", nullptr, "model");
  refused("/version", "2.0", "2.0");
  refused("/normalizer", {{"type", "Precompiled"}}, "Precompiled");
  refused("/pre_tokenizer", {{"type", "BertPreTokenizer"}}, "BertPreTokenizer");
  refused("/decoder", {{"type", "WordPiece"}}, "WordPiece");
  refused("/post_processor", {{"type", "Other"}}, "Other");
  refused("/added_tokens", Json::array({Added(9, "<s>")}), "expected 8");
  refused("/added_tokens", Json::array({Added(8, "<s>"), Added(8, "<s>")}), "twice");
  EXPECT_NE(UserErrorOf([] { ParseTokenizer("no json", "t.json"); }).find("t.json"),
            std::string::npos);
  EXPECT_NE(UserErrorOf([] { ParseTokenizer(std::string(1000, '['), "t.json"); }).find("levels"),
            std::string::npos);
}

TEST(SentencePiece, WhatIsCutOffOrNoModelIsRefused) {
  TempFolder folder;
  folder.Write("tokenizer.model", std::string("\x0A\x05\x0A\x01", 4));
  EXPECT_NE(UserErrorOf([&] { LoadTokenizer(folder.path()); }).find("cut off"), std::string::npos);
  folder.Write("tokenizer.model", std::string("\x0A\x03\x0A\x01"
                                              "a",
                                              5));
  EXPECT_NE(UserErrorOf([&] { LoadTokenizer(folder.path()); }).find("unigram"), std::string::npos);
}

}  // namespace
}  // namespace pawl::text
