// The tokens of a model and their ids, both ways. Ids may leave gaps. Immutable; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pawl::text {

class Vocabulary {
 public:
  using Entry = std::pair<std::string, int64_t>;  // token, id
  static constexpr int64_t kMaxId = 50'000'000;

  Vocabulary() = default;
  // Throws UserError naming `source` where a token or an id occurs twice or an id is out of
  // 0 .. kMaxId.
  Vocabulary(const std::vector<Entry>& entries, const std::string& source);

  int64_t size() const { return size_; }  // tokens
  // One more than the largest id.
  int64_t end_id() const { return static_cast<int64_t>(places_.size()); }
  // The id of a token; -1 where there is none.
  int32_t Find(std::string_view token) const;
  bool Has(int64_t id) const {
    return id >= 0 && id < end_id() && places_[static_cast<size_t>(id)].begin != kNone;
  }
  // The token of an id; empty where there is none.
  std::string_view Token(int64_t id) const {
    if (!Has(id)) return {};
    const Place place = places_[static_cast<size_t>(id)];
    return std::string_view(text_).substr(place.begin, place.size);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Place {
    uint32_t begin = kNone, size = 0;
  };
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;
  };
  std::string text_;           // all tokens, one after the other
  std::vector<Place> places_;  // [end_id]
  std::vector<Slot> slots_;    // open addressing, a power of two
  int64_t size_ = 0;
};

}  // namespace pawl::text
