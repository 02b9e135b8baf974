// SentencePiece's tokenizer.model as a tokenizer.json: a small reader of its protocol buffer. BPE
// models as Llama 2's and Mistral's are; others are refused by name.
#pragma once
#include <string>
#include <string_view>

namespace pawl::text {

// The text of a tokenizer.json that encodes and decodes as SentencePiece does with the model.
// Throws UserError naming `source` for what is cut off, is no such file or is of another kind.
std::string SentencePieceToJson(std::string_view model, const std::string& source);

}  // namespace pawl::text
