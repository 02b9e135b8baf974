// Named arrays in memory and on disk. ArrayMap is the plain-data form in which learners,
// normalisers and policies save themselves; the file format is safetensors (8-byte little-endian
// header size, JSON header, raw data), readable by the Python package. The reader trusts nothing:
// every size and offset is checked; it throws pawl::Error naming the file.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace pawl::core {

enum class DType : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };
size_t SizeBytes(DType dtype);
const char* Name(DType dtype);  // "F32", ...

template <class T>
constexpr DType DTypeOf() {
  if constexpr (std::is_same_v<T, double>)
    return DType::kF64;
  else if constexpr (std::is_same_v<T, float>)
    return DType::kF32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::kI64;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::kI32;
  else if constexpr (std::is_same_v<T, int8_t>)
    return DType::kI8;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DType::kU8;
  else
    static_assert(sizeof(T) == 0, "no safetensors dtype for this type");
}

struct NamedArray {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
  std::shared_ptr<const std::vector<std::byte>> owned;  // what `data` views; null: not ours
};

class ArrayMap {
 public:
  // Adds an array; the name must be new; shape's product must equal values.size() (an empty shape
  // is a scalar).
  template <class T>
  void Put(std::string name, std::span<const T> values, std::vector<int64_t> shape) {
    PutRaw(std::move(name), DTypeOf<T>(), std::as_bytes(values), std::move(shape));
  }
  template <class T>
  void PutScalar(std::string name, T value) {
    Put<T>(std::move(name), std::span<const T>(&value, 1), {});
  }
  void PutRaw(std::string name, DType dtype, std::span<const std::byte> data,
              std::vector<int64_t> shape);
  // Without a copy: `values` must stay as they are while the map is in use.
  template <class T>
  void PutView(std::string name, std::span<const T> values, std::vector<int64_t> shape) {
    PutRawView(std::move(name), DTypeOf<T>(), std::as_bytes(values), std::move(shape));
  }
  void PutRawView(std::string name, DType dtype, std::span<const std::byte> data,
                  std::vector<int64_t> shape);
  void PutBytes(std::string name, std::span<const std::byte> data) {
    PutRaw(std::move(name), DType::kU8, data, {static_cast<int64_t>(data.size())});
  }

  const NamedArray* Find(std::string_view name) const;  // nullptr when absent
  const NamedArray& At(std::string_view name) const;    // throws, with the nearest name
  // The values of an array; dtype must match.
  template <class T>
  std::span<const T> Get(std::string_view name) const {
    const NamedArray& array = At(name);
    PAWL_CHECK(array.dtype == DTypeOf<T>(), "array '{}' has dtype {}", array.name,
               pawl::core::Name(array.dtype));
    return {reinterpret_cast<const T*>(array.data.data()), array.data.size() / sizeof(T)};
  }
  template <class T>
  T GetScalar(std::string_view name) const {
    auto values = Get<T>(name);
    PAWL_CHECK_EQ(values.size(), 1u, "array '{}' is not a scalar", name);
    return values[0];
  }
  // Copies into `out`; the element count must match.
  template <class T>
  void CopyTo(std::string_view name, std::span<T> out) const {
    auto values = Get<T>(name);
    PAWL_CHECK_EQ(values.size(), out.size(), "array '{}' has another size", name);
    std::copy(values.begin(), values.end(), out.begin());
  }
  std::span<const std::byte> GetBytes(std::string_view name) const { return At(name).data; }
  const std::vector<NamedArray>& arrays() const { return arrays_; }
  std::map<std::string, std::string>& metadata() { return metadata_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::vector<NamedArray> arrays_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

// What a file's header says of one array.
struct ArrayInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
};
// An array where it lies in the file's bytes: at any address, so it is to be copied, not cast.
struct ArrayView : ArrayInfo {
  std::span<const std::byte> data;
};
// A whole file, checked, without a copy of its data.
struct SafetensorsView {
  std::vector<ArrayView> arrays;  // as they lie
  std::map<std::string, std::string> metadata;
  const ArrayView* Find(std::string_view name) const;  // nullptr when absent
};

// The first bytes of a file, padded so that data starts at an offset divisible by 8; sorts `arrays`
// into the order in which their data follows. Names must differ.
std::string SafetensorsHeader(std::vector<ArrayInfo>& arrays,
                              const std::map<std::string, std::string>& metadata);
// Throws pawl::Error("<source>: ...") for anything malformed: headers that are not this schema,
// arrays that overlap, leave a gap, overflow or reach past the end.
SafetensorsView ViewSafetensors(std::span<const std::byte> bytes, const std::string& source);

// Bytes of a safetensors file: header keys sorted by name; data from an offset divisible by 8, wide
// elements first, so that every array is aligned to its element; no clock or host in it.
std::vector<std::byte> ToSafetensors(const ArrayMap& arrays);
// The same file as pieces that follow each other, its data where it lies in the map.
struct SafetensorsPieces {
  std::string header;
  std::vector<std::span<const std::byte>> data;
  size_t size_bytes() const;
};
SafetensorsPieces ToSafetensorsPieces(const ArrayMap& arrays);
// Copies of what ViewSafetensors finds.
ArrayMap FromSafetensors(std::span<const std::byte> bytes, const std::string& source);
// Views of it: `bytes` must outlive the map. Arrays that are not aligned to their element are
// copied.
ArrayMap BorrowSafetensors(std::span<const std::byte> bytes, const std::string& source);
ArrayMap ReadSafetensors(const std::string& path);

}  // namespace pawl::core
