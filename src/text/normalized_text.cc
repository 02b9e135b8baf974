#include "text/normalized_text.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {

size_t SizeAt(const std::string& text, size_t at) { return CodePointAt(text, at).size; }
}  // namespace

NormalizedText::NormalizedText(std::string text, bool aligned)
    : text_(std::move(text)), aligned_(aligned), original_{0, text_.size()} {
  if (!aligned) return;
  alignment_.reserve(text_.size());
  for (size_t at = 0; at < text_.size();) {
    const size_t size = SizeAt(text_, at);
    alignment_.insert(alignment_.end(), size, ByteRange{at, at + size});
    at += size;
  }
}

ByteRange NormalizedText::OriginalRange(size_t begin, size_t end) const {
  PAWL_CHECK(aligned_, "a text that was made without alignment");
  PAWL_CHECK(begin <= end && end <= text_.size(), "bytes {} to {} of {}", begin, end, text_.size());
  if (begin == end) return {original_.begin + begin, original_.begin + end};
  return {original_.begin + alignment_[begin].begin, original_.begin + alignment_[end - 1].end};
}

NormalizedText NormalizedText::Slice(size_t begin, size_t end) const {
  PAWL_CHECK(begin <= end && end <= text_.size(), "bytes {} to {} of {}", begin, end, text_.size());
  NormalizedText slice;
  slice.text_ = text_.substr(begin, end - begin);
  slice.aligned_ = aligned_;
  slice.original_ = {0, end - begin};
  if (!aligned_) return slice;
  slice.original_ = OriginalRange(begin, end);
  const size_t shift = slice.original_.begin - original_.begin;
  slice.alignment_.reserve(end - begin);
  for (size_t i = begin; i < end; ++i) {
    slice.alignment_.push_back({alignment_[i].begin - shift, alignment_[i].end - shift});
  }
  return slice;
}

void NormalizedText::Transform(std::span<const Change> changes, size_t removed) {
  TransformRange(0, text_.size(), changes, removed);
}

// `changes` and `removed` are of bytes [begin, end).
void NormalizedText::TransformRange(size_t begin, size_t end, std::span<const Change> changes,
                                    size_t removed) {
  std::string text;
  text.reserve(end - begin + changes.size());
  std::vector<ByteRange> alignment;
  if (aligned_) alignment.reserve(end - begin + changes.size());
  size_t at = begin;  // in the old text
  const auto skip = [&](size_t count) {
    for (; count > 0 && at < end; --count) at += SizeAt(text_, at);
  };
  if (aligned_) skip(removed);
  for (const Change& change : changes) {
    const size_t before = text.size();
    AppendUtf8(text, change.code_point);
    if (!aligned_) continue;
    // what is inserted belongs to what stands before it
    ByteRange from;
    if (change.change > 0) {
      if (at > 0) from = alignment_[at - 1];
    } else {
      if (at < alignment_.size()) from = alignment_[at];
      skip(1 + static_cast<size_t>(-static_cast<int64_t>(change.change)));
    }
    alignment.insert(alignment.end(), text.size() - before, from);
  }
  text_.replace(begin, end - begin, text);
  if (!aligned_) return;
  const auto old = alignment_.begin() + static_cast<ptrdiff_t>(begin);
  const auto rest = alignment_.erase(old, old + static_cast<ptrdiff_t>(end - begin));
  alignment_.insert(rest, alignment.begin(), alignment.end());
}

// A sequence of replacements may make a text longer without end.
void NormalizedText::CheckSize(size_t size) const {
  if (size <= 1'000'000 + 1000 * original_size()) return;
  throw RunError({.what = fmt::format("a normalizer makes a text of {} bytes more than a thousand "
                                      "times as long",
                                      original_size())});
}

// One pass: what replaces a match belongs to the last byte before it in the new text, for the
// package inserts it there.
void NormalizedText::Replace(const Regex& pattern, std::string_view content) {
  if (text_.empty()) return;
  std::string text;
  std::vector<ByteRange> alignment;
  size_t done = 0;
  bool found = false;
  const auto keep = [&](size_t end) {
    text.append(text_, done, end - done);
    if (aligned_) {
      alignment.insert(alignment.end(), alignment_.begin() + static_cast<ptrdiff_t>(done),
                       alignment_.begin() + static_cast<ptrdiff_t>(end));
    }
  };
  pattern.ForEachMatch(text_, [&](Regex::Match match) {
    if (!found) text.reserve(text_.size() + content.size());
    found = true;
    keep(match.begin);
    text.append(content);
    CheckSize(text.size());
    if (aligned_) {
      // the bytes that go are passed over first, so it is the last of them where there is one
      ByteRange from;
      if (match.end > match.begin) {
        from = alignment_[match.end - 1];
      } else if (!alignment.empty()) {
        from = alignment.back();
      }
      alignment.insert(alignment.end(), content.size(), from);
    }
    done = match.end;
  });
  if (!found) return;
  keep(text_.size());
  text_ = std::move(text);
  alignment_ = std::move(alignment);
}

void NormalizedText::Prepend(std::string_view content) {
  if (text_.empty()) return;
  CheckSize(text_.size() + content.size());
  text_.insert(0, content);
  if (!aligned_) return;
  if (content.empty()) {
    // to the package the first code point is then one that came from nowhere
    std::fill_n(alignment_.begin(), SizeAt(text_, 0), ByteRange{});
    return;
  }
  // the first inserted code point takes the place of the text's own first, and all share its place
  alignment_.insert(alignment_.begin(), content.size(), alignment_.front());
}

void NormalizedText::Append(std::string_view content) {
  if (text_.empty()) return;
  text_.append(content);
  if (aligned_) alignment_.insert(alignment_.end(), content.size(), alignment_.back());
}

void NormalizedText::StripLeft() {
  size_t at = 0;
  while (at < text_.size()) {
    const CodePoint point = CodePointAt(text_, at);
    if (!IsSpace(point.value)) break;
    at += point.size;
  }
  text_.erase(0, at);
  if (aligned_)
    alignment_.erase(alignment_.begin(), alignment_.begin() + static_cast<ptrdiff_t>(at));
}

void NormalizedText::StripRight() {
  size_t end = text_.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (text_[begin] & 0xC0) == 0x80) --begin;
    if (!IsSpace(CodePointAt(text_, begin).value)) break;
    end = begin;
  }
  text_.resize(end);
  if (aligned_) alignment_.resize(end);
}

void NormalizedText::Lowercase() {
  std::vector<Change> changes;
  changes.reserve(text_.size());
  bool different = false;
  for (size_t at = 0; at < text_.size();) {
    const CodePoint point = CodePointAt(text_, at);
    at += point.size;
    const LowerCase lower = ToLower(point.value);
    different = different || lower.count > 1 || lower.code_points[0] != point.value;
    for (int i = 0; i < lower.count; ++i) changes.push_back({lower.code_points[i], i > 0 ? 1 : 0});
  }
  if (different) Transform(changes, 0);
}

void NormalizedText::Clear() {
  text_.clear();
  alignment_.clear();
}

}  // namespace pawl::text
