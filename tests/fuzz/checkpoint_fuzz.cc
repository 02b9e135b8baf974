// Any bytes as a checkpoint's index, or as the two files of a policy: either it reads, or a
// pawl::Error of one line. The first byte chooses; for a policy a '\\0' byte parts description and
// weights.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "nn/policy_file.h"

namespace {
using pawl::nn::CheckpointFiles;

void OneLine(const pawl::Error& error) {
  if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
}

void ReadPolicy(std::span<const std::byte> bytes) {
  const auto split = std::find(bytes.begin(), bytes.end(), std::byte{0});
  const auto policy = pawl::nn::ParsePolicy(
      {bytes.begin(), split}, {split == bytes.end() ? split : split + 1, bytes.end()}, "fuzz");
  CheckpointFiles again;
  pawl::nn::AddPolicyFiles(policy, again);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  try {
    if (data[0] % 2 == 0) {
      pawl::nn::ParseCheckpointIndex({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                     "fuzz");
    } else {
      ReadPolicy(bytes);
    }
  } catch (const pawl::Error& error) {
    OneLine(error);
  }
  return 0;
}
