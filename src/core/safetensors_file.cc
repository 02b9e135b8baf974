#include "core/safetensors_file.h"

namespace pawl::core {

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::vector<ArrayInfo> arrays,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path), arrays_(std::move(arrays)) {
  file_.Write(std::as_bytes(std::span<const char>(SafetensorsHeader(arrays_, metadata))));
  for (const ArrayInfo& array : arrays_) {
    uint64_t size = SizeBytes(array.dtype);
    for (const int64_t dimension : array.shape) size *= static_cast<uint64_t>(dimension);
    missing_bytes_ += size;
  }
}

void SafetensorsWriter::Write(std::span<const std::byte> bytes) {
  PAWL_CHECK_LE(bytes.size(), missing_bytes_, "more data than the header announced");
  file_.Write(bytes);
  missing_bytes_ -= bytes.size();
}

void SafetensorsWriter::Commit() {
  PAWL_CHECK_EQ(missing_bytes_, 0u, "less data than the header announced");
  file_.Commit();
}

}  // namespace pawl::core
