#include "text/sentencepiece.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;
constexpr const char* kMark = "\xE2\x96\x81";  // U+2581, a space

// The fields of one message, read in order.
class Message {
 public:
  Message(std::string_view bytes, const std::string& source) : rest_(bytes), source_(source) {}
  // False at the end. Then number() is the field's number and one of the others its value.
  bool Next() {
    if (rest_.empty()) return false;
    const uint64_t tag = Varint();
    number_ = tag >> 3;
    switch (tag & 7) {
      case 0:
        value_ = Varint();
        break;
      case 1:
        bytes_ = Take(8);
        break;
      case 2:
        bytes_ = Take(Varint());
        break;
      case 5:
        bytes_ = Take(4);
        break;
      default:
        Refuse("a field of an unknown kind");
    }
    return true;
  }
  uint64_t number() const { return number_; }
  uint64_t value() const { return value_; }
  std::string_view bytes() const { return bytes_; }
  float real() const {
    if (bytes_.size() != 4) Refuse("a number that is no float");
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; ++i) bits |= uint32_t{static_cast<uint8_t>(bytes_[i])} << 8 * i;
    return std::bit_cast<float>(bits);
  }
  [[noreturn]] void Refuse(const std::string& what) const {
    throw UserError({.what = what, .where = source_, .expected = "a SentencePiece model"});
  }

 private:
  uint64_t Varint() {
    uint64_t value = 0;
    for (size_t i = 0; i < 10; ++i) {
      if (i >= rest_.size()) Refuse("the file is cut off");
      const auto byte = static_cast<uint8_t>(rest_[i]);
      value |= uint64_t{byte & 0x7Fu} << 7 * i;
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return value;
      }
    }
    Refuse("a number of more than ten bytes");
  }
  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) Refuse("the file is cut off");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest_, bytes_;
  uint64_t number_ = 0, value_ = 0;
  const std::string& source_;
};

enum class PieceKind : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct Piece {
  std::string text;
  float score = 0;
  PieceKind kind = PieceKind::kNormal;
};

struct Model {
  std::vector<Piece> pieces;
  uint64_t type = 1;  // 1 unigram, 2 bpe, 3 word, 4 char
  bool byte_fallback = false, add_dummy_prefix = true, remove_extra_whitespaces = true;
  bool escape_whitespaces = true, has_character_map = false, suffix_whitespace = false;
};

Piece ReadPiece(std::string_view bytes, const std::string& source) {
  Piece piece;
  Message message(bytes, source);
  while (message.Next()) {
    if (message.number() == 1) piece.text = message.bytes();
    if (message.number() == 2) piece.score = message.real();
    if (message.number() == 3) {
      if (message.value() < 1 || message.value() > 6) message.Refuse("a piece of an unknown kind");
      piece.kind = static_cast<PieceKind>(message.value());
    }
  }
  if (piece.text.empty() || FindInvalidUtf8(piece.text) != std::string_view::npos)
    message.Refuse("a piece that is no text");
  return piece;
}

Model ReadModel(std::string_view bytes, const std::string& source) {
  Model model;
  Message message(bytes, source);
  while (message.Next()) {
    const uint64_t part = message.number();
    if (part == 1) model.pieces.push_back(ReadPiece(message.bytes(), source));
    if (part != 2 && part != 3) continue;
    Message spec(message.bytes(), source);
    while (spec.Next()) {
      if (part == 2) {  // trainer_spec
        if (spec.number() == 3) model.type = spec.value();
        if (spec.number() == 24) model.suffix_whitespace = spec.value() != 0;
        if (spec.number() == 35) model.byte_fallback = spec.value() != 0;
      } else {  // normalizer_spec
        if (spec.number() == 2) model.has_character_map = !spec.bytes().empty();
        if (spec.number() == 3) model.add_dummy_prefix = spec.value() != 0;
        if (spec.number() == 4) model.remove_extra_whitespaces = spec.value() != 0;
        if (spec.number() == 5) model.escape_whitespaces = spec.value() != 0;
      }
    }
  }
  if (model.pieces.empty()) message.Refuse("there are no pieces");
  return model;
}

void CheckSupported(const Model& model, const std::string& source) {
  const auto refuse = [&](const std::string& what, const std::string& expected) {
    throw UserError({.what = what,
                     .where = source,
                     .expected = expected,
                     .hint = "transformers can write such a tokenizer as tokenizer.json"});
  };
  constexpr const char* kTypes[] = {"", "unigram", "bpe", "word", "char"};
  if (model.type != 2) {
    refuse(fmt::format("a SentencePiece model of the kind {}",
                       model.type < 5 ? kTypes[model.type] : "unknown"),
           "bpe");
  }
  if (model.has_character_map) {
    refuse("a SentencePiece model with a character map (normalization_rule_name)", "identity");
  }
  if (model.suffix_whitespace) refuse("treat_whitespace_as_suffix is set", "false");
  if (!model.escape_whitespaces) refuse("escape_whitespaces is false", "true");
}

size_t CodePointsOf(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

// The merges of the pieces: every way to put a piece together from two others, those of the best
// score first, of equal ones the longest parts, as transformers converts such models.
Json MergesOf(const Model& model) {
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const PieceKind kind = model.pieces[id].kind;
    if (kind == PieceKind::kNormal || kind == PieceKind::kUserDefined)
      ids.emplace(model.pieces[id].text, id);
  }
  struct Merge {
    float score = 0;
    size_t left = 0, right = 0;                // ids
    size_t left_length = 0, right_length = 0;  // code points
  };
  std::vector<Merge> merges;
  for (const Piece& piece : model.pieces) {
    if (piece.kind != PieceKind::kNormal) continue;
    const std::string_view text = piece.text;
    const size_t first = merges.size();
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((static_cast<uint8_t>(text[cut]) & 0xC0) == 0x80) continue;
      const auto left = ids.find(text.substr(0, cut)), right = ids.find(text.substr(cut));
      if (left != ids.end() && right != ids.end()) {
        merges.push_back({piece.score, left->second, right->second, CodePointsOf(left->first),
                          CodePointsOf(right->first)});
      }
    }
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(),
              [](const Merge& a, const Merge& b) {
                return a.left != b.left ? a.left < b.left : a.right < b.right;
              });
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.score, a.left_length, a.right_length) >
           std::tie(b.score, b.left_length, b.right_length);
  });
  Json list = Json::array();
  for (const Merge& merge : merges)
    list.push_back({model.pieces[merge.left].text, model.pieces[merge.right].text});
  return list;
}

Json Normalizers(const Model& model) {
  const auto replace = [](const Json& pattern, const char* content) {
    return Json{{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
  };
  Json steps = Json::array();
  if (model.remove_extra_whitespaces) {
    steps.push_back(replace({{"Regex", "^ +| +$"}}, ""));
    steps.push_back(replace({{"Regex", " {2,}"}}, " "));
  }
  if (model.add_dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kMark}});
  steps.push_back(replace({{"String", " "}}, kMark));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

Json Decoders(const Model& model) {
  Json steps = Json::array();
  steps.push_back({{"type", "Replace"}, {"pattern", {{"String", kMark}}}, {"content", " "}});
  steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (model.add_dummy_prefix)
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}
}  // namespace

std::string SentencePieceToJson(std::string_view bytes, const std::string& source) {
  const Model model = ReadModel(bytes, source);
  CheckSupported(model, source);
  Json vocab = Json::object(), added = Json::array(), unknown;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    if (vocab.contains(piece.text)) {
      throw UserError({.what = fmt::format("the piece '{}' stands there twice", piece.text),
                       .where = source,
                       .expected = "each piece once"});
    }
    vocab[piece.text] = id;
    if (piece.kind == PieceKind::kUnknown) unknown = piece.text;
    const bool special = piece.kind == PieceKind::kUnknown || piece.kind == PieceKind::kControl;
    if (!special && piece.kind != PieceKind::kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", piece.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
  }
  const Json document = {{"version", "1.0"},
                         {"truncation", nullptr},
                         {"padding", nullptr},
                         {"added_tokens", added},
                         {"normalizer", Normalizers(model)},
                         {"pre_tokenizer", nullptr},
                         {"post_processor", nullptr},
                         {"decoder", Decoders(model)},
                         {"model",
                          {{"type", "BPE"},
                           {"dropout", nullptr},
                           {"unk_token", unknown},
                           {"continuing_subword_prefix", nullptr},
                           {"end_of_word_suffix", nullptr},
                           {"fuse_unk", true},
                           {"byte_fallback", model.byte_fallback},
                           {"ignore_merges", false},
                           {"vocab", vocab},
                           {"merges", MergesOf(model)}}}};
  return document.dump();
}

}  // namespace pawl::text
