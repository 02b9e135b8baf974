#include "text/train_bpe.h"

#include <algorithm>
#include <array>
#include <exception>
#include <nlohmann/json.hpp>
#include <queue>
#include <thread>
#include <tuple>
#include <unordered_map>

#include "core/error.h"
#include "text/regex.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The character that stands for each byte in byte-level vocabularies: printable ones for
// themselves, the others from U+0100 on.
std::array<char32_t, 256> ByteCharacters() {
  std::array<char32_t, 256> characters{};
  char32_t next = 0x100;
  for (char32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
    characters[b] = printable ? b : next++;
  }
  return characters;
}

using WordCounts = std::unordered_map<std::string_view, int64_t>;

WordCounts CountWords(std::span<const std::string_view> texts, const Regex& splitter) {
  WordCounts counts;
  for (const std::string_view text : texts) {
    splitter.ForEachPiece(text, [&](size_t begin, size_t end, bool /*is_match*/) {
      ++counts[text.substr(begin, end - begin)];
    });
  }
  return counts;
}

// Shares of the texts with about the same number of bytes, each counted by a thread.
WordCounts CountWords(std::span<const std::string_view> texts, int threads) {
  const Regex splitter = Regex::Compile(kGpt2Pattern, "GPT-2's pattern");
  size_t bytes = 0;
  for (const std::string_view text : texts) bytes += text.size();
  const auto shares = static_cast<size_t>(std::max(1, threads));
  std::vector<WordCounts> counts(shares);
  std::vector<std::exception_ptr> errors(shares);
  std::vector<std::thread> workers;
  size_t begin = 0, seen = 0;
  for (size_t i = 0; i < shares; ++i) {
    size_t end = begin;
    while (end < texts.size() && (i + 1 == shares || seen < bytes / shares * (i + 1))) {
      seen += texts[end++].size();
    }
    const auto count = [&, i, share = texts.subspan(begin, end - begin)] {
      try {
        counts[i] = CountWords(share, splitter);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    };
    begin = end;
    i + 1 == shares ? count() : static_cast<void>(workers.emplace_back(count));
  }
  for (std::thread& worker : workers) worker.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  for (size_t i = 1; i < shares; ++i) {
    for (const auto& [word, count] : counts[i]) counts[0][word] += count;
  }
  return std::move(counts[0]);
}

struct Pair {
  uint32_t first, second;
  bool operator==(const Pair&) const = default;
  auto operator<=>(const Pair&) const = default;
};
struct PairHash {
  size_t operator()(const Pair& pair) const {
    return ((uint64_t{pair.first} << 32 | pair.second) * 0x9E3779B97F4A7C15u) >> 17;
  }
};
using Positions = std::vector<uint32_t>;  // words, ascending

class Trainer {
 public:
  explicit Trainer(const TrainBpeConfig& config) : config_(config) {}

  BpeMerges Train(const WordCounts& words) {
    AddAlphabet(words);
    AddWords(words);
    CountPairs();
    while (static_cast<int64_t>(ids_.size()) < config_.vocab_size && MergeNext()) {
    }
    return Result();
  }

 private:
  struct Candidate {
    int64_t count;
    Pair pair;
    uint32_t positions;  // in positions_
  };
  // A candidate that is merged later than another.
  struct Later {
    const Trainer* trainer;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count < b.count;
      if (trainer->config_.ties == BpeTies::kSmallestIds) return a.pair > b.pair;
      const auto& bytes = trainer->bytes_;
      return std::tie(bytes[a.pair.first], bytes[a.pair.second]) <
             std::tie(bytes[b.pair.first], bytes[b.pair.second]);
    }
  };

  uint32_t IdOf(const std::string& token, const std::string& bytes) {
    const auto [found, added] = ids_.try_emplace(token, static_cast<uint32_t>(vocab_.size()));
    if (added) {
      vocab_.push_back(token);
      bytes_.push_back(bytes);
    }
    return found->second;
  }

  void AddAlphabet(const WordCounts& words) {
    for (const std::string& token : config_.special_tokens) IdOf(token, token);
    std::array<bool, 256> seen{};
    if (config_.all_bytes) seen.fill(true);
    for (const auto& [word, count] : words) {
      for (const char c : word) seen[static_cast<uint8_t>(c)] = true;
    }
    // in the order of the characters that stand for them
    std::vector<std::pair<char32_t, uint8_t>> alphabet;
    const auto characters = ByteCharacters();
    for (size_t b = 0; b < 256; ++b) {
      if (seen[b]) alphabet.emplace_back(characters[b], static_cast<uint8_t>(b));
    }
    std::sort(alphabet.begin(), alphabet.end());
    for (const auto& [character, byte] : alphabet) {
      byte_ids_[byte] = IdOf(ToUtf8(character), std::string(1, static_cast<char>(byte)));
    }
    if (static_cast<int64_t>(vocab_.size()) > config_.vocab_size) {
      throw UserError(
          {.what = fmt::format("vocabulary of {} tokens", config_.vocab_size),
           .expected = fmt::format("at least {}: {} special tokens and {} bytes", vocab_.size(),
                                   config_.special_tokens.size(), alphabet.size())});
    }
  }

  void AddWords(const WordCounts& words) {
    for (const auto& [word, count] : words) {
      word_begins_.push_back(symbols_.size());
      word_sizes_.push_back(static_cast<uint32_t>(word.size()));
      counts_.push_back(count);
      for (const char c : word) symbols_.push_back(byte_ids_[static_cast<uint8_t>(c)]);
    }
  }

  void CountPairs() {
    for (uint32_t w = 0; w < counts_.size(); ++w) {
      const uint32_t* const symbols = &symbols_[word_begins_[w]];
      for (uint32_t i = 0; i + 1 < word_sizes_[w]; ++i) {
        Change({symbols[i], symbols[i + 1]}, counts_[w], w);
      }
    }
    QueueChanged();
  }

  // The pair occurs `count` times more (or less) in word `w`.
  void Change(Pair pair, int64_t count, uint32_t w) {
    pair_counts_[pair] += count;
    if (count < 0) return;
    Positions& positions = changed_[pair];
    if (positions.empty() || positions.back() != w) positions.push_back(w);
  }

  void QueueChanged() {
    for (auto& [pair, positions] : changed_) {
      const int64_t count = pair_counts_[pair];
      if (count <= 0) continue;
      positions_.push_back(std::move(positions));
      queue_.push({count, pair, static_cast<uint32_t>(positions_.size() - 1)});
    }
    changed_.clear();
  }

  // Makes the most frequent pair a token. False where none is left that is frequent enough. A pair
  // may be queued twice, each time with the words that it came to, and then it is merged twice.
  bool MergeNext() {
    while (!queue_.empty()) {
      Candidate best = queue_.top();
      queue_.pop();
      const int64_t now = pair_counts_[best.pair];
      if (now != best.count) {
        // counts fall without notice; the true one says when it is this pair's turn
        best.count = now;
        queue_.push(best);
        continue;
      }
      if (now < 1 || now < config_.min_frequency) return false;
      const uint32_t merged = IdOf(vocab_[best.pair.first] + vocab_[best.pair.second],
                                   bytes_[best.pair.first] + bytes_[best.pair.second]);
      merges_.emplace_back(best.pair);
      for (const uint32_t w : positions_[best.positions]) MergeInWord(w, best.pair, merged);
      Positions().swap(positions_[best.positions]);
      QueueChanged();
      return true;
    }
    return false;
  }

  // In place: `kept` symbols are written while the rest is read.
  void MergeInWord(uint32_t w, Pair pair, uint32_t merged) {
    uint32_t* const symbols = &symbols_[word_begins_[w]];
    const uint32_t size = word_sizes_[w];
    const int64_t count = counts_[w];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < size;) {
      const bool here = i + 1 < size && symbols[i] == pair.first && symbols[i + 1] == pair.second;
      if (!here) {
        symbols[kept++] = symbols[i++];
        continue;
      }
      if (kept > 0) {
        Change({symbols[kept - 1], pair.first}, -count, w);
        Change({symbols[kept - 1], merged}, count, w);
      }
      i += 2;
      if (i < size) {
        Change({pair.second, symbols[i]}, -count, w);
        Change({merged, symbols[i]}, count, w);
      }
      symbols[kept++] = merged;
    }
    word_sizes_[w] = kept;
  }

  BpeMerges Result() {
    BpeMerges result;
    // a pair that was merged twice counts where it came last
    std::unordered_map<Pair, size_t, PairHash> last;
    for (size_t i = 0; i < merges_.size(); ++i) last[merges_[i]] = i;
    for (size_t i = 0; i < merges_.size(); ++i) {
      const Pair pair = merges_[i];
      if (last[pair] == i) result.merges.emplace_back(vocab_[pair.first], vocab_[pair.second]);
    }
    result.vocab = std::move(vocab_);
    return result;
  }

  const TrainBpeConfig& config_;
  std::vector<std::string> vocab_, bytes_;         // of each id
  std::unordered_map<std::string, uint32_t> ids_;  // of each token
  std::array<uint32_t, 256> byte_ids_{};
  std::vector<uint32_t> symbols_;     // of all words, each in the place it began with
  std::vector<size_t> word_begins_;   // [words]
  std::vector<uint32_t> word_sizes_;  // [words] symbols now
  std::vector<int64_t> counts_;       // [words]
  std::unordered_map<Pair, int64_t, PairHash> pair_counts_;
  std::unordered_map<Pair, Positions, PairHash> changed_;  // since the last merge
  std::vector<Positions> positions_;                       // of candidates
  std::priority_queue<Candidate, std::vector<Candidate>, Later> queue_{Later{this}};
  std::vector<Pair> merges_;
};
}  // namespace

BpeMerges TrainBpe(std::span<const std::string_view> texts, const TrainBpeConfig& config) {
  for (const std::string_view text : texts) {
    for (size_t at = 0; at < text.size();) {
      const CodePoint point = CodePointAt(text, at);
      if (!point.valid) {
        throw UserError({.what = fmt::format("bytes that are no UTF-8 at byte {} of a text", at),
                         .expected = "UTF-8"});
      }
      at += point.size;
    }
  }
  return Trainer(config).Train(CountWords(texts, config.threads));
}

std::string BpeTokenizerJson(const BpeMerges& bpe, const TrainBpeConfig& config) {
  // by hand: a json object of a large vocabulary takes its size squared to fill
  const auto quoted = [](const std::string& text) { return nlohmann::json(text).dump(); };
  const auto byte_level = [](bool add_prefix_space) {
    return fmt::format(R"({{"type": "ByteLevel", "add_prefix_space": {}, "trim_offsets": true, )"
                       R"("use_regex": true}})",
                       add_prefix_space);
  };
  std::string added, vocab, merges;
  for (size_t id = 0; id < bpe.vocab.size(); ++id) {
    const std::string& token = bpe.vocab[id];
    vocab += fmt::format("{}\n      {}: {}", id > 0 ? "," : "", quoted(token), id);
    // special tokens have the first ids
    const auto& special = config.special_tokens;
    if (std::find(special.begin(), special.end(), token) == special.end()) continue;
    added += fmt::format(
        "{}\n    {{\"id\": {}, \"content\": {}, \"single_word\": false, \"lstrip\": false, "
        "\"rstrip\": false, \"normalized\": false, \"special\": true}}",
        added.empty() ? "" : ",", id, quoted(token));
  }
  for (const auto& [left, right] : bpe.merges) {
    merges +=
        fmt::format("{}\n      [{}, {}]", merges.empty() ? "" : ",", quoted(left), quoted(right));
  }
  return fmt::format(
      R"({{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [{}],
  "normalizer": null,
  "pre_tokenizer": {},
  "post_processor": null,
  "decoder": {},
  "model": {{
    "type": "BPE",
    "dropout": null,
    "unk_token": null,
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": false,
    "byte_fallback": false,
    "ignore_merges": false,
    "vocab": {{{}
    }},
    "merges": [{}
    ]
  }}
}}
)",
      added, byte_level(false), byte_level(true), vocab, merges);
}

}  // namespace pawl::text
