#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "text_testing.h"

namespace pawl::text {
namespace {

CharTokenizer Chars(std::string_view text) { return CharTokenizer::FromTexts({{text}}); }

TEST(CharTokenizer, IdsFollowTheCodePoints) {
  const auto tokenizer = Chars(
      "b\xC3\xA4"
      "a\n\xF0\x9F\x98\x80"
      "b");  // b ä a \n 😀 b
  EXPECT_EQ(tokenizer.vocab_size(), 5);
  EXPECT_EQ(tokenizer.Encode("\nab\xC3\xA4\xF0\x9F\x98\x80"),
            (std::vector<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{4, 0, 3}), "\xF0\x9F\x98\x80\n\xC3\xA4");
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{1, -1, 5, 2}), "ab");
}

TEST(CharTokenizer, AnUnknownCharacterIsNamed) {
  const auto tokenizer = Chars("abc");
  const std::string error = UserErrorOf([&] { tokenizer.Encode("ab\xC3\xA4"); });
  EXPECT_NE(error.find("'\xC3\xA4' (U+00E4)"), std::string::npos) << error;
}

TEST(ByteTokenizer, IdsAreBytesAndBrokenTextIsMarked) {
  const ByteTokenizer tokenizer;
  EXPECT_EQ(tokenizer.Encode("a\xC3\xA4"), (std::vector<int32_t>{97, 0xC3, 0xA4}));
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{97, 0xC3}), "a\xEF\xBF\xBD");
}

TEST(TokenizerJson, WhatIsWrittenReadsBack) {
  TempFolder folder;
  for (const bool bytes : {false, true}) {
    std::unique_ptr<Tokenizer> tokenizer = std::make_unique<ByteTokenizer>();
    if (!bytes) tokenizer = std::make_unique<CharTokenizer>(Chars("a \"\\\n\xC3\xA4 text"));
    WriteTokenizer(*tokenizer, folder.path(), 64);
    const auto back = LoadTokenizer(folder.path());
    EXPECT_EQ(back->ToJson(), tokenizer->ToJson());
    EXPECT_EQ(back->vocab_size(), tokenizer->vocab_size());
    EXPECT_EQ(back->Encode("a text"), tokenizer->Encode("a text"));
  }
}

TEST(TokenizerJson, WhatPawlDidNotWriteIsRefused) {
  TempFolder folder;
  EXPECT_NE(UserErrorOf([&] { LoadTokenizer(folder.path()); }).find("has no tokenizer"),
            std::string::npos);
  const auto refused = [](const nlohmann::json& document) {
    return UserErrorOf([&] {
             ParseTokenizer(document.dump(), "t.json");
           }).find("not supported yet") != std::string::npos;
  };
  const auto good = nlohmann::json::parse(Chars("abc").ToJson());
  EXPECT_FALSE(refused(good));
  auto other = good;
  other["model"]["merges"].push_back("a b");
  EXPECT_TRUE(refused(other));
  other = good;
  other["normalizer"] = {{"type", "NFC"}};
  EXPECT_TRUE(refused(other));
  other = good;
  other["model"]["vocab"]["a"] = 3;
  EXPECT_TRUE(refused(other));
  other = good;
  other["model"]["vocab"]["de"] = 3;
  EXPECT_TRUE(refused(other));
  other = good;
  other.erase("model");
  EXPECT_TRUE(refused(other));
  EXPECT_NE(UserErrorOf([] { ParseTokenizer("no json", "t.json"); }).find("t.json"),
            std::string::npos);
}

}  // namespace
}  // namespace pawl::text
