#include "core/float_types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pawl::core {
namespace {

// What 16 bits mean, from the formats' definition.
double Meaning(uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const double fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

template <class Half>
struct Format;
template <>
struct Format<Bfloat16> {
  static constexpr int kExponentBits = 8;
  static Bfloat16 From(float value) { return ToBfloat16(value); }
};
template <>
struct Format<Float16> {
  static constexpr int kExponentBits = 5;
  static Float16 From(float value) { return ToFloat16(value); }
};

template <class Half>
class FloatTypes : public testing::Test {};
using Halves = testing::Types<Bfloat16, Float16>;
TYPED_TEST_SUITE(FloatTypes, Halves);

TYPED_TEST(FloatTypes, EveryValueIsExactThereAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const TypeParam half{static_cast<uint16_t>(bits)};
    const double meaning = Meaning(half.bits, Format<TypeParam>::kExponentBits);
    const float value = ToFloat(half);
    const TypeParam again = Format<TypeParam>::From(value);
    if (std::isnan(meaning)) {
      ASSERT_TRUE(std::isnan(value));
      ASSERT_TRUE(std::isnan(ToFloat(again)));
      ASSERT_EQ(std::signbit(value), bits >> 15 != 0);
    } else {
      ASSERT_EQ(value, meaning);
      ASSERT_EQ(std::signbit(value), bits >> 15 != 0);
      ASSERT_EQ(again, half);
    }
  }
}

// Between two neighbours: the middle goes to the even one, all else to the nearer one.
TYPED_TEST(FloatTypes, RoundsToNearestEven) {
  const auto largest = std::numeric_limits<uint16_t>::max() >> 1;
  for (uint16_t bits = 0; bits < largest; ++bits) {
    const double low = Meaning(bits, Format<TypeParam>::kExponentBits);
    const double high = Meaning(bits + 1, Format<TypeParam>::kExponentBits);
    if (!std::isfinite(high)) break;
    const auto middle = static_cast<float>((low + high) / 2);
    if (middle != (low + high) / 2) continue;  // below float32's own resolution
    const uint16_t even = bits % 2 == 0 ? bits : bits + 1;
    for (const float sign : {1.0f, -1.0f}) {
      const auto expect = [&](float value, uint16_t expected) {
        ASSERT_EQ(Format<TypeParam>::From(sign * value).bits, expected | (sign < 0 ? 0x8000u : 0u))
            << value;
      };
      expect(middle, even);
      expect(std::nextafter(middle, INFINITY), bits + 1);
      expect(std::nextafter(middle, 0.0f), bits);
    }
  }
}

TEST(Float16, OverflowsToInfinityFrom65520) {
  EXPECT_EQ(ToFloat16(65519.996f).bits, 0x7bff);
  EXPECT_EQ(ToFloat16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(ToFloat16(-1e30f).bits, 0xfc00);
  EXPECT_EQ(ToFloat16(INFINITY).bits, 0x7c00);
  EXPECT_EQ(ToFloat16(1e-30f).bits, 0);
  EXPECT_EQ(ToFloat16(-1e-30f).bits, 0x8000);
  EXPECT_EQ(ToFloat16(std::numeric_limits<float>::denorm_min()).bits, 0);
}

TEST(Bfloat16, OverflowsToInfinityAboveItsLargest) {
  EXPECT_EQ(ToBfloat16(3.39e38f).bits, 0x7f7f);
  EXPECT_EQ(ToBfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
}

TEST(FloatTypes, ANanStaysOne) {
  for (const uint32_t bits : {0x7f800001u, 0xff800001u, 0x7fffffffu, 0x7fc00000u, 0xffc12345u}) {
    const auto nan = std::bit_cast<float>(bits);
    EXPECT_TRUE(std::isnan(ToFloat(ToBfloat16(nan))));
    EXPECT_TRUE(std::isnan(ToFloat(ToFloat16(nan))));
    EXPECT_EQ(ToBfloat16(nan).bits >> 15, bits >> 31);
    EXPECT_EQ(ToFloat16(nan).bits >> 15, bits >> 31);
  }
}

}  // namespace
}  // namespace pawl::core
