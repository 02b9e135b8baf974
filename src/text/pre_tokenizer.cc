#include "text/pre_tokenizer.h"

#include <algorithm>

#include "text/byte_symbols.h"
#include "text/pre_tokenizer_kinds.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
struct Stretch {
  size_t begin = 0, end = 0;
  bool is_match = false;
};

// Joins what the behaviour joins. The stretches cover a piece in order.
std::vector<Stretch> Join(const std::vector<Stretch>& found, SplitBehavior behavior) {
  std::vector<Stretch> joined;
  const bool backwards = behavior == SplitBehavior::kMergedWithNext;
  bool previous = false;  // whether the stretch before was a match
  for (size_t i = 0; i < found.size(); ++i) {
    const Stretch& stretch = found[backwards ? found.size() - 1 - i : i];
    const bool joins = behavior == SplitBehavior::kContiguous ? stretch.is_match == previous
                                                              : stretch.is_match && !previous;
    previous = stretch.is_match;
    if (!joins || joined.empty()) {
      joined.push_back(stretch);
    } else if (backwards) {
      joined.back().begin = stretch.begin;
    } else {
      joined.back().end = stretch.end;
    }
  }
  if (backwards) std::reverse(joined.begin(), joined.end());
  return joined;
}

// Cuts every piece at the matches of a matcher: for_each(text, visit(begin, end, is_match)).
template <class ForEach>
void CutAtMatches(Pieces& pieces, SplitBehavior behavior, bool invert, ForEach&& for_each) {
  std::vector<Stretch> found;
  pieces.CutEach([&](Pieces::Piece piece, auto& add) {
    const size_t shift = piece.begin;
    if (behavior == SplitBehavior::kIsolated || behavior == SplitBehavior::kRemoved) {
      const bool keep_all = behavior == SplitBehavior::kIsolated;
      for_each(pieces.Text(piece), [&](size_t begin, size_t end, bool is_match) {
        if (keep_all || is_match == invert) add(shift + begin, shift + end);
      });
      return;
    }
    found.clear();
    for_each(pieces.Text(piece), [&](size_t begin, size_t end, bool is_match) {
      found.push_back({begin, end, is_match != invert});
    });
    for (const Stretch& stretch : Join(found, behavior)) {
      add(shift + stretch.begin, shift + stretch.end);
    }
  });
}

// Every code point of a class is a match of its own.
template <class IsOne, class Visit>
void ForEachCharacter(std::string_view text, IsOne&& is_one, Visit&& visit) {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = CodePointAt(text, at);
    const size_t end = at + point.size;
    if (is_one(point.value)) {
      if (done < at) visit(done, at, false);
      visit(at, end, true);
      done = end;
    }
    at = end;
  }
  if (done < text.size()) visit(done, text.size(), false);
}
}  // namespace

bool IsWordCharacter(char32_t code_point) {
  // the zero-width joiners are, and superscripts and fractions of Latin-1 are not, unlike \w of the
  // patterns
  if (code_point == 0x200C || code_point == 0x200D) return true;
  const bool latin_number = code_point == 0xB2 || code_point == 0xB3 || code_point == 0xB9 ||
                            (code_point >= 0xBC && code_point <= 0xBE);
  return IsRegexWord(code_point) && !latin_number;
}

void RegexSplit::Apply(Pieces& pieces) const {
  CutAtMatches(pieces, behavior_, invert_,
               [this](std::string_view text, auto&& visit) { regex_.ForEachPiece(text, visit); });
}

void ClassSplit::Apply(Pieces& pieces) const {
  CutAtMatches(pieces, behavior_, false, [this](std::string_view text, auto&& visit) {
    ForEachCharacter(text, is_one_, visit);
  });
}

void WordSplit::Apply(Pieces& pieces) const {
  enum class Kind : uint8_t { kSpace, kWord, kOther };
  const auto kind_of = [](char32_t c) {
    return IsWordCharacter(c) ? Kind::kWord : IsSpace(c) ? Kind::kSpace : Kind::kOther;
  };
  pieces.CutEach([&](Pieces::Piece piece, auto& add) {
    const std::string_view text = pieces.Text(piece);
    size_t begin = 0;
    Kind last = Kind::kSpace;
    for (size_t at = 0; at < text.size();) {
      const CodePoint point = CodePointAt(text, at);
      const Kind kind = kind_of(point.value);
      if (kind != last) {
        if (last != Kind::kSpace) add(piece.begin + begin, piece.begin + at);
        begin = at;
        last = kind;
      }
      at += point.size;
    }
    if (last != Kind::kSpace) add(piece.begin + begin, piece.begin + text.size());
  });
}

void PrefixSpace::Apply(Pieces& pieces) const {
  pieces.RewriteEach([&](Pieces::Piece piece) {
    if (!pieces.Text(piece).starts_with(' ')) pieces.Put(" ", piece.begin);
    pieces.Keep(piece.begin, piece.end);
  });
}

void Metaspace::Apply(Pieces& pieces) const {
  pieces.RewriteEach([&](Pieces::Piece piece) {
    const std::string_view text = pieces.Text(piece);
    const bool starts = text.starts_with(' ') || text.starts_with(replacement_);
    if (!starts && (prepend_ == Prepend::kAlways ||
                    (prepend_ == Prepend::kFirst && pieces.StartsOriginal(piece)))) {
      pieces.Put(replacement_, piece.begin);
    }
    size_t done = piece.begin;
    for (size_t at = piece.begin; at < piece.end; ++at) {
      if (pieces.text()[at] != ' ') continue;
      pieces.Keep(done, at);
      pieces.Put(replacement_, at);
      done = at + 1;
    }
    pieces.Keep(done, piece.end);
  });
  if (!split_) return;
  const char32_t mark = CodePointAt(replacement_, 0).value;
  CutAtMatches(pieces, SplitBehavior::kMergedWithNext, false,
               [mark](std::string_view text, auto&& visit) {
                 ForEachCharacter(
                     text, [mark](char32_t c) { return c == mark; }, visit);
               });
}

void BytesToSymbolsStep::Apply(Pieces& pieces) const {
  pieces.RewriteEach([&](Pieces::Piece piece) {
    for (size_t at = piece.begin; at < piece.end; ++at)
      pieces.Put(ToUtf8(SymbolOfByte(static_cast<uint8_t>(pieces.text()[at]))), at);
  });
}

std::unique_ptr<const PreTokenizer> MakeBytesToSymbols() {
  return std::make_unique<BytesToSymbolsStep>();
}

}  // namespace pawl::text
