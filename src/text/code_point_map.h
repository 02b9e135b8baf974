// Code points to ids, in pages that exist only where there are some.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace pawl::text {

class CodePointMap {
 public:
  CodePointMap() : pages_(1) { pages_[0].fill(-1); }
  void Set(char32_t code_point, int32_t id) {
    uint16_t& page = page_of_[code_point >> 8];
    if (page == 0) {
      page = static_cast<uint16_t>(pages_.size());
      pages_.emplace_back().fill(-1);
    }
    pages_[page][code_point & 0xFF] = id;
  }
  // -1 where none is set. `code_point` <= 0x10FFFF.
  int32_t Find(char32_t code_point) const {
    return pages_[page_of_[code_point >> 8]][code_point & 0xFF];
  }

 private:
  std::array<uint16_t, 0x1100> page_of_{};
  std::vector<std::array<int32_t, 256>> pages_;  // the first has no ids
};

}  // namespace pawl::text
