#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "tests/goldens/goldens.h"
#include "text/tokenizer.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;
using Ids = std::vector<int32_t>;

// What the package gave for small tokenizers (make_tokenizers.py).
class TokenizerGolden : public testing::Test {
 protected:
  TokenizerGolden()
      : golden_(Json::parse(core::ReadTextFile(GoldensFolder() / "text/tokenizers.json"))) {}

  std::unique_ptr<Tokenizer> Make(const Json& one) const {
    Json document = one["json"];
    document["model"].update(golden_["vocabularies"][one["vocabulary"].get<std::string>()]);
    return ParseTokenizer(document.dump(), one["name"].get<std::string>());
  }
  static std::string Where(const Json& one, const Json& of) {
    return one["name"].get<std::string>() + " on " + of.dump();
  }

  Json golden_;
};

std::vector<int64_t> Flat(const std::vector<TokenOffsets>& offsets) {
  std::vector<int64_t> flat;
  for (const TokenOffsets& range : offsets) flat.insert(flat.end(), {range.begin, range.end});
  return flat;
}

std::string Streamed(const Tokenizer& tokenizer, const Ids& ids, const DecodeOptions& options) {
  TokenStream stream(tokenizer, options);
  std::string text;
  for (const int32_t id : ids) text += stream.Push(id);
  return text + stream.Finish();
}

TEST_F(TokenizerGolden, IdsAndOffsetsEqualThePackages) {
  ASSERT_GE(golden_["cases"].size(), 40u);
  for (const Json& one : golden_["cases"]) {
    const auto tokenizer = Make(one);
    for (size_t i = 0; i < golden_["texts"].size(); ++i) {
      const Json& result = one["results"][i];
      const auto text = golden_["texts"][i].get<std::string>();
      const std::string where = Where(one, text);
      const auto ids = result[0].get<Ids>();
      const Encoding encoding = tokenizer->EncodeWithOffsets(text);
      EXPECT_EQ(encoding.ids, ids) << where;
      EXPECT_EQ(Flat(encoding.offsets), result[1].get<std::vector<int64_t>>()) << where;
      // twice: what the thread's cache gives the second time is the same
      EXPECT_EQ(tokenizer->Encode(text), ids) << where;
      EXPECT_EQ(tokenizer->Encode(text), ids) << where;
      const bool same = result[2].is_null();
      const EncodeOptions with_special{.add_special_tokens = true};
      const Encoding whole = tokenizer->EncodeWithOffsets(text, with_special);
      EXPECT_EQ(whole.ids, result[same ? 0 : 2].get<Ids>()) << where;
      EXPECT_EQ(Flat(whole.offsets), result[same ? 1 : 3].get<std::vector<int64_t>>()) << where;
      EXPECT_EQ(tokenizer->Encode(text, with_special), whole.ids) << where;
    }
  }
}

TEST_F(TokenizerGolden, DecodedAndStreamedTextEqualsThePackages) {
  const DecodeOptions all, skip{.skip_special_tokens = true};
  size_t compared = 0;
  for (const Json& one : golden_["cases"]) {
    const auto tokenizer = Make(one);
    const auto expect = [&](const Ids& ids, const Json& text, const Json& plain) {
      if (text.is_null() || plain.is_null()) return;  // the package cannot
      ++compared;
      const std::string where = Where(one, ids);
      EXPECT_EQ(tokenizer->Decode(ids, all), text) << where;
      EXPECT_EQ(tokenizer->Decode(ids, skip), plain) << where;
      EXPECT_EQ(Streamed(*tokenizer, ids, all), text) << where;
      EXPECT_EQ(Streamed(*tokenizer, ids, skip), plain) << where;
    };
    for (const Json& result : one["results"]) {
      expect(result[result[2].is_null() ? 0 : 2].get<Ids>(), result[4], result[5]);
    }
    for (const Json& decode : one["decodes"]) expect(decode[0].get<Ids>(), decode[1], decode[2]);
  }
  EXPECT_GE(compared, 1400u);
}

}  // namespace
}  // namespace pawl::text
