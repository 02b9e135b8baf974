// Any bytes as a safetensors file: either arrays or a pawl::Error of one line. The views of it lie
// inside it one after the other and are what the copying reader copies; what was read writes to
// bytes that read back to the same, at once and as a stream. Now and then the file is mapped from
// the disk. The first byte says whether the rest is a whole file or
// header text, '\n', data: a random header size is hardly ever right, and the checks behind it
// would go untested.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/safetensors_file.h"

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

// The arrays cover the data exactly; every byte is touched, so that a view past the end is found.
void CheckViews(std::span<const std::byte> bytes, const SafetensorsView& view,
                const ArrayMap& arrays) {
  Require(view.arrays.size() == arrays.arrays().size() && view.metadata == arrays.metadata());
  size_t data_bytes = 0;
  for (const ArrayView& array : view.arrays) {
    const NamedArray& copy = arrays.At(array.name);
    Require(view.Find(array.name) == &array);
    Require(copy.dtype == array.dtype && copy.shape == array.shape);
    Require(std::equal(array.data.begin(), array.data.end(), copy.data.begin(), copy.data.end()));
    Require(array.data.data() >= bytes.data() &&
            array.data.data() + array.data.size() <= bytes.data() + bytes.size());
    data_bytes += array.data.size();
  }
  const std::byte* begin = view.arrays.empty() ? nullptr : view.arrays.front().data.data();
  Require(begin == nullptr || begin + data_bytes == bytes.data() + bytes.size());
}

// Through the file system, which is slow: one file in 64.
void MapAndStream(std::span<const std::byte> bytes, const ArrayMap& arrays) {
  static unsigned count = 0;
  if (++count % 64 != 0) return;
  const auto folder = std::filesystem::temp_directory_path();
  const auto path = folder / ("pawl_fuzz_" + std::to_string(::getpid()));
  WriteFileSynced(path, bytes);
  const MappedSafetensors mapped(path);
  std::vector<ArrayInfo> infos(mapped.arrays().begin(), mapped.arrays().end());
  const auto streamed = path.string() + ".streamed";
  SafetensorsWriter writer(streamed, infos, mapped.metadata());
  for (const ArrayInfo& info : writer.arrays()) writer.Write(mapped.Find(info.name)->data);
  writer.Commit();
  Require(ReadBinaryFile(streamed) == ToSafetensors(arrays));
  std::filesystem::remove(path);
  std::filesystem::remove(streamed);
}

void ReadAndWrite(std::span<const std::byte> bytes) {
  try {
    const ArrayMap arrays = FromSafetensors(bytes, "fuzz");
    CheckViews(bytes, ViewSafetensors(bytes, "fuzz"), arrays);
    MapAndStream(bytes, arrays);
    const auto written = ToSafetensors(arrays);
    const ArrayMap again = FromSafetensors(written, "again");
    Require(again.arrays().size() == arrays.arrays().size() && ToSafetensors(again) == written);
    for (const NamedArray& array : arrays.arrays())
      Require(std::ranges::equal(again.At(array.name).data, array.data));
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
