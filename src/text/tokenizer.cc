#include "text/tokenizer.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "text/utf8.h"

namespace pawl::text {

CharTokenizer::CharTokenizer(std::vector<char32_t> code_points)
    : code_points_(std::move(code_points)), ascii_(128, -1) {
  PAWL_CHECK(!code_points_.empty(), "a tokenizer without characters");
  for (size_t id = 0; id < code_points_.size(); ++id) {
    const char32_t point = code_points_[id];
    PAWL_CHECK(id == 0 || point > code_points_[id - 1], "code points out of order");
    if (point < 128) {
      ascii_[point] = static_cast<int32_t>(id);
    } else {
      others_.emplace(point, static_cast<int32_t>(id));
    }
  }
}

CharTokenizer CharTokenizer::FromTexts(std::span<const std::string_view> texts) {
  std::vector<bool> ascii(128, false);
  std::set<char32_t> others;
  for (const std::string_view text : texts) {
    for (size_t at = 0; at < text.size();) {
      const CodePoint point = CodePointAt(text, at);
      at += point.size;
      if (point.value < 128) {
        ascii[point.value] = true;
      } else {
        others.insert(point.value);
      }
    }
  }
  std::vector<char32_t> points;
  for (char32_t point = 0; point < 128; ++point) {
    if (ascii[point]) points.push_back(point);
  }
  points.insert(points.end(), others.begin(), others.end());
  return CharTokenizer(std::move(points));
}

std::vector<int32_t> CharTokenizer::Encode(std::string_view text) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = CodePointAt(text, at);
    at += point.size;
    int32_t id = -1;
    if (point.value < 128) {
      id = ascii_[point.value];
    } else if (const auto found = others_.find(point.value); found != others_.end()) {
      id = found->second;
    }
    if (id < 0) {
      throw UserError({.what = fmt::format("the character '{}' (U+{:04X}) is not in the vocabulary",
                                           ToUtf8(point.value), static_cast<uint32_t>(point.value)),
                       .expected = fmt::format("one of the {} characters of the training text",
                                               code_points_.size())});
    }
    ids.push_back(id);
  }
  return ids;
}

std::string CharTokenizer::Decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id >= 0 && id < vocab_size()) AppendUtf8(text, code_points_[static_cast<size_t>(id)]);
  }
  return text;
}

std::vector<int32_t> ByteTokenizer::Encode(std::string_view text) const {
  std::vector<int32_t> ids(text.size());
  std::transform(text.begin(), text.end(), ids.begin(),
                 [](char c) { return static_cast<int32_t>(static_cast<uint8_t>(c)); });
  return ids;
}

std::string ByteTokenizer::Decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (id >= 0 && id < 256) bytes += static_cast<char>(id);
  }
  int64_t replaced = 0;
  return ReplaceInvalidUtf8(bytes, replaced);
}

}  // namespace pawl::text
