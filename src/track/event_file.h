// TensorBoard's event files: a sequence of TFRecords (length, masked CRC-32C of the length, bytes,
// masked CRC-32C of the bytes), each an Event message in protobuf wire format. Only what scalars
// need is encoded, by hand. Pure functions.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pawl::track {

struct Scalar {
  std::string tag;
  float value = 0;
};

// Event{wall_time, file_version: "brain.Event:2"}: the first record of a file.
std::string EncodeFileVersion(double wall_time_s);
// Event{wall_time, step, summary{value{tag, simple_value}...}}.
std::string EncodeScalars(double wall_time_s, int64_t step, std::span<const Scalar> scalars);
// One TFRecord around a message.
std::string FrameRecord(std::string_view message);

// One record of a file: the bytes with its frame, and the step of its event (0 where it has none).
struct EventRecord {
  std::string_view frame;
  std::string_view message;
  int64_t step = 0;
};
// The records of a file up to the first one that is cut short or damaged. They point into `bytes`.
std::vector<EventRecord> ParseRecords(std::string_view bytes);

// The event files of a folder (events.out.tfevents.*), by name. Empty where there is no such
// folder.
std::vector<std::filesystem::path> FindEventFiles(const std::filesystem::path& folder);
// Drops from every event file of the folder the events after `step` and whatever is damaged at the
// end; a file that changes is replaced atomically. Returns how many events were dropped.
int64_t CutEventsBack(const std::filesystem::path& folder, int64_t step);

}  // namespace pawl::track
