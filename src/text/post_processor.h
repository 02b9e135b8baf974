// The post-processor of a tokenizer.json: tokens around a text (<s> .. </s>) and offsets without
// white space. Immutable; any thread. For one text, not for pairs.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/encoding.h"

namespace pawl::text {

// White space that a token begins and ends with, in characters.
struct TokenSpaces {
  uint32_t leading = 0, trailing = 0;
};
// Of a token as the vocabulary has it: GPT-2's symbol of the space counts too.
TokenSpaces SpacesOf(std::string_view token);

class PostProcessor {
 public:
  struct Part {
    bool is_text = false;  // the text's tokens; else:
    std::vector<int32_t> ids;
    std::vector<TokenSpaces> spaces;
  };

  PostProcessor() = default;
  // Of the "post_processor" entry: TemplateProcessing, ByteLevel, RobertaProcessing,
  // BertProcessing, Sequence. Throws UserError naming `source` and the kind for others.
  PostProcessor(const nlohmann::json& entry, const std::string& source);
  // `before` and `after` (or none) around the text.
  static PostProcessor Around(std::vector<int32_t> before, std::vector<int32_t> after);

  // Adds the template's tokens.
  void Wrap(std::vector<int32_t>& ids) const;
  // The template's tokens that stand before a text, and not those behind it.
  void WrapFront(std::vector<int32_t>& ids) const;
  // `spaces`: of each token; read only where trims().
  void Apply(Encoding& encoding, std::vector<TokenSpaces> spaces, bool add_special_tokens) const;
  bool trims() const;
  int32_t max_id() const;  // of the tokens it adds; -1 where it adds none
  bool has_steps() const { return !steps_.empty(); }

 private:
  struct Step {
    bool trims = false;  // offsets; else `parts` is a template
    bool add_prefix_space = false;
    std::vector<Part> parts;
  };
  void Read(const class JsonEntry& entry);
  void ReadTemplate(const JsonEntry& entry);
  std::vector<Step> steps_;
};

}  // namespace pawl::text
