#include "text/pieces.h"

namespace pawl::text {

void Pieces::Reset(std::string_view text, const Origin* origins, bool starts_original) {
  text_ = text;
  origins_ = origins;
  starts_original_ = starts_original;
  list_.clear();
  if (!text.empty()) list_.push_back({0, static_cast<uint32_t>(text.size())});
}

void Pieces::Keep(size_t begin, size_t end) {
  new_text_ += text_.substr(begin, end - begin);
  if (aligned()) new_origins_.insert(new_origins_.end(), origins_ + begin, origins_ + end);
}

void Pieces::Put(std::string_view text, size_t at) {
  new_text_ += text;
  if (aligned()) new_origins_.insert(new_origins_.end(), text.size(), origins_[at]);
}

}  // namespace pawl::text
