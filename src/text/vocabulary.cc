#include "text/vocabulary.h"

#include <bit>

#include "core/error.h"
#include "text/bytes_hash.h"

namespace pawl::text {

Vocabulary::Vocabulary(const std::vector<Entry>& entries, const std::string& source) {
  size_t bytes = 0;
  int64_t end = 0;
  for (const auto& [token, id] : entries) {
    if (id < 0 || id > kMaxId) {
      throw UserError({.what = fmt::format("the token '{}' has the id {}", token, id),
                       .where = source,
                       .expected = fmt::format("ids from 0 to {}", kMaxId)});
    }
    bytes += token.size();
    end = std::max(end, id + 1);
  }
  PAWL_CHECK(bytes < kNone, "a vocabulary of {} bytes", bytes);
  text_.reserve(bytes);
  places_.resize(static_cast<size_t>(end));
  slots_.resize(std::bit_ceil(2 * entries.size() + 1));
  const size_t mask = slots_.size() - 1;
  for (const auto& [token, id] : entries) {
    Place& place = places_[static_cast<size_t>(id)];
    if (place.begin != kNone) {
      throw UserError(
          {.what = fmt::format("the tokens '{}' and '{}' have the id {}", Token(id), token, id),
           .where = source,
           .expected = "a different id for each token"});
    }
    place = {static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(token.size())};
    text_ += token;
    const auto hash = static_cast<uint32_t>(HashBytes(token));
    size_t at = hash & mask;
    for (; slots_[at].id >= 0; at = (at + 1) & mask) {
      if (slots_[at].hash == hash && Token(slots_[at].id) == token) {
        throw UserError(
            {.what = fmt::format("the token '{}' has the ids {} and {}", token, slots_[at].id, id),
             .where = source,
             .expected = "each token once"});
      }
    }
    slots_[at] = {hash, static_cast<int32_t>(id)};
    ++size_;
  }
}

int32_t Vocabulary::Find(std::string_view token) const {
  if (slots_.empty()) return -1;
  const size_t mask = slots_.size() - 1;
  const auto hash = static_cast<uint32_t>(HashBytes(token));
  for (size_t at = hash & mask; slots_[at].id >= 0; at = (at + 1) & mask) {
    if (slots_[at].hash == hash && Token(slots_[at].id) == token) return slots_[at].id;
  }
  return -1;
}

}  // namespace pawl::text
