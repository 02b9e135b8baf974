// The ids of words that were met before: a table of fixed size whose slots, a cache line each, are
// written over. Only short words with few ids are kept, which most words of a text are. One thread.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "text/bytes_hash.h"

namespace pawl::text {
namespace internal {
// The bits of the first `size` bytes of four words, for each size.
using WordMasks = std::array<std::array<uint64_t, 4>, 32>;
constexpr WordMasks MakeWordMasks(size_t largest) {
  WordMasks masks{};
  for (size_t size = 0; size <= largest; ++size) {
    for (size_t byte = 0; byte < size; ++byte)
      masks[size][byte / 8] |= uint64_t{0xFF} << 8 * (byte % 8);
  }
  return masks;
}
}  // namespace internal

class WordCache {
 public:
  static constexpr size_t kMaxWord = 30;  // bytes
  static constexpr size_t kMaxIds = 8;

  // A word as the table compares it: its bytes, zeros, its size in the last byte.
  struct Key {
    std::array<uint64_t, 4> words{};
    bool operator==(const Key&) const = default;
  };
  struct alignas(64) Slot {
    Key key;  // of no word at first: the size of one is in its last byte, plus one
    std::array<int32_t, kMaxIds> ids{};
  };

  WordCache() : slots_(kSlots) {}

  // `word`: 1 to kMaxWord bytes; `readable`: how many bytes may be read from its beginning on.
  static Key KeyOf(std::string_view word, size_t readable) {
    Key key;
    if (readable >= sizeof(Key)) {
      std::memcpy(key.words.data(), word.data(), sizeof(Key));
      for (size_t i = 0; i < 4; ++i) key.words[i] &= kMasks[word.size()][i];
    } else {
      std::memcpy(key.words.data(), word.data(), word.size());
    }
    key.words[3] |= static_cast<uint64_t>(word.size() + 1) << 56;
    return key;
  }
  // The slot where the word is or could be.
  Slot& SlotOf(const Key& key) {
    const uint64_t hash =
        MixBits(MixBits(key.words[0], key.words[1]), MixBits(key.words[2], key.words[3]));
    return slots_[hash & (kSlots - 1)];
  }
  // The slot's key carries the number of ids in the byte that no word reaches.
  static bool Holds(const Slot& slot, const Key& key) {
    return slot.key.words[0] == key.words[0] && slot.key.words[1] == key.words[1] &&
           slot.key.words[2] == key.words[2] && (slot.key.words[3] & ~kCountMask) == key.words[3];
  }
  static size_t Count(const Slot& slot) { return slot.key.words[3] >> 48 & 0xFF; }
  static void Store(Slot& slot, const Key& key, const int32_t* ids, size_t count) {
    slot.key = key;
    slot.key.words[3] |= static_cast<uint64_t>(count) << 48;
    std::memcpy(slot.ids.data(), ids, count * sizeof(int32_t));
  }

 private:
  static constexpr size_t kSlots = size_t{1} << 15;  // 2 MiB
  static constexpr uint64_t kCountMask = uint64_t{0xFF} << 48;
  static constexpr internal::WordMasks kMasks = internal::MakeWordMasks(kMaxWord);
  std::vector<Slot> slots_;
};

}  // namespace pawl::text
