// Any bytes as a safetensors file: either arrays or a pawl::Error of one line. What was read writes
// to bytes that read back to the same. The first byte says whether the rest is a whole file or
// header text, '\n', data: a random header size is hardly ever right, and the checks behind it
// would go untested.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/safetensors.h"

namespace {
using namespace pawl::core;

void Require(bool condition) {
  if (!condition) std::abort();
}

std::vector<std::byte> Frame(std::span<const std::byte> bytes) {
  const auto* newline = bytes.empty() ? nullptr : std::memchr(bytes.data(), '\n', bytes.size());
  const size_t header_bytes =
      newline == nullptr ? bytes.size() : static_cast<const std::byte*>(newline) - bytes.data();
  const auto data = bytes.subspan(newline == nullptr ? header_bytes : header_bytes + 1);
  std::vector<std::byte> file(8);
  const uint64_t size = header_bytes;
  std::memcpy(file.data(), &size, 8);
  file.insert(file.end(), bytes.begin(), bytes.begin() + header_bytes);
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

void ReadAndWrite(std::span<const std::byte> bytes) {
  try {
    const ArrayMap arrays = FromSafetensors(bytes, "fuzz");
    const auto written = ToSafetensors(arrays);
    const ArrayMap again = FromSafetensors(written, "again");
    Require(again.arrays().size() == arrays.arrays().size() && ToSafetensors(again) == written);
    for (const NamedArray& array : arrays.arrays())
      Require(again.At(array.name).data == array.data);
  } catch (const pawl::Error& error) {
    const std::string_view line = error.what();
    Require(line.find('\n') == line.npos && line.starts_with("fuzz: "));
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  if (data[0] % 2 == 0) {
    ReadAndWrite(bytes);
  } else {
    ReadAndWrite(Frame(bytes));
  }
  return 0;
}
