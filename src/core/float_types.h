// bfloat16 and float16 as files hold them: 16 bits that only become numbers as float32, which holds
// all of their values. To 16 bits: nearest, ties to even, overflow to infinity, as torch rounds; a
// NaN stays one, with its sign and the upper bits of its payload. Thread-safe: no state.
#pragma once
#include <bit>
#include <cstdint>

namespace pawl::core {

struct Bfloat16 {
  uint16_t bits = 0;
  bool operator==(const Bfloat16&) const = default;
};
struct Float16 {
  uint16_t bits = 0;
  bool operator==(const Float16&) const = default;
};

inline float ToFloat(Bfloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

inline Bfloat16 ToBfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fff'ffffu) > 0x7f80'0000u) {  // NaN: rounding could carry it to infinity
    return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  }
  const uint32_t half_and_odd = 0x7fffu + ((bits >> 16) & 1u);
  return {static_cast<uint16_t>((bits + half_and_odd) >> 16)};
}

inline float ToFloat(Float16 value) {
  const uint32_t sign = (value.bits & 0x8000u) << 16, magnitude = value.bits & 0x7fffu;
  if (magnitude < 0x0400u) {  // below 2^-14: multiples of 2^-24
    const float scaled = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | sign);
  }
  // the exponent's bias goes from 15 to 127; infinity and NaN go to the largest exponent
  const uint32_t bias = magnitude >= 0x7c00u ? 255u - 31u : 127u - 15u;
  return std::bit_cast<float>(((magnitude << 13) + (bias << 23)) | sign);
}

inline Float16 ToFloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fff'ffffu;
  uint32_t half;
  if (magnitude > 0x7f80'0000u) {  // NaN
    half = 0x7e00u | ((magnitude >> 13) & 0x1ffu);
  } else if (magnitude >= 0x477f'f000u) {  // 65520 and more
    half = 0x7c00u;
  } else if (magnitude < 0x3880'0000u) {  // below 2^-14: the sum's last bit is worth 2^-24
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f00'0000u;
  } else {
    const uint32_t half_and_odd = 0xfffu + ((magnitude >> 13) & 1u);
    half = (magnitude - ((127u - 15u) << 23) + half_and_odd) >> 13;
  }
  return {static_cast<uint16_t>(half | sign)};
}

}  // namespace pawl::core
