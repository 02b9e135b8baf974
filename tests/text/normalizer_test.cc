#include "text/normalizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "tests/goldens/goldens.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;

Json Golden() { return Json::parse(core::ReadTextFile(GoldensFolder() / "text/normalizers.json")); }

std::string Applied(const Normalizer& normalizer, const std::string& text) {
  NormalizedText unaligned(text, /*aligned=*/false);
  normalizer.Apply(unaligned);
  return unaligned.text();
}

// CRC-32 as zlib has it.
uint32_t Crc32(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
  }
  return ~crc;
}

TEST(Normalizer, TextAndOffsetsEqualThePackages) {
  const Json golden = Golden();
  const auto texts = golden["texts"].get<std::vector<std::string>>();
  for (const Json& one : golden["cases"]) {
    const auto normalizer = ReadNormalizer(one["json"], "golden");
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string where = one["name"].get<std::string>() + " on " + Json(texts[i]).dump();
      const auto expected = one["results"][i][0].get<std::string>();
      EXPECT_EQ(Applied(*normalizer, texts[i]), expected) << where;
      NormalizedText text(texts[i]);
      normalizer->Apply(text);
      ASSERT_EQ(text.text(), expected) << where;
      std::vector<size_t> offsets;
      for (size_t at = 0; at < text.text().size();) {
        const size_t end = at + CodePointAt(text.text(), at).size;
        const ByteRange range = text.OriginalRange(at, end);
        offsets.insert(offsets.end(), {range.begin, range.end});
        at = end;
      }
      EXPECT_EQ(offsets, one["results"][i][1].get<std::vector<size_t>>()) << where;
    }
  }
}

TEST(Normalizer, EveryCodePointEqualsThePackages) {
  const Json golden = Golden();
  int checked = 0;
  for (const Json& one : golden["cases"]) {
    if (!one.contains("checksums")) continue;
    const auto normalizer = ReadNormalizer(one["json"], "golden");
    for (size_t chunk = 0; chunk < one["checksums"].size(); ++chunk, ++checked) {
      std::string text;
      for (auto c = static_cast<char32_t>(chunk * 0x1000); c < (chunk + 1) * 0x1000; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        const std::string point = ToUtf8(c);
        text += "a" + point + ToUtf8(0x323) + point + ToUtf8(0x301) + "\n";
      }
      EXPECT_EQ(Crc32(Applied(*normalizer, text)), one["checksums"][chunk].get<uint32_t>())
          << one["name"] << " from " << std::hex << chunk * 0x1000;
    }
  }
  EXPECT_EQ(checked, 7 * 48);
}

TEST(Normalizer, JsonComesBackAsItWasRead) {
  const Json golden = Golden();
  for (const Json& one : golden["cases"]) {
    const auto normalizer = ReadNormalizer(one["json"], "golden");
    EXPECT_EQ(Json::parse(normalizer->ToJson().dump()), one["json"]);
  }
  EXPECT_EQ(ReadNormalizer(nullptr, "golden"), nullptr);
}

TEST(Normalizer, RefusesByName) {
  const auto refusal = [](const std::string& json) -> std::string {
    try {
      ReadNormalizer(Json::parse(json), "tokenizer.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(R"({"type": "BertNormalizer"})"),
            "normalizer: a normalizer of type 'BertNormalizer' at tokenizer.json: expected NFC, "
            "NFD, NFKC, NFKD, Lowercase, Nmt, Prepend, Replace, Sequence, Strip or StripAccents");
  const std::pair<const char*, const char*> cases[] = {
      {R"(3)", "normalizer: an entry that is no object"},
      {R"({})", "normalizer: no 'type'"},
      {R"({"type": 1})", "normalizer.type: a number"},
      {R"({"type": "Precompiled", "precompiled_charsmap": ""})", "of type 'Precompiled'"},
      {R"({"type": "Strip", "strip_left": true})", "normalizer: no 'strip_right'"},
      {R"({"type": "Prepend", "prepend": null})", "normalizer.prepend: a null"},
      {R"({"type": "Replace", "content": ""})", "normalizer: no 'pattern'"},
      {R"({"type": "Replace", "content": "", "pattern": "a"})", "normalizer.pattern: a pattern"},
      {R"({"type": "Replace", "content": "", "pattern": {"Regex": "("}})", "without its ')'"},
      {R"({"type": "Sequence", "normalizers": 1})", "normalizer.normalizers: something"},
      {R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "X"}]})",
       "normalizer.normalizers[1]: a normalizer of type 'X'"},
  };
  for (const auto& [json, why] : cases) {
    EXPECT_NE(refusal(json).find(why), std::string::npos) << json << ": " << refusal(json);
  }
  std::string deep = R"({"type": "NFC"})";
  for (int i = 0; i < 30; ++i) deep = R"({"type": "Sequence", "normalizers": [)" + deep + "]}";
  EXPECT_NE(refusal(deep).find("nested too deep"), std::string::npos);
}

}  // namespace
}  // namespace pawl::text
