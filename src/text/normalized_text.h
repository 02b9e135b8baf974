// A text on its way through normalisers and, for each of its bytes, the stretch of the original
// text it came from (the rules of the package's NormalizedString). Where nobody asks for offsets it
// is made without that record, which costs nothing then. A value; one thread at a time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/utf8.h"

namespace pawl::text {

struct ByteRange {
  size_t begin = 0, end = 0;
  bool operator==(const ByteRange&) const = default;
};

class NormalizedText {
 public:
  // `text`: valid UTF-8. Not aligned: OriginalRange may not be called.
  explicit NormalizedText(std::string text, bool aligned = true);

  const std::string& text() const { return text_; }
  bool aligned() const { return aligned_; }
  bool empty() const { return text_.empty(); }
  // Of the stretch of the original text that this is (all of it, or what Slice took; where it is
  // not aligned, the slice's own size).
  size_t original_size() const { return original_.end - original_.begin; }

  // The bytes of the original text behind bytes [begin, end) of this one; an empty range is given
  // back as it is, from the beginning of this text's stretch.
  ByteRange OriginalRange(size_t begin, size_t end) const;
  // Bytes [begin, end), boundaries of code points, as a text of their own that goes on pointing
  // into the whole original.
  NormalizedText Slice(size_t begin, size_t end) const;

  // One code point of a new text. change: 1 = it is inserted, 0 = it stands for the next code point
  // of the old text, -n = for that one and the n after it, which go.
  struct Change {
    char32_t code_point = 0;
    int32_t change = 0;
  };
  // Puts `changes` in the place of the text, whose first `removed` code points go.
  void Transform(std::span<const Change> changes, size_t removed);

  // Both throw RunError where the text grows beyond any use.
  void Replace(const Regex& pattern, std::string_view content);
  void Prepend(std::string_view content);
  void Append(std::string_view content);
  void StripLeft();
  void StripRight();
  void Lowercase();
  // Keeps the code points for which `keep` is true.
  template <class Keep>
  void Filter(Keep&& keep);
  // Puts map(code point) in the place of each.
  template <class MapOne>
  void Map(MapOne&& map);
  void Clear();

 private:
  NormalizedText() = default;
  void CheckSize(size_t size) const;
  void TransformRange(size_t begin, size_t end, std::span<const Change> changes, size_t removed);
  template <class Visit>
  void ForEachCodePoint(Visit&& visit) const;
  std::string text_;
  bool aligned_ = true;
  ByteRange original_;                // of this text in the whole original
  std::vector<ByteRange> alignment_;  // [text_.size()] or empty; offsets in original_
};

template <class Visit>
void NormalizedText::ForEachCodePoint(Visit&& visit) const {
  for (size_t at = 0; at < text_.size();) {
    const CodePoint point = CodePointAt(text_, at);
    visit(point.value);
    at += point.size;
  }
}

template <class Keep>
void NormalizedText::Filter(Keep&& keep) {
  std::vector<Change> changes;
  size_t removed = 0;  // in front
  bool different = false;
  ForEachCodePoint([&](char32_t c) {
    if (keep(c)) {
      changes.push_back({c, 0});
      return;
    }
    different = true;
    changes.empty() ? static_cast<void>(++removed) : static_cast<void>(--changes.back().change);
  });
  if (different) Transform(changes, removed);
}

template <class MapOne>
void NormalizedText::Map(MapOne&& map) {
  std::vector<Change> changes;
  bool different = false;
  ForEachCodePoint([&](char32_t c) {
    const char32_t mapped = map(c);
    different = different || mapped != c;
    changes.push_back({mapped, 0});
  });
  if (different) Transform(changes, 0);
}

}  // namespace pawl::text
