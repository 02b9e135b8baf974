#include "text/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "text/pre_tokenizer.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
size_t PreviousCodePoint(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

bool EndsWithWord(std::string_view text) {
  if (text.empty()) return false;
  return IsWordCharacter(CodePointAt(text, PreviousCodePoint(text, text.size())).value);
}

bool StartsWithWord(std::string_view text) {
  return !text.empty() && IsWordCharacter(CodePointAt(text, 0).value);
}
}  // namespace

int32_t TokenTrie::Child(int32_t node, uint8_t byte) const {
  int32_t child = nodes_[static_cast<size_t>(node)].first_child;
  while (child >= 0 && nodes_[static_cast<size_t>(child)].byte != byte)
    child = nodes_[static_cast<size_t>(child)].next_sibling;
  return child;
}

void TokenTrie::Add(std::string_view pattern, int32_t value) {
  int32_t node = 0;
  for (const char c : pattern) {
    const auto byte = static_cast<uint8_t>(c);
    int32_t child = node == 0 ? roots_[byte] : Child(node, byte);
    if (child < 0) {
      child = static_cast<int32_t>(nodes_.size());
      Node& parent = nodes_[static_cast<size_t>(node)];
      Node fresh{-1, -1, parent.first_child, byte};
      if (node == 0) {
        fresh.next_sibling = -1;
        roots_[byte] = child;
        only_byte_ = byte;
        ++first_bytes_;
      } else {
        parent.first_child = child;
      }
      nodes_.push_back(fresh);
    }
    node = child;
  }
  nodes_[static_cast<size_t>(node)].value = value;
}

TokenTrie::Match TokenTrie::Find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (first_bytes_ == 1) {
      const void* found = std::memchr(text.data() + begin, only_byte_, text.size() - begin);
      if (found == nullptr) break;
      begin = static_cast<size_t>(static_cast<const char*>(found) - text.data());
    }
    int32_t node = roots_[static_cast<uint8_t>(text[begin])];
    if (node < 0) continue;
    Match match;
    for (size_t at = begin + 1;; ++at) {
      const int32_t value = nodes_[static_cast<size_t>(node)].value;
      if (value >= 0) match = {begin, at, value};
      if (at >= text.size()) break;
      node = Child(node, static_cast<uint8_t>(text[at]));
      if (node < 0) break;
    }
    if (match.value >= 0) return match;
  }
  return {};
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Vocabulary& vocabulary,
                         const Normalizer* normalizer, const std::string& source) {
  int64_t next = vocabulary.size();
  for (AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    if (by_content_.contains(token.content)) {
      throw UserError(
          {.what = fmt::format("the added token '{}' stands there twice", token.content),
           .where = source + ": added_tokens",
           .expected = "each token once"});
    }
    int32_t id = vocabulary.Find(token.content);
    if (id < 0) id = static_cast<int32_t>(next++);
    if (token.id != id) {
      throw UserError(
          {.what = fmt::format("the added token '{}' has the id {}", token.content, token.id),
           .where = source + ": added_tokens",
           .expected = fmt::format("{}: that of the vocabulary, or the next after it", id)});
    }
    std::string decoded = token.content;
    if (token.normalized && normalizer != nullptr) {
      NormalizedText text(token.content, /*aligned=*/false);
      normalizer->Apply(text);
      decoded = text.text();
    }
    const size_t index = tokens_.size();
    const auto value = static_cast<int32_t>(index);
    const bool empty = decoded.empty();  // found nowhere
    if (!empty) (token.normalized ? normalized_ : raw_).Add(decoded, value);
    by_id_[id] = index;
    by_content_[token.content] = index;
    if (token.special) special_.insert(token.content);
    decoded_.push_back(std::move(decoded));
    tokens_.push_back(std::move(token));
  }
}

const AddedToken* AddedTokens::Find(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::Find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

bool AddedTokens::Accept(std::string_view text, size_t done, TokenTrie::Match& match) const {
  const AddedToken& token = tokens_[static_cast<size_t>(match.value)];
  if (token.single_word &&
      (EndsWithWord(text.substr(0, match.begin)) || StartsWithWord(text.substr(match.end)))) {
    return false;
  }
  if (token.lstrip) {
    size_t begin = match.begin;
    while (begin > 0) {
      const size_t previous = PreviousCodePoint(text, begin);
      if (!IsSpace(CodePointAt(text, previous).value)) break;
      begin = previous;
    }
    match.begin = std::max(begin, done);
  }
  if (token.rstrip) {
    while (match.end < text.size()) {
      const CodePoint point = CodePointAt(text, match.end);
      if (!IsSpace(point.value)) break;
      match.end += point.size;
    }
  }
  return true;
}

}  // namespace pawl::text
