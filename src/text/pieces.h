// A text cut into pieces: what the pre-tokenizers make of it, step by step, before each piece
// becomes tokens. Where offsets are wanted, each byte carries the stretch of the original text
// behind it. Memory is used again from text to text; one thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::text {

// Bytes of the original text.
struct Origin {
  uint32_t begin = 0, end = 0;
};

class Pieces {
 public:
  struct Piece {
    uint32_t begin = 0, end = 0;  // bytes of text()
  };
  // One piece, the whole text, which must outlive this. `origins`: of each byte, or nullptr where
  // nobody asks; `starts_original`: whether the text stands at the beginning of the original one.
  void Reset(std::string_view text, const Origin* origins, bool starts_original);

  std::string_view text() const { return text_; }
  std::string_view Text(Piece piece) const {
    return text_.substr(piece.begin, piece.end - piece.begin);
  }
  const std::vector<Piece>& list() const { return list_; }
  bool aligned() const { return origins_ != nullptr; }
  const Origin* origins() const { return origins_; }
  // Whether a piece stands at the beginning of the original text.
  bool StartsOriginal(Piece piece) const {
    return aligned() ? origins_[piece.begin].begin == 0 : starts_original_ && piece.begin == 0;
  }

  // Cutting: `cut(piece, add)` calls add(begin, end) with the bytes of the parts to keep; empty
  // ones are left out.
  template <class Cut>
  void CutEach(Cut&& cut);
  // Rewriting: `write(piece)` calls Keep and Put for each piece, which make its new text.
  template <class Write>
  void RewriteEach(Write&& write);
  void Keep(size_t begin, size_t end);         // bytes of the old text
  void Put(std::string_view text, size_t at);  // new text that stands for byte `at` of the old one

 private:
  std::string_view text_;
  const Origin* origins_ = nullptr;
  bool starts_original_ = false;
  std::vector<Piece> list_, new_list_;
  // the text and its origins where a step made new ones, and those being made
  std::string own_text_, new_text_;
  std::vector<Origin> own_origins_, new_origins_;
};

template <class Cut>
void Pieces::CutEach(Cut&& cut) {
  new_list_.clear();
  const auto add = [this](size_t begin, size_t end) {
    if (begin < end)
      new_list_.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
  };
  for (const Piece piece : list_) cut(piece, add);
  list_.swap(new_list_);
}

template <class Write>
void Pieces::RewriteEach(Write&& write) {
  new_text_.clear();
  new_origins_.clear();
  new_list_.clear();
  for (const Piece piece : list_) {
    const auto begin = static_cast<uint32_t>(new_text_.size());
    write(piece);
    new_list_.push_back({begin, static_cast<uint32_t>(new_text_.size())});
  }
  list_.swap(new_list_);
  own_text_.swap(new_text_);
  own_origins_.swap(new_origins_);
  text_ = own_text_;
  if (origins_ != nullptr) origins_ = own_origins_.data();
}

}  // namespace pawl::text
