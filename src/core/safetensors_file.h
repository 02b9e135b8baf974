// Safetensors files that are too large to hold twice: a reader that maps the file, and a writer
// that takes the data piece by piece. Header rules are those of core/safetensors.h. A reader may be
// shared by threads; a writer belongs to one.
#pragma once
#include <filesystem>

#include "core/file.h"
#include "core/safetensors.h"

namespace pawl::core {

// Opens and checks the whole header at once; the data is read when it is touched (MappedFile says
// what happens when another process cuts the file short meanwhile). Errors name file and array.
class MappedSafetensors {
 public:
  explicit MappedSafetensors(const std::filesystem::path& path)
      : file_(path), view_(ViewSafetensors(file_.bytes(), path.string())) {}
  // Views into the mapping: valid while this lives.
  const std::vector<ArrayView>& arrays() const { return view_.arrays; }
  const ArrayView* Find(std::string_view name) const { return view_.Find(name); }
  const std::map<std::string, std::string>& metadata() const { return view_.metadata; }

 private:
  MappedFile file_;
  SafetensorsView view_;
};

// Writes the header at once, then takes the data of arrays() in their order, cut anywhere. The file
// has its name only after Commit, which throws unless every byte was given.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::vector<ArrayInfo> arrays,
                    const std::map<std::string, std::string>& metadata);
  const std::vector<ArrayInfo>& arrays() const { return arrays_; }  // in the order of the file
  void Write(std::span<const std::byte> bytes);
  void Commit();

 private:
  AtomicFile file_;
  std::vector<ArrayInfo> arrays_;
  uint64_t missing_bytes_ = 0;
};

}  // namespace pawl::core
