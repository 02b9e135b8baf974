#include "track/event_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "core/file.h"

namespace pawl::track {
namespace {
namespace fs = std::filesystem;
static_assert(std::endian::native == std::endian::little, "both formats are little-endian");

// protobuf wire types
constexpr uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
// field numbers of tensorflow's event.proto and summary.proto
constexpr uint32_t kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3, kEventSummary = 5;
constexpr uint32_t kSummaryValue = 1, kValueTag = 1, kValueSimple = 2;

void PutVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void PutKey(std::string& out, uint32_t field, uint32_t wire_type) {
  PutVarint(out, field << 3 | wire_type);
}
template <class T>
void PutRaw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
void PutBytes(std::string& out, uint32_t field, std::string_view bytes) {
  PutKey(out, field, kBytes);
  PutVarint(out, bytes.size());
  out += bytes;
}

std::optional<uint64_t> GetVarint(std::string_view& in) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(in.front());
    in.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// The step field of an Event; 0 where it is missing or the message cannot be read.
int64_t StepOf(std::string_view message) {
  int64_t step = 0;
  while (!message.empty()) {
    const auto key = GetVarint(message);
    if (!key) return step;
    uint64_t skip = 0;
    switch (*key & 7) {
      case kVarint: {
        const auto value = GetVarint(message);
        if (!value) return step;
        if (*key >> 3 == kEventStep) step = static_cast<int64_t>(*value);
        continue;
      }
      case kFixed64:
        skip = 8;
        break;
      case kFixed32:
        skip = 4;
        break;
      case kBytes:
        skip = GetVarint(message).value_or(message.size() + 1);
        break;
      default:
        return step;
    }
    if (skip > message.size()) return step;
    message.remove_prefix(skip);
  }
  return step;
}

// TFRecord's mask keeps a checksum stored among checksummed data from looking like its own.
uint32_t MaskedCrc(std::string_view bytes) {
  const uint32_t crc = core::Crc32c(std::as_bytes(std::span(bytes.data(), bytes.size())));
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

template <class T>
T ReadRaw(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}
}  // namespace

std::string EncodeFileVersion(double wall_time_s) {
  std::string message;
  PutKey(message, kEventWallTime, kFixed64);
  PutRaw(message, wall_time_s);
  PutBytes(message, kEventFileVersion, "brain.Event:2");
  return message;
}

std::string EncodeScalars(double wall_time_s, int64_t step, std::span<const Scalar> scalars) {
  std::string summary, value;
  for (const Scalar& scalar : scalars) {
    value.clear();
    PutBytes(value, kValueTag, scalar.tag);
    PutKey(value, kValueSimple, kFixed32);
    PutRaw(value, scalar.value);
    PutBytes(summary, kSummaryValue, value);
  }
  std::string message;
  PutKey(message, kEventWallTime, kFixed64);
  PutRaw(message, wall_time_s);
  PutKey(message, kEventStep, kVarint);
  PutVarint(message, static_cast<uint64_t>(step));
  PutBytes(message, kEventSummary, summary);
  return message;
}

std::string FrameRecord(std::string_view message) {
  std::string record;
  PutRaw(record, uint64_t{message.size()});
  PutRaw(record, MaskedCrc(record));
  record += message;
  PutRaw(record, MaskedCrc(message));
  return record;
}

std::vector<EventRecord> ParseRecords(std::string_view bytes) {
  constexpr size_t kHeader = 12, kFooter = 4;
  std::vector<EventRecord> records;
  while (bytes.size() >= kHeader + kFooter) {
    const auto size = ReadRaw<uint64_t>(bytes, 0);
    if (ReadRaw<uint32_t>(bytes, 8) != MaskedCrc(bytes.substr(0, 8))) break;
    if (size > bytes.size() - kHeader - kFooter) break;
    const std::string_view message = bytes.substr(kHeader, size);
    if (ReadRaw<uint32_t>(bytes, kHeader + size) != MaskedCrc(message)) break;
    const size_t frame_size = kHeader + size + kFooter;
    records.push_back(
        {.frame = bytes.substr(0, frame_size), .message = message, .step = StepOf(message)});
    bytes.remove_prefix(frame_size);
  }
  return records;
}

std::vector<fs::path> FindEventFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("events.out.tfevents.") && !name.ends_with(".tmp"))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

int64_t CutEventsBack(const fs::path& folder, int64_t step) {
  int64_t dropped = 0;
  for (const fs::path& file : FindEventFiles(folder)) {
    const std::string bytes = core::ReadTextFile(file);
    std::string kept;
    for (const EventRecord& record : ParseRecords(bytes)) {
      if (record.step <= step) {
        kept += record.frame;
      } else {
        ++dropped;
      }
    }
    if (kept.size() != bytes.size()) core::WriteFileAtomic(file, kept);
  }
  return dropped;
}

}  // namespace pawl::track
