#include "track/event_file.h"

#include <cstring>

#include "tests/track/track_testing.h"

namespace pawl::track {
namespace {

using EventFileTest = FolderTest;

std::string Event(int64_t step) {
  const Scalar scalar{.tag = "train/loss", .value = 0.5f};
  return FrameRecord(EncodeScalars(1.5, step, {&scalar, 1}));
}

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

TEST(EventFile, ScalarMessageIsTheProtobufWireFormat) {
  const Scalar scalar{.tag = "a", .value = 1.0f};
  // worked by hand from event.proto and summary.proto: 1: double 1.0, 2: varint 300, 5: { 1: { 1:
  // "a", 2: float 1.0 } }
  const std::string expected = Bytes({0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f}) +
                               Bytes({0x10, 0xac, 0x02}) +
                               Bytes({0x2a, 10, 0x0a, 8, 0x0a, 1, 'a', 0x15, 0, 0, 0x80, 0x3f});
  EXPECT_EQ(EncodeScalars(1.0, 300, {&scalar, 1}), expected);
}

TEST(EventFile, FrameHoldsMaskedChecksums) {
  // the length record of 8 zero bytes: CRC-32C 0x8c28b28a, masked ((crc >> 15 | crc << 17) +
  // 0xa282ead8)
  const std::string frame = FrameRecord("");
  ASSERT_EQ(frame.size(), 16u);
  const uint32_t crc = 0x8c28b28a, masked = (crc >> 15 | crc << 17) + 0xa282ead8u;
  uint32_t stored = 0;
  std::memcpy(&stored, frame.data() + 8, 4);
  EXPECT_EQ(stored, masked);
}

TEST(EventFile, RecordsComeBackWithTheirSteps) {
  const std::string bytes = FrameRecord(EncodeFileVersion(1)) + Event(7) + Event(int64_t{1} << 40);
  const auto records = ParseRecords(bytes);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].step, 0);
  EXPECT_EQ(records[1].step, 7);
  EXPECT_EQ(records[2].step, int64_t{1} << 40);
}

TEST(EventFile, ReadingStopsAtADamagedOrShortRecord) {
  const std::string good = Event(1) + Event(2);
  for (size_t cut = 1; cut < Event(2).size(); ++cut) {
    EXPECT_EQ(ParseRecords(std::string_view(good).substr(0, good.size() - cut)).size(), 1u) << cut;
  }
  for (size_t i = Event(1).size(); i < good.size(); ++i) {
    std::string damaged = good;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_EQ(ParseRecords(damaged).size(), 1u) << i;
  }
}

TEST_F(EventFileTest, CutBackKeepsEarlierEventsByteForByteInEveryFile) {
  const std::string head = FrameRecord(EncodeFileVersion(1));
  Put("events.out.tfevents.1.a", head + Event(10) + Event(20));
  Put("events.out.tfevents.2.a", head + Event(30) + Event(40) + "torn");
  Put("metrics.jsonl", "untouched");
  EXPECT_EQ(CutEventsBack(folder_, 30), 1);
  EXPECT_EQ(Text("events.out.tfevents.1.a"), head + Event(10) + Event(20));
  EXPECT_EQ(Text("events.out.tfevents.2.a"), head + Event(30));
  EXPECT_EQ(Text("metrics.jsonl"), "untouched");
}

TEST_F(EventFileTest, CutBackOfAMissingFolderDoesNothing) {
  EXPECT_EQ(CutEventsBack(folder_ / "none", 0), 0);
}

}  // namespace
}  // namespace pawl::track
