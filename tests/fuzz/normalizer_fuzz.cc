// The JSON of a normalizer and a text (split at a 0 byte): either a pawl::Error of one line, or a
// text that is UTF-8, the same with alignment and without, with places inside the original.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"
#include "text/normalizer.h"
#include "text/utf8.h"

namespace {
using namespace pawl;

void Require(bool condition) {
  if (!condition) std::abort();
}

void Run(const nlohmann::json& json, const std::string& text) {
  const auto normalizer = text::ReadNormalizer(json, "fuzz");
  if (normalizer == nullptr) return;
  const auto written = nlohmann::json::parse(normalizer->ToJson().dump());
  Require(text::ReadNormalizer(written, "fuzz")->ToJson() == normalizer->ToJson());
  text::NormalizedText plain(text, /*aligned=*/false), aligned(text);
  normalizer->Apply(plain);
  normalizer->Apply(aligned);
  Require(plain.text() == aligned.text());
  int64_t replaced = 0;
  text::ReplaceInvalidUtf8(plain.text(), replaced);
  Require(replaced == 0);
  for (size_t i = 0; i < aligned.text().size(); ++i) {
    const text::ByteRange range = aligned.OriginalRange(i, i + 1);
    Require(range.begin <= range.end && range.end <= text.size());
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t split = std::min(input.find('\0'), input.size());
  const auto json = nlohmann::json::parse(input.substr(0, split), nullptr, false);
  if (json.is_discarded()) return 0;
  int64_t replaced = 0;
  const std::string text =
      text::ReplaceInvalidUtf8(input.substr(std::min(split + 1, input.size())), replaced);
  try {
    Run(json, text);
  } catch (const Error&) {
  }
  return 0;
}
