// The kinds of pre-tokenizers, for pre_tokenizer.cc, which has their work, and
// pre_tokenizer_json.cc, which makes them.
#pragma once
#include <string>
#include <utility>

#include "text/pre_tokenizer.h"
#include "text/regex.h"

namespace pawl::text {

// Cuts at the matches of a regular expression, or where `invert`, at what lies between them.
class RegexSplit : public PreTokenizer {
 public:
  RegexSplit(Regex regex, SplitBehavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}
  void Apply(Pieces& pieces) const override;

 private:
  Regex regex_;
  SplitBehavior behavior_;
  bool invert_;
};

// Cuts at the code points of a class.
class ClassSplit : public PreTokenizer {
 public:
  ClassSplit(bool (*is_one)(char32_t), SplitBehavior behavior)
      : is_one_(is_one), behavior_(behavior) {}
  void Apply(Pieces& pieces) const override;

 private:
  bool (*is_one_)(char32_t);
  SplitBehavior behavior_;
};

// \w+|[^\w\s]+, without what lies between (Whitespace).
class WordSplit : public PreTokenizer {
 public:
  void Apply(Pieces& pieces) const override;
};

// A space before each piece that begins with none (ByteLevel's add_prefix_space).
class PrefixSpace : public PreTokenizer {
 public:
  void Apply(Pieces& pieces) const override;
};

// A mark in the place of each space, and one in front where the scheme says so.
class Metaspace : public PreTokenizer {
 public:
  enum class Prepend : uint8_t { kFirst, kNever, kAlways };
  Metaspace(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}
  void Apply(Pieces& pieces) const override;

 private:
  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

class BytesToSymbolsStep : public PreTokenizer {
 public:
  void Apply(Pieces& pieces) const override;
};

}  // namespace pawl::text
