#include "core/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/file.h"

namespace pawl::core {
namespace {
constexpr size_t kMaxHeaderBytes = 100'000'000;  // the Python package's limit
constexpr std::pair<const char*, size_t> kDTypes[] = {
    {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
    {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1},
};

// Bytes of an array, or nothing when a dimension is negative or the product overflows.
std::optional<uint64_t> CheckedSizeBytes(DType dtype, std::span<const int64_t> shape) {
  uint64_t size = SizeBytes(dtype);
  for (const int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(size, static_cast<uint64_t>(dimension), &size))
      return std::nullopt;
  }
  return size;
}

// One array as the header describes it; offsets count from the end of the header.
struct HeaderEntry {
  std::string name;
  std::optional<DType> dtype;
  struct List {
    bool present = false;
    std::vector<int64_t> values;
  };
  List shape;
  List offsets;  // begin, end
  int64_t begin() const { return offsets.values[0]; }
  int64_t end() const { return offsets.values[1]; }
};

// Consumes the header's JSON events. The schema has three levels, so depth is bounded whatever the
// file holds:
//   { "<name>": { "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24] }, "__metadata__": {
//   "key": "text" } }
class HeaderSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<HeaderEntry> entries;
  std::map<std::string, std::string> metadata;
  std::string problem;  // set when parsing stopped

  bool null() override { return Reject("null"); }
  bool boolean(bool) override { return Reject("a boolean"); }
  bool number_float(double, const std::string&) override { return Reject("a fraction"); }
  bool binary(binary_t&) override { return Reject("binary data"); }
  bool number_integer(int64_t) override { return Reject("a negative number"); }
  bool number_unsigned(uint64_t value) override {
    if (numbers_ == nullptr) return Reject("a number");
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return Reject("a number above 2^63");
    numbers_->push_back(static_cast<int64_t>(value));
    return true;
  }
  bool string(std::string& value) override {
    if (depth_ != 2 || numbers_ != nullptr) return Reject("a text");
    if (in_metadata_) {
      if (!metadata.emplace(field_, value).second)
        return Stop("metadata key '" + field_ + "' appears twice");
      return true;
    }
    HeaderEntry& entry = entries.back();
    if (field_ != "dtype") return Reject("a text");
    if (entry.dtype) return Twice();
    for (size_t i = 0; i < std::size(kDTypes); ++i) {
      if (value == kDTypes[i].first) entry.dtype = static_cast<DType>(i);
    }
    return entry.dtype ? true
                       : Stop("array '" + entry.name + "' has the unsupported dtype '" +
                              value.substr(0, 40) + "'");
  }
  bool start_object(std::size_t) override {
    if (depth_ >= 2 || numbers_ != nullptr) return Reject("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 1) in_metadata_ = false;
    return true;
  }
  bool key(std::string& value) override {
    field_ = value;
    if (depth_ != 1) return true;
    if (value == "__metadata__") {
      in_metadata_ = true;
    } else {
      entries.push_back({.name = value});
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || numbers_ != nullptr) return Reject("a list");
    auto& list = field_ == "shape" ? entries.back().shape : entries.back().offsets;
    if (field_ != "shape" && field_ != "data_offsets") return Reject("a list");
    if (list.present) return Twice();
    list.present = true;
    numbers_ = &list.values;
    return true;
  }
  bool end_array() override {
    numbers_ = nullptr;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Stop("the header is not JSON at byte " + std::to_string(position));
  }

 private:
  bool Stop(std::string what) {
    problem = std::move(what);
    return false;
  }
  bool Reject(const char* what) {
    return Stop(std::string("the header has ") + what + " where none may be");
  }
  bool Twice() {
    return Stop("array '" + entries.back().name + "' has two fields '" + field_ + "'");
  }

  int depth_ = 0;  // open objects
  bool in_metadata_ = false;
  std::string field_;                        // last key
  std::vector<int64_t>* numbers_ = nullptr;  // the open list
};

[[noreturn]] void Damaged(const std::string& source, const std::string& problem) {
  std::string line = problem;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';  // names come from the file
  }
  throw Error(source + ": not a whole safetensors file: " + line);
}

// Checks one entry on its own.
void CheckEntry(const HeaderEntry& entry, const std::string& source) {
  const std::string array = "array '" + entry.name.substr(0, 100) + "' ";
  if (!entry.dtype || !entry.shape.present || entry.offsets.values.size() != 2) {
    Damaged(source, array + "lacks dtype, shape or a pair of data_offsets");
  }
  const auto size = CheckedSizeBytes(*entry.dtype, entry.shape.values);
  if (!size || entry.begin() > entry.end() ||
      static_cast<uint64_t>(entry.end() - entry.begin()) != *size) {
    Damaged(source, array + fmt::format("has a shape that does not fill its bytes {} to {}",
                                        entry.begin(), entry.end()));
  }
}

// The data must be covered exactly: no gap, no overlap, nothing left over.
void CheckCover(std::vector<HeaderEntry>& entries, size_t data_bytes, const std::string& source) {
  std::stable_sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin(), a.end()) < std::pair(b.begin(), b.end());
  });
  int64_t position = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin() != position) {
      Damaged(source,
              fmt::format("array '{}' starts at byte {} of the data, the one before ends at {}",
                          entry.name.substr(0, 100), entry.begin(), position));
    }
    position = entry.end();
  }
  if (static_cast<uint64_t>(position) != data_bytes) {
    Damaged(source, fmt::format("the arrays take {} bytes, the file has {}", position, data_bytes));
  }
}
}  // namespace

size_t SizeBytes(DType dtype) { return kDTypes[static_cast<size_t>(dtype)].second; }
const char* Name(DType dtype) { return kDTypes[static_cast<size_t>(dtype)].first; }

void ArrayMap::PutRaw(std::string name, DType dtype, std::span<const std::byte> data,
                      std::vector<int64_t> shape) {
  auto copy = std::make_shared<const std::vector<std::byte>>(data.begin(), data.end());
  PutRawView(std::move(name), dtype, *copy, std::move(shape));
  arrays_.back().owned = std::move(copy);
}

void ArrayMap::PutRawView(std::string name, DType dtype, std::span<const std::byte> data,
                          std::vector<int64_t> shape) {
  const auto size = CheckedSizeBytes(dtype, shape);
  PAWL_CHECK(size && *size == data.size(), "array '{}': shape [{}] of {} does not make {} bytes",
             name, fmt::join(shape, ", "), pawl::core::Name(dtype), data.size());
  PAWL_CHECK(name != "__metadata__", "this name is reserved");
  PAWL_CHECK(index_.try_emplace(name, arrays_.size()).second, "array '{}' exists already", name);
  arrays_.push_back({std::move(name), dtype, std::move(shape), data, nullptr});
}

const NamedArray* ArrayMap::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &arrays_[found->second];
}

const NamedArray& ArrayMap::At(std::string_view name) const {
  if (const NamedArray* array = Find(name)) return *array;
  std::vector<std::string> names;
  for (const auto& [known, unused] : index_) names.push_back(known);
  const std::string nearest = NearestName(name, names);
  throw RunError({.what = fmt::format("no array named '{}' among {}", name, names.size()),
                  .hint = nearest.empty() ? "" : fmt::format("there is '{}'", nearest)});
}

std::string SafetensorsHeader(std::vector<ArrayInfo>& arrays,
                              const std::map<std::string, std::string>& metadata) {
  // wide elements first, so that every array is aligned to its element; then by name
  std::sort(arrays.begin(), arrays.end(), [](const ArrayInfo& a, const ArrayInfo& b) {
    return std::pair(-static_cast<int>(SizeBytes(a.dtype)), std::string_view(a.name)) <
           std::pair(-static_cast<int>(SizeBytes(b.dtype)), std::string_view(b.name));
  });
  nlohmann::json header = nlohmann::json::object();  // sorts its keys
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t begin = 0;
  for (const ArrayInfo& array : arrays) {
    const auto size = CheckedSizeBytes(array.dtype, array.shape);
    PAWL_CHECK(size, "array '{}': no size of shape [{}]", array.name, fmt::join(array.shape, ", "));
    PAWL_CHECK(!header.contains(array.name), "array '{}' exists already", array.name);
    header[array.name] = {{"dtype", Name(array.dtype)},
                          {"shape", array.shape},
                          {"data_offsets", {begin, begin + *size}}};
    begin += *size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t header_bytes = text.size();  // the host is little-endian
  return std::string(reinterpret_cast<const char*>(&header_bytes), 8) + text;
}

size_t SafetensorsPieces::size_bytes() const {
  size_t size = header.size();
  for (const auto& piece : data) size += piece.size();
  return size;
}

SafetensorsPieces ToSafetensorsPieces(const ArrayMap& arrays) {
  std::vector<ArrayInfo> infos;
  for (const NamedArray& array : arrays.arrays())
    infos.push_back({array.name, array.dtype, array.shape});
  SafetensorsPieces pieces;
  pieces.header = SafetensorsHeader(infos, arrays.metadata());
  for (const ArrayInfo& info : infos) pieces.data.push_back(arrays.At(info.name).data);
  return pieces;
}

std::vector<std::byte> ToSafetensors(const ArrayMap& arrays) {
  const SafetensorsPieces pieces = ToSafetensorsPieces(arrays);
  std::vector<std::byte> bytes(pieces.size_bytes());
  std::memcpy(bytes.data(), pieces.header.data(), pieces.header.size());
  std::byte* out = bytes.data() + pieces.header.size();
  for (const auto& piece : pieces.data) out = std::copy(piece.begin(), piece.end(), out);
  return bytes;
}

const ArrayView* SafetensorsView::Find(std::string_view name) const {
  const auto found = std::find_if(arrays.begin(), arrays.end(),
                                  [&](const ArrayView& array) { return array.name == name; });
  return found == arrays.end() ? nullptr : &*found;
}

SafetensorsView ViewSafetensors(std::span<const std::byte> bytes, const std::string& source) {
  if (bytes.size() < 8)
    Damaged(source, fmt::format("{} bytes, shorter than a header", bytes.size()));
  uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), 8);
  bytes = bytes.subspan(8);
  if (header_bytes > bytes.size() || header_bytes > kMaxHeaderBytes) {
    Damaged(source,
            fmt::format("the header claims {} bytes, the file has {}", header_bytes, bytes.size()));
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  bytes = bytes.subspan(header_bytes);
  if (header_bytes == 0 || text[0] != '{') Damaged(source, "the header does not start with '{'");

  HeaderSax header;
  if (!nlohmann::json::sax_parse(text, text + header_bytes, &header))
    Damaged(source, header.problem);
  for (const HeaderEntry& entry : header.entries) CheckEntry(entry, source);
  CheckCover(header.entries, bytes.size(), source);

  SafetensorsView view;
  view.metadata = std::move(header.metadata);
  std::set<std::string_view> names;
  for (const HeaderEntry& entry : header.entries) {
    if (!names.insert(entry.name).second)
      Damaged(source, "two arrays are named '" + entry.name.substr(0, 100) + "'");
  }
  for (HeaderEntry& entry : header.entries) {
    const auto begin = static_cast<size_t>(entry.begin());
    ArrayView array;
    array.data = bytes.subspan(begin, static_cast<size_t>(entry.end()) - begin);
    array.name = std::move(entry.name);
    array.dtype = *entry.dtype;
    array.shape = std::move(entry.shape.values);
    view.arrays.push_back(std::move(array));
  }
  return view;
}

namespace {
// borrow: views where an array is aligned to its element, else copies.
ArrayMap ToArrayMap(SafetensorsView view, bool borrow) {
  ArrayMap arrays;
  arrays.metadata() = std::move(view.metadata);
  for (ArrayView& array : view.arrays) {
    const bool aligned =
        reinterpret_cast<uintptr_t>(array.data.data()) % SizeBytes(array.dtype) == 0;
    const auto put = borrow && aligned ? &ArrayMap::PutRawView : &ArrayMap::PutRaw;
    (arrays.*put)(std::move(array.name), array.dtype, array.data, std::move(array.shape));
  }
  return arrays;
}
}  // namespace

ArrayMap BorrowSafetensors(std::span<const std::byte> bytes, const std::string& source) {
  return ToArrayMap(ViewSafetensors(bytes, source), /*borrow=*/true);
}

ArrayMap FromSafetensors(std::span<const std::byte> bytes, const std::string& source) {
  return ToArrayMap(ViewSafetensors(bytes, source), /*borrow=*/false);
}

ArrayMap ReadSafetensors(const std::string& path) {
  return FromSafetensors(ReadBinaryFile(path), path);
}

}  // namespace pawl::core
