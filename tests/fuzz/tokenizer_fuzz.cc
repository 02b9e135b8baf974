// Tokenizers and texts; the first byte chooses which:
//   j  a tokenizer.json and a text (split at a 0 byte): either one pawl::Error, or ids that are the
//      same with offsets and without, from a warm cache and a cold one, and text that is UTF-8, the
//      same streamed and at once
//   s  a SentencePiece model, read and used like that
//   any other: a text for small fixed tokenizers, which gives it back, with offsets inside it
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/log.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {
using namespace pawl;
using namespace pawl::text;

void Require(bool condition) {
  if (!condition) std::abort();
}

int64_t CodePointsOf(std::string_view text) {
  int64_t count = 0;
  for (const char c : text) count += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  return count;
}

void CheckDecoding(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  for (const bool skip : {false, true}) {
    const DecodeOptions options{.skip_special_tokens = skip};
    const std::string text = tokenizer.Decode(ids, options);
    Require(FindInvalidUtf8(text) == std::string_view::npos);
    TokenStream stream(tokenizer, options);
    std::string streamed;
    for (const int32_t id : ids) {
      const std::string piece = stream.Push(id);
      Require(FindInvalidUtf8(piece) == std::string_view::npos);
      streamed += piece;
    }
    Require(streamed + stream.Finish() == text);
  }
}

// What holds for any tokenizer.
Encoding CheckText(const Tokenizer& tokenizer, std::string_view text, bool special) {
  const EncodeOptions options{.add_special_tokens = special};
  Encoding encoding = tokenizer.EncodeWithOffsets(text, options);
  const auto ids = tokenizer.Encode(text, options);
  Require(ids == encoding.ids && ids == tokenizer.Encode(text, options));
  Require(ids.size() == encoding.offsets.size() && ids.size() == encoding.is_special.size());
  CheckDecoding(tokenizer, ids);
  return encoding;
}

void CheckParsed(const std::string& json, std::string_view text) {
  const auto tokenizer = ParseTokenizer(json, "fuzz");
  for (const bool special : {true, false}) CheckText(*tokenizer, text, special);
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<uint8_t>(c) - 8);
  CheckDecoding(*tokenizer, ids);
}

// Bytes with merges, GPT-2's pattern and an added token.
std::string ByteLevelJson() {
  std::string json = MakeByteTokenizer().ToJson();
  const auto replace = [&json](std::string_view from, std::string_view to) {
    const size_t at = json.find(from);
    Require(at != std::string::npos);
    json.replace(at, from.size(), to);
  };
  replace("\"use_regex\": false", "\"use_regex\": true");
  replace("\"merges\": []",
          R"("merges": ["t h", "th e", "\u0120 the", "a a", "aa aa", "\u00c3 \u00a4"])");
  replace("\"vocab\": {",
          R"("vocab": {"th": 256, "the": 257, "\u0120the": 258, "aa": 259, "aaaa": 260, )"
          R"("\u00c3\u00a4": 261, )");
  replace("\"added_tokens\": []",
          R"("added_tokens": [{"id": 262, "content": "<s>", "single_word": false, "lstrip": false,
             "rstrip": false, "normalized": false, "special": false}])");
  return json;
}

// Llama 2's pipeline: marks, byte fallback.
std::string MarksJson() {
  std::string vocab = R"("<unk>": 0)";
  for (int byte = 0; byte < 256; ++byte)
    vocab += fmt::format(R"(, "<0x{:02X}>": {})", byte, byte + 1);
  return R"({"version": "1.0", "added_tokens": [], "post_processor": null, "pre_tokenizer": null,
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
      "merges": ["\u2581 t", "t h", "\u2581t h", "a a", "aa aa", "\u2581 \u2581"],
      "vocab": {)" +
         vocab +
         R"(, "\u2581": 257, "t": 258, "h": 259, "a": 260, "\u2581t": 261, "th": 262,
         "\u2581th": 263, "aa": 264, "aaaa": 265, "\u2581\u2581": 266}}})";
}

void CheckFixed(const Tokenizer& tokenizer, const std::string& text) {
  const Encoding encoding = CheckText(tokenizer, text, /*special=*/false);
  // a mark in the text is a space afterwards, that of the decoder's rule
  if (text.find("\xE2\x96\x81") == std::string::npos)
    Require(tokenizer.Decode(encoding.ids) == text);
  const int64_t size = CodePointsOf(text);
  TokenOffsets last;
  for (const TokenOffsets& range : encoding.offsets) {
    Require(range.begin <= range.end && range.end <= size);
    Require(range.begin >= last.begin && range.begin <= last.end && range.end >= last.end);
    last = range;
  }
  Require(last.end == size);
}

void Run(std::string_view input) {
  static const auto kBytes = ParseTokenizer(ByteLevelJson(), "bytes");
  static const auto kMarks = ParseTokenizer(MarksJson(), "marks");
  if (input.empty()) return;
  const std::string_view rest = input.substr(1);
  if (input[0] == 'j') {
    const size_t split = std::min(rest.find('\0'), rest.size());
    CheckParsed(std::string(rest.substr(0, split)), rest.substr(std::min(split + 1, rest.size())));
  } else if (input[0] == 's') {
    CheckParsed(SentencePieceToJson(rest, "fuzz"), " a b\xC3\xA4  abc");
  } else {
    int64_t replaced = 0;
    const std::string text = ReplaceInvalidUtf8(rest, replaced);
    CheckFixed(*kBytes, text);
    CheckFixed(*kMarks, text);
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    Run({reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {
    // of the fixed tokenizers there are none
    Require(size > 0 && (data[0] == 'j' || data[0] == 's'));
  }
  return 0;
}
