// Writes a picture as PNG for people to look at, uncompressed ("stored" deflate blocks).
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "core/file.h"

namespace pawl::envs {

inline uint32_t PngCrc(const std::string& bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
  }
  return ~crc;
}

inline std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

// rgb: [height, width, 3], top row first.
inline void WritePng(const std::string& path, int width, int height, std::span<const uint8_t> rgb) {
  std::string raw;  // every row begins with its filter: none
  const size_t row = size_t{3} * static_cast<size_t>(width);
  for (int y = 0; y < height; ++y) {
    raw += '\0';
    raw.append(reinterpret_cast<const char*>(rgb.data()) + static_cast<size_t>(y) * row, row);
  }
  std::string zlib = "\x78\x01";
  uint32_t a = 1, b = 0;  // Adler-32
  for (const char byte : raw) {
    a = (a + static_cast<uint8_t>(byte)) % 65521;
    b = (b + a) % 65521;
  }
  constexpr size_t kBlock = 65535;
  for (size_t begin = 0; begin < raw.size(); begin += kBlock) {
    const size_t size = std::min(kBlock, raw.size() - begin);
    const auto low = static_cast<char>(size & 0xff), high = static_cast<char>(size >> 8);
    zlib += begin + size == raw.size() ? '\1' : '\0';
    zlib += {low, high, static_cast<char>(~low), static_cast<char>(~high)};
    zlib.append(raw, begin, size);
  }
  zlib += BigEndian(b << 16 | a);
  std::string png = "\x89PNG\r\n\x1a\n";
  const auto chunk = [&png](const std::string& type, const std::string& data) {
    png += BigEndian(static_cast<uint32_t>(data.size())) + type + data +
           BigEndian(PngCrc(type + data));
  };
  chunk("IHDR", BigEndian(static_cast<uint32_t>(width)) + BigEndian(static_cast<uint32_t>(height)) +
                    std::string("\x08\x02\0\0\0", 5));
  chunk("IDAT", zlib);
  chunk("IEND", "");
  core::WriteFileAtomic(path, std::string_view(png));
}

}  // namespace pawl::envs
