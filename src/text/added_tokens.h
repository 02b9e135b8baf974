// The added tokens of a tokenizer: found in a text before anything else, each whole. Those that
// are not "normalized" are searched in the text as it is, the others in the normalised text.
// Immutable; any thread.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/normalizer.h"
#include "text/vocabulary.h"

namespace pawl::text {

struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the white space on its left (right) with it
  bool rstrip = false;
  bool normalized = false;
  bool special = false;  // left out by Decode where that is asked for
};

// Searches many strings at once: at each place the longest one that begins there.
class TokenTrie {
 public:
  void Add(std::string_view pattern, int32_t value);
  bool empty() const { return nodes_.size() == 1; }
  struct Match {
    size_t begin = 0, end = 0;
    int32_t value = -1;  // -1: nothing was found
  };
  // The leftmost match at or after `from`.
  Match Find(std::string_view text, size_t from) const;

 private:
  struct Node {
    int32_t value = -1;
    int32_t first_child = -1, next_sibling = -1;
    uint8_t byte = 0;
  };
  int32_t Child(int32_t node, uint8_t byte) const;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<int32_t, 256> roots_ = MakeRoots();  // the node of each first byte, or -1
  static std::array<int32_t, 256> MakeRoots() {
    std::array<int32_t, 256> roots;
    roots.fill(-1);
    return roots;
  }
  uint8_t only_byte_ = 0;  // the first byte of all patterns, where they have the same one
  int first_bytes_ = 0;    // how many different ones there are
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // `tokens`: in the file's order, with its ids. Ids are given as the package gives them: that of
  // the model's vocabulary, else the next free one. Throws UserError naming `source` where the
  // file's id is another one, and where a token stands there twice with different properties.
  AddedTokens(std::vector<AddedToken> tokens, const Vocabulary& vocabulary,
              const Normalizer* normalizer, const std::string& source);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* Find(int32_t id) const;
  const AddedToken* Find(std::string_view content) const;
  // What the decoder gets for an id: the content as the normaliser leaves it, as in the package.
  std::string_view DecodedToken(size_t index) const { return decoded_[index]; }
  // Whether Decode leaves an added token's decoded form out as special.
  bool IsSpecial(std::string_view decoded) const { return special_.contains(std::string(decoded)); }
  bool has_raw() const { return !raw_.empty(); }
  bool has_normalized() const { return !normalized_.empty(); }

  // Calls visit(begin, end, token) for the stretches of the text in order; token is nullptr for
  // what lies between added tokens. Stretches may overlap where a token takes white space away
  // from the one that follows it, as in the package.
  template <class Visit>
  void SplitRaw(std::string_view text, Visit&& visit) const {
    Split(raw_, text, visit);
  }
  template <class Visit>
  void SplitNormalized(std::string_view text, Visit&& visit) const {
    Split(normalized_, text, visit);
  }

 private:
  template <class Visit>
  void Split(const TokenTrie& trie, std::string_view text, Visit&& visit) const;
  // Widens a match by white space; false where it is none because it stands inside a word.
  bool Accept(std::string_view text, size_t done, TokenTrie::Match& match) const;

  std::vector<AddedToken> tokens_;
  std::vector<std::string> decoded_;  // [tokens_.size()]
  std::unordered_map<int32_t, size_t> by_id_;
  std::unordered_map<std::string, size_t> by_content_;
  std::unordered_set<std::string> special_;
  TokenTrie raw_, normalized_;  // values are indices of tokens_
};

template <class Visit>
void AddedTokens::Split(const TokenTrie& trie, std::string_view text, Visit&& visit) const {
  size_t done = 0;
  if (!trie.empty()) {
    for (size_t from = 0; from < text.size();) {
      TokenTrie::Match match = trie.Find(text, from);
      if (match.value < 0) break;
      from = match.end;
      if (!Accept(text, done, match)) continue;
      if (done < match.begin) visit(done, match.begin, nullptr);
      visit(match.begin, match.end, &tokens_[static_cast<size_t>(match.value)]);
      done = match.end;
    }
  }
  if (done != text.size()) visit(done, text.size(), nullptr);
}

}  // namespace pawl::text
