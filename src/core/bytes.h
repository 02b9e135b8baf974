// Flat byte streams for saved state (environments, RNG streams, counters). Little-endian host
// layout; a reader throws pawl::Error when it would run past the end, never reads outside. One
// thread each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace pawl::core {

class ByteWriter {
 public:
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void Put(const T& value) { PutBytes(&value, sizeof(T)); }
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void PutSpan(std::span<const T> values) {
    Put<uint64_t>(values.size());
    PutBytes(values.data(), values.size_bytes());
  }
  void PutBytes(const void* data, size_t size) {
    const size_t old_size = bytes_.size();
    bytes_.resize(old_size + size);
    if (size > 0) std::memcpy(bytes_.data() + old_size, data, size);
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> Take() { return std::move(bytes_); }
  void Clear() { bytes_.clear(); }

 private:
  std::vector<std::byte> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  requires std::is_trivially_copyable_v<T> T Get() {
    T value;
    GetBytes(&value, sizeof(T));
    return value;
  }
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void Get(T& value) { GetBytes(&value, sizeof(T)); }
  // The stored count must equal values.size().
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void GetSpan(std::span<T> values) {
    const auto count = Get<uint64_t>();
    PAWL_CHECK_EQ(count, values.size(), "saved state does not fit: element count");
    GetBytes(values.data(), values.size_bytes());
  }
  template <class T>
  requires std::is_trivially_copyable_v<T> std::vector<T> GetVector() {
    const auto count = Get<uint64_t>();
    PAWL_CHECK_LE(count, bytes_.size() / sizeof(T), "saved state is cut short");
    std::vector<T> values(count);
    GetBytes(values.data(), count * sizeof(T));
    return values;
  }
  void GetBytes(void* out, size_t size) {
    PAWL_CHECK_LE(size, bytes_.size(), "saved state is cut short");
    if (size > 0) std::memcpy(out, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
  }
  size_t remaining() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace pawl::core
