#include "core/bytes.h"

#include <gtest/gtest.h>

namespace pawl::core {
namespace {

TEST(Bytes, ValuesAndSpansComeBackInOrder) {
  ByteWriter writer;
  const std::vector<double> values = {1.5, -2.0};
  writer.Put<uint32_t>(7);
  writer.PutSpan<double>(values);
  writer.PutSpan<double>({});
  writer.Put<int8_t>(-1);
  ByteReader reader(writer.bytes());
  EXPECT_EQ(reader.Get<uint32_t>(), 7u);
  EXPECT_EQ(reader.GetVector<double>(), values);
  EXPECT_TRUE(reader.GetVector<double>().empty());
  EXPECT_EQ(reader.Get<int8_t>(), -1);
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(Bytes, ReadingPastTheEndThrowsAtEveryCut) {
  ByteWriter writer;
  const std::vector<float> values = {1, 2, 3};
  writer.PutSpan<float>(values);
  const auto bytes = writer.bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader{std::span(bytes).first(size)};
    EXPECT_THROW(reader.GetVector<float>(), Error) << size;
  }
}

TEST(Bytes, AHugeCountIsRefusedBeforeAnythingIsAllocated) {
  ByteWriter writer;
  writer.Put<uint64_t>(uint64_t{1} << 62);
  ByteReader reader(writer.bytes());
  EXPECT_THROW(reader.GetVector<double>(), Error);
}

TEST(Bytes, ASpanOfAnotherLengthIsRefused) {
  ByteWriter writer;
  const std::vector<float> values = {1, 2, 3};
  writer.PutSpan<float>(values);
  std::vector<float> out(2);
  ByteReader reader(writer.bytes());
  EXPECT_THROW(reader.GetSpan<float>(out), Error);
}

}  // namespace
}  // namespace pawl::core
