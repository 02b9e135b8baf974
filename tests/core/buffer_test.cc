#include "core/buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace pawl::core {
namespace {

TEST(Buffer, IsAlignedAndZeroedWhateverItsSize) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{17}, size_t{1} << 19, size_t{1} << 20}) {
    Buffer<float> buffer(count);
    EXPECT_EQ(buffer.size(), count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    EXPECT_EQ(std::count(buffer.span().begin(), buffer.span().end(), 0.0f), count);
    std::fill(buffer.span().begin(), buffer.span().end(), 1.0f);  // all of it can be written
  }
}

TEST(Buffer, ALargeOneStartsAtALargePage) {
  const Buffer<std::byte> buffer((size_t{5} << 20) + 3);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % (size_t{2} << 20), 0u);
}

TEST(Buffer, CopiesAreDeepAndMovesAreNot) {
  Buffer<int32_t> a(1000);
  a.data()[7] = 3;
  Buffer<int32_t> copy = a;
  a.data()[7] = 4;
  EXPECT_EQ(copy.data()[7], 3);
  const int32_t* data = a.data();
  const Buffer<int32_t> moved = std::move(a);
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(moved.data()[7], 4);
}

}  // namespace
}  // namespace pawl::core
