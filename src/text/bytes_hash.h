// A 64-bit hash of bytes for the tables of the tokenizer. Not for anything that must withstand an
// attacker, and not stable between versions.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pawl::text {

inline uint64_t MixBits(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD1B54A32D192ED03u);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t HashBytes(std::string_view bytes) {
  uint64_t hash = bytes.size();
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    hash = MixBits(hash, word);
  }
  if (at < bytes.size()) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, bytes.size() - at);
    hash = MixBits(hash, word);
  }
  return hash;
}

}  // namespace pawl::text
